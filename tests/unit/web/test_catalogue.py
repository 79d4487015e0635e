"""The words of the pages: each language against English, and what a new language takes."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from xero_connector.domain import consent_refusals
from xero_connector.domain.consent_refusals import Refusal
from xero_connector.web.consent_pages import ConsentPages
from xero_connector.web.pages import catalogue
from xero_connector.web.pages.catalogue import SHIPPED, Catalogues, keys
from xero_connector.web.pages.languages import FALLBACK
from xero_connector.web.pages.wording import placeholders

ENGLISH = dict(keys(SHIPPED.open(FALLBACK).texts))
GERMAN = """
[common]
reference = "Kennung"

[consent.refusals.consent_denied]
title = "Xero wurde nicht verbunden"
todo = "Nochmals beginnen"
"""


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogues]:
    """A second language, which is one more file in the folder."""
    (english,) = SHIPPED.folder.glob("en.toml")
    (tmp_path / "en.toml").write_text(english.read_text("utf-8"), "utf-8")
    (tmp_path / "de.toml").write_text(GERMAN, "utf-8")
    both = Catalogues(tmp_path)
    monkeypatch.setattr(catalogue, "SHIPPED", both)
    catalogue.shipped.cache_clear()
    yield both
    catalogue.shipped.cache_clear()


def complaints(texts: Mapping[str, Any]) -> list[str]:
    """What is wrong with a language: keys that English does not have or that are missing, other placeholders."""
    theirs = dict(keys(texts))
    found = [f"missing: {key}" for key in ENGLISH.keys() - theirs.keys()]
    found += [f"unknown: {key}" for key in theirs.keys() - ENGLISH.keys()]
    for key in ENGLISH.keys() & theirs.keys():
        if placeholders(str(theirs[key])) != placeholders(str(ENGLISH[key])):
            found.append(f"other placeholders: {key}")
    return sorted(found)


@pytest.mark.parametrize("language", sorted(set(SHIPPED.languages) - {FALLBACK}) or [FALLBACK])
def test_every_language_has_the_keys_and_placeholders_of_english(language: str) -> None:
    with (SHIPPED.folder / f"{language}.toml").open("rb") as file:
        assert complaints(tomllib.load(file)) == []


def test_what_a_language_lacks_or_has_too_much_is_noticed() -> None:
    texts = {"common": {"reference": "Kennung {number}", "extra": "Zuviel"}}
    found = complaints(texts)
    assert "missing: common.close" in found
    assert "unknown: common.extra" in found
    assert "other placeholders: common.reference" in found


def test_there_are_words_for_every_refusal_of_a_consent_and_for_no_other() -> None:
    rows = {row.key for row in vars(consent_refusals).values() if isinstance(row, Refusal)}
    worded = SHIPPED.open(FALLBACK).find("consent.refusals")
    assert set(worded) == rows
    for key, words in worded.items():
        assert set(words) == {"title", "what", "todo"}, key


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
