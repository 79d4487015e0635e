import pytest
from hypothesis import given
from hypothesis import strategies as st

from xero_connector.domain.token_endpoint import (
    EXPLANATIONS,
    INCONCLUSIVE,
    OUTAGE,
    FailureKind,
    TokenEndpointFailure,
    classify,
)

DEFINITE = {
    FailureKind.INVALID_GRANT,
    FailureKind.INVALID_CLIENT,
    FailureKind.UNAUTHORIZED_CLIENT,
    FailureKind.INVALID_SCOPE,
}


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, "invalid_grant", FailureKind.INVALID_GRANT),
        (401, "invalid_grant", FailureKind.INVALID_GRANT),
        (400, "invalid_client", FailureKind.INVALID_CLIENT),
        (401, "invalid_client", FailureKind.INVALID_CLIENT),
        (400, "unauthorized_client", FailureKind.UNAUTHORIZED_CLIENT),
        (401, "unauthorized_client", FailureKind.UNAUTHORIZED_CLIENT),
        (400, "unsupported_grant_type", FailureKind.UNEXPECTED),
        (400, "invalid_scope", FailureKind.INVALID_SCOPE),
        (400, "invalid_request", FailureKind.UNEXPECTED),
        (400, "", FailureKind.UNEXPECTED),
        (400, "INVALID_GRANT", FailureKind.UNEXPECTED),
        (400, None, FailureKind.EDGE_REFUSED),
        (401, None, FailureKind.EDGE_REFUSED),
        (403, None, FailureKind.EDGE_REFUSED),
        (403, "invalid_client", FailureKind.UNEXPECTED),
        (404, "invalid_grant", FailureKind.UNEXPECTED),
        (404, None, FailureKind.EDGE_REFUSED),
        (302, None, FailureKind.EDGE_REFUSED),
        (200, None, FailureKind.EDGE_REFUSED),
        (408, None, FailureKind.UNAVAILABLE),
        (408, "invalid_grant", FailureKind.UNAVAILABLE),
        (429, None, FailureKind.THROTTLED),
        (429, "invalid_client", FailureKind.THROTTLED),
        (500, None, FailureKind.UNAVAILABLE),
        (500, "invalid_grant", FailureKind.UNAVAILABLE),
        (502, None, FailureKind.UNAVAILABLE),
        (503, "invalid_client", FailureKind.UNAVAILABLE),
        (599, None, FailureKind.UNAVAILABLE),
    ],
)
def test_what_an_answer_means(status: int, error: str | None, kind: FailureKind) -> None:
    assert classify(status, error) is kind


@given(st.integers(100, 599), st.none() | st.text())
def test_only_a_documented_refusal_counts_against_a_pair_or_a_grant(status: int, error: str | None) -> None:
    kind = classify(status, error)
    assert (kind in DEFINITE) == (status in {400, 401} and error in set(DEFINITE))


def test_every_failure_is_either_definite_or_inconclusive() -> None:
    assert INCONCLUSIVE.isdisjoint(DEFINITE)
    assert set(FailureKind) == INCONCLUSIVE | DEFINITE


def test_an_outage_says_nothing_about_one_app() -> None:
    assert INCONCLUSIVE - {FailureKind.THROTTLED, FailureKind.UNEXPECTED} == OUTAGE


@pytest.mark.parametrize("kind", FailureKind)
def test_a_failure_explains_itself(kind: FailureKind) -> None:
    failure = TokenEndpointFailure(kind, retry_after=7, correlation_id="abc")
    assert failure.code == kind
    assert failure.detail == str(failure) == EXPLANATIONS[kind]
    assert (failure.retry_after, failure.correlation_id) == (7, "abc")
