import re
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.builders import a_request
from tests.fakes.world import NOON
from tests.fakes.xero import DEMO_COMPANY
from xero_connector.domain.consent import CLAIM_LIFETIME, BrowserBinding, RequestPhase, digest, is_token, new_token

tokens = st.builds(new_token)


def test_a_token_has_256_bits_and_is_never_seen_twice() -> None:
    made = {new_token() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in made)
    assert all(is_token(token) for token in made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 42,
        "x" * 44,
        "x" * 42 + ".",
        "x" * 42 + " ",
        "x" * 42 + "\n",
        "x" * 42 + "\x00",
        "x" * 42 + "é",
        "x" * 42 + "٣",
        "x" * 42 + "\ud800",
        "x" * 42 + "/",
        "-" * 43,
        "x" * 1_000_000,
    ],
)
def test_what_is_no_token(text: str) -> None:
    assert not is_token(text)


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    assert is_token(text) == bool(re.fullmatch(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_-]{43}", text))


@given(st.text())
def test_a_digest_is_sha256(token: str) -> None:
    assert digest(token) == sha256(token.encode()).hexdigest()


@given(st.text(), st.text())
def test_a_request_belongs_to_one_browser(binding: str, other: str) -> None:
    request = a_request(binding_hash=digest(binding))
    assert request.is_bound_to(binding)
    assert request.is_bound_to(other) == (binding == other)


@given(st.text(), st.text())
def test_the_verifier_is_one_that_rfc_7636_allows(binding: str, state: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", BrowserBinding("ticket", binding).code_verifier(state))


@given(tokens, tokens, tokens)
def test_verifier_and_nonce_depend_on_the_browser_and_on_the_state(one: str, two: str, state: str) -> None:
    browser = BrowserBinding("ticket", one)
    derived = [
        browser.code_verifier(state),
        browser.nonce(state),
        browser.code_verifier(two),
        browser.nonce(two),
        BrowserBinding("ticket", two).code_verifier(state),
        BrowserBinding("ticket", two).nonce(state),
    ]
    assert len(set(derived)) == len(derived)


@given(tokens, tokens)
def test_another_invocation_derives_the_same(binding: str, state: str) -> None:
    one, two = BrowserBinding("ticket", binding), BrowserBinding("ticket", binding)
    assert one.code_verifier(state) == two.code_verifier(state)
    assert one.nonce(state) == two.nonce(state)


def test_a_claim_expires() -> None:
    claimed = a_request().claimed(NOON)
    assert claimed.is_claimed(NOON)
    assert claimed.is_claimed(NOON + CLAIM_LIFETIME - timedelta(microseconds=1))
    assert not claimed.is_claimed(NOON + CLAIM_LIFETIME)


def test_no_callback_is_at_work_on_a_request_that_is_not_claimed() -> None:
    claimed = a_request().claimed(NOON)
    for request in (a_request(), claimed.reopened(), claimed.failed()):
        assert not request.is_claimed(NOON)


def test_a_claim_can_be_given_back() -> None:
    assert a_request().claimed(NOON).reopened() == a_request()


def test_an_end_with_a_grant_keeps_the_organisations() -> None:
    ended = a_request().claimed(NOON).completed((DEMO_COMPANY,), pending=False)
    assert ended.phase is RequestPhase.COMPLETED
    assert ended.tenants == (DEMO_COMPANY,)
    assert not ended.is_claimed(NOON)
