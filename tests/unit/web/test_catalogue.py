"""The words of the pages: each language against English, and what a new language takes."""

import tomllib
from collections.abc import Mapping
from typing import Any

import pytest

from xero_connector.domain import consent_refusals, setup_refusals
from xero_connector.domain.consent_refusals import Refusal
from xero_connector.domain.setup_view import TryProblem
from xero_connector.web.consent_pages import ConsentPages
from xero_connector.web.pages.catalogue import SHIPPED, Catalogues, keys
from xero_connector.web.pages.languages import FALLBACK
from xero_connector.web.pages.wording import placeholders

ENGLISH = dict(keys(SHIPPED.open(FALLBACK).texts))


def is_translated(key: str, text: object) -> bool:
    """Whether a language has words of its own here: not for what stands on Xero's pages, nor for lists."""
    return isinstance(text, str) and not key.startswith("controls.") and not key.endswith(".by")


def complaints(texts: Mapping[str, Any]) -> list[str]:
    """What is wrong with a language: keys that English does not have or that are missing, other placeholders."""
    theirs = dict(keys(texts))
    translated = {key for key, text in ENGLISH.items() if is_translated(key, text)}
    found = [f"missing: {key}" for key in translated - theirs.keys()]
    found += [f"not to be translated: {key}" for key in theirs.keys() & ENGLISH.keys() - translated]
    found += [f"unknown: {key}" for key in theirs.keys() - ENGLISH.keys()]
    for key in ENGLISH.keys() & theirs.keys():
        if placeholders(str(theirs[key])) != placeholders(str(ENGLISH[key])):
            found.append(f"other placeholders: {key}")
    return sorted(found)


@pytest.mark.parametrize("language", sorted(set(SHIPPED.languages) - {FALLBACK}) or [None])
def test_every_language_has_the_keys_and_placeholders_of_english(language: str | None) -> None:
    if language is None:
        pytest.skip("English is the only language so far")
    with (SHIPPED.folder / f"{language}.toml").open("rb") as file:
        assert complaints(tomllib.load(file)) == []


def test_what_a_language_lacks_or_has_too_much_is_noticed() -> None:
    texts = {
        "common": {"reference": "Kennung {number}", "extra": "Zuviel"},
        "controls": {"save": "Speichern"},
        "routes": {"secret": []},
    }
    found = complaints(texts)
    assert "missing: common.close" in found
    assert "unknown: common.extra" in found
    assert "other placeholders: common.reference" in found
    assert "not to be translated: controls.save" in found
    assert "not to be translated: routes.secret" in found


def test_there_are_words_for_every_refusal_of_a_consent_and_for_no_other() -> None:
    rows = {row.key for row in vars(consent_refusals).values() if isinstance(row, Refusal)}
    worded = SHIPPED.open(FALLBACK).find("consent.refusals")
    assert set(worded) == rows
    for key, words in worded.items():
        assert set(words) == {"title", "what", "todo"}, key


def test_there_are_words_for_every_refusal_of_a_setup_link_and_for_no_other() -> None:
    rows = {row.key for row in vars(setup_refusals).values() if isinstance(row, setup_refusals.Refusal)}
    worded = SHIPPED.open(FALLBACK).find("setup.refusals")
    assert set(worded) == rows
    for key, words in worded.items():
        assert set(words) == {"title", "what", "todo"}, key


def test_there_are_words_for_every_problem_of_a_try_and_for_no_other() -> None:
    worded = SHIPPED.open(FALLBACK).find("setup.problems")
    assert set(worded) == set(TryProblem)
    for key, words in worded.items():
        assert {"what", "todo"} <= set(words) <= {"what", "todo", "todo_fixed"}, key


def test_a_language_is_one_more_file(german: Catalogues) -> None:
    assert german.languages == ("de", "en")
    language = german.choose("de-AT,en;q=0.5")
    page = ConsentPages(console_url=None, language=language).refused(
        consent_refusals.consent_denied(), reference="1"
    )
    body = str(page.body)
    assert page.headers["Content-Language"] == "de"
    assert page.headers["Vary"] == "Accept-Language"
    assert '<html lang="de">' in body
    assert "<h1>Xero wurde nicht verbunden</h1>" in body
    assert "Nochmals beginnen" in body
    assert "Kennung: consent_denied / 1" in body


def test_what_a_language_lacks_is_in_english(german: Catalogues) -> None:
    texts = german.open("de")
    assert texts.text("consent.refusals.consent_denied.what") == ENGLISH["consent.refusals.consent_denied.what"]
    assert texts.text("consent.connected.title") == "Xero is connected"


@pytest.mark.parametrize("key", ["common", "common.none", "common.close.more", ""])
def test_a_key_without_a_text_is_an_error(key: str) -> None:
    with pytest.raises(KeyError):
        SHIPPED.open(FALLBACK).text(key)
