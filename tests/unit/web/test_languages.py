import pytest

from xero_connector.web.pages.languages import chosen

AVAILABLE = ("de", "en", "pt-BR", "zh-Hant")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-at-1996", "de"),
        ("pt-BR", "pt-BR"),
        ("pt-br;q=0.3", "pt-BR"),
        ("zh-Hant-TW", "zh-Hant"),
        ("fr;q=1, de;q=0.8, en;q=0.9", "en"),
        ("en;q=0.8, de-AT;q=0.9", "de"),
        ("fr, de ; q=0.5", "de"),
        ("de;q=0, en-GB", "en"),
        ("de;q=0.000", "en"),
        ("fr-CH, *;q=0.5", "en"),
        ("de, en", "de"),
        ("en, de", "en"),
    ],
)
def test_the_reader_s_first_choice_of_what_there_is(accepted: str, language: str) -> None:
    assert chosen(accepted, AVAILABLE) == language


@pytest.mark.parametrize("accepted", ["pt", "zh", "zh-Hans", "d", "den", "fr"])
def test_a_language_that_is_not_there_is_not_guessed(accepted: str) -> None:
    assert chosen(accepted, AVAILABLE) == "en"


@pytest.mark.parametrize(
    "accepted",
    [
        None,
        "",
        ",,,",
        "de;q=2",
        "de;q=-1",
        "de;q=abc",
        "de;level=1",
        "../de",
        "de\x00",
        "\ud800",
        "de_AT",
        "x" * 10_000,
        "fr," * 10_000 + "de",
    ],
)
def test_a_header_that_cannot_be_read_is_answered_in_english(accepted: str | None) -> None:
    assert chosen(accepted, AVAILABLE) == "en"


def test_one_odd_item_does_not_void_the_others() -> None:
    assert chosen("???;q=1, de;q=0.5", AVAILABLE) == "de"
