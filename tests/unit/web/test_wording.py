import pytest
from hypothesis import given
from hypothesis import strategies as st

from xero_connector.web.pages.catalogue import Catalogue
from xero_connector.web.pages.wording import LONGEST_SHOWN, plain, say

TEXTS = Catalogue(
    "en",
    {
        "greeting": "Hello {name}, press **Save** & `go`.",
        "twice": "{name} {other}",
        "press": "Press {save_button}.",
        "controls": {"save_button": "Save"},
    },
)


def test_a_text_is_marked_up_and_escaped() -> None:
    said = say(TEXTS, "greeting", {"name": "Ann"})
    assert said == "Hello <bdi>Ann</bdi>, press <strong>Save</strong> &amp; <code>go</code>."


def test_a_control_of_xero_s_is_named_as_it_stands_there() -> None:
    assert say(TEXTS, "press", {}) == 'Press <b class="control" lang="en">Save</b>.'


def test_a_placeholder_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        say(TEXTS, "greeting", {})


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "{other}", "**bold**", "`code`", '"><img src=x>']
)
def test_what_is_filled_in_marks_up_nothing(hostile: str) -> None:
    said = str(say(TEXTS, "twice", {"name": hostile, "other": "secret"}))
    assert said.count("secret") == 1
    for tag in ("<script", "<strong", "<code", "<img"):
        assert tag not in said


@given(st.text(alphabet=st.characters(), max_size=400))
def test_any_text_can_be_shown(value: str) -> None:
    shown = plain(value)
    shown.encode()
    assert len(shown) <= LONGEST_SHOWN
    assert all(ord(one) >= ord(" ") for one in shown)


@pytest.mark.parametrize("unshowable", ["\x00", "\x1b", "\x7f", "\x85", "\ud800"])
def test_what_no_page_can_hold_is_replaced(unshowable: str) -> None:
    assert plain(f"a{unshowable}b") == "a\ufffdb"


def test_a_long_text_is_shortened_with_an_ellipsis() -> None:
    assert plain("x" * 10_000, 10) == "x" * 9 + "…"
    assert plain("x" * 10, 10) == "x" * 10
