from http import HTTPStatus

import pytest

from xero_connector.domain import consent_refusals
from xero_connector.domain.consent_refusals import Refusal
from xero_connector.domain.errors import ConsentRefused, RowUnreadable, SecretNotVisible, StoreUnavailable
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure


@pytest.mark.parametrize(
    "description",
    [
        "Requested wrong apps scopes",
        "requested wrong apps scopes",
        "REQUESTED WRONG APPS SCOPES",
        "  Requested  wrong\tapps scopes. ",
        "Requested wrong\u00a0apps scopes",
        "Requested+wrong+apps+scopes",
    ],
)
@pytest.mark.parametrize("error", ["access_denied", "ACCESS_DENIED"])
def test_refused_scopes_are_known_in_any_letter_case_and_spacing(error: str, description: str) -> None:
    assert consent_refusals.by_xero(error, description).code == "scopes_refused"


@pytest.mark.parametrize("description", [None, "", "The user said no", "scopes"])
def test_a_user_s_no_is_a_no(description: str | None) -> None:
    assert consent_refusals.by_xero("access_denied", description).code == "consent_denied"


@pytest.mark.parametrize("error", ["invalid_scope", "Invalid_Scope", " invalid_scope "])
def test_an_invalid_scope_is_refused_scopes(error: str) -> None:
    assert consent_refusals.by_xero(error, None).code == "scopes_refused"


@pytest.mark.parametrize("error", [None, "", "x" * 10_000, "\ud800", "<b>", "made_up"])
def test_an_error_that_is_not_defined_is_not_repeated(error: str | None) -> None:
    refusal = consent_refusals.by_xero(error, error)
    assert refusal.code == "authorization_failed"
    assert not error or error not in refusal.detail


@pytest.mark.parametrize("refusal", [consent_refusals.busy(), consent_refusals.throttled()])
def test_what_a_reload_completes_offers_no_new_consent(refusal: ConsentRefused) -> None:
    assert not refusal.can_retry


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (StoreUnavailable("GetItem", "ServiceUnavailable"), "store_unavailable"),
        (SecretNotVisible(), "store_unavailable"),
        (RowUnreadable("UpdateItem"), "store_unavailable"),
        (TokenEndpointFailure(FailureKind.NOT_SENT), "xero_unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_a_failure_before_the_code_was_presented_is_a_503(
    reason: StoreUnavailable | TokenEndpointFailure, code: str
) -> None:
    refusal = consent_refusals.postponed(reason)
    assert (refusal.status, refusal.code) == (HTTPStatus.SERVICE_UNAVAILABLE, code)
    assert not refusal.can_retry


def test_each_row_has_the_key_that_it_is_named_for() -> None:
    rows = {name: row for name, row in vars(consent_refusals).items() if isinstance(row, consent_refusals.Refusal)}
    assert rows
    assert {row.key: row().key for row in rows.values()} == {name: name for name in rows}


# Requests in the registry hold these keys: one that goes is a page that no longer says why.
KEPT = [
    ("code_refused", consent_refusals.code_refused),
    ("exchange_unanswered", consent_refusals.exchange_unanswered),
    ("id_token_refused", consent_refusals.id_token_refused),
    ("redirect_uri_refused", consent_refusals.redirect_uri_refused),
    ("refresh_token_missing", consent_refusals.refresh_token_missing),
    ("state_used", consent_refusals.state_used),
]


@pytest.mark.parametrize(("name", "refusal"), KEPT)
def test_a_refusal_is_found_again_by_its_key(name: str, refusal: Refusal) -> None:
    assert consent_refusals.kept_key(refusal) == name
    assert consent_refusals.kept(name) is refusal


@pytest.mark.parametrize("name", [None, "", "of_a_later_release", "busy", "\ud800"])
def test_without_a_key_that_is_known_a_consent_has_ended(name: str | None) -> None:
    assert consent_refusals.kept(name) is consent_refusals.state_used


@pytest.mark.parametrize("kind", sorted(set(FailureKind) - {FailureKind.INVALID_CLIENT}))
def test_every_failure_after_which_a_code_is_spent_has_a_name(kind: FailureKind) -> None:
    assert consent_refusals.kept_key(consent_refusals.exchange_failed(TokenEndpointFailure(kind)))


def test_each_refusal_is_a_new_error() -> None:
    refusal = consent_refusals.busy()
    refusal.ticket = "a ticket"
    assert consent_refusals.busy().ticket is None
