from itertools import product

import pytest

from xero_connector.domain.errors import IllegalMove
from xero_connector.domain.status import CONSENTABLE, FINAL, MOVES, Status, check_move

# The design's picture of the states, said a second time and by hand.
LEGAL = {
    "pending_validation": {"validated", "rejected", "disconnecting"},
    "validated": {"connected", "reauthorization_required", "client_rejected", "disconnecting"},
    "connected": {"degraded", "reauthorization_required", "client_rejected", "disconnecting"},
    "degraded": {"connected", "reauthorization_required", "client_rejected", "disconnecting"},
    "reauthorization_required": {"connected", "client_rejected", "disconnecting"},
    "client_rejected": {"validated", "connected", "degraded", "reauthorization_required", "disconnecting"},
    "disconnecting": {"disconnected"},
    "disconnected": set(),
    "rejected": {"validated", "disconnecting"},
}
PAIRS = list(product(Status, Status))


def reachable(start: Status) -> set[Status]:
    found: set[Status] = set()
    pending = [start]
    while pending:
        for status in MOVES[pending.pop()] - found:
            found.add(status)
            pending.append(status)
    return found


@pytest.mark.parametrize(("before", "after"), [(a, b) for a, b in PAIRS if b in LEGAL[a] or a is b])
def test_a_legal_move(before: Status, after: Status) -> None:
    check_move(before, after)


@pytest.mark.parametrize(("before", "after"), [(a, b) for a, b in PAIRS if b not in LEGAL[a] and a is not b])
def test_an_illegal_move(before: Status, after: Status) -> None:
    with pytest.raises(IllegalMove) as refused:
        check_move(before, after)
    assert refused.value.code == "illegal_move"
    assert before in refused.value.detail
    assert after in refused.value.detail


@pytest.mark.parametrize("status", sorted(set(Status) - FINAL - {Status.DISCONNECTING}))
def test_no_status_is_a_dead_end(status: Status) -> None:
    assert Status.CONNECTED in reachable(status) | {status}


@pytest.mark.parametrize("status", sorted(set(Status) - FINAL))
def test_every_credential_can_be_ended(status: Status) -> None:
    assert FINAL & reachable(status)


def test_what_is_disconnected_stays_so() -> None:
    assert reachable(Status.DISCONNECTED) == set()


@pytest.mark.parametrize("status", sorted(CONSENTABLE))
def test_a_consent_can_end_in_a_grant_or_in_a_refused_pair(status: Status) -> None:
    check_move(status, Status.CONNECTED)
    check_move(status, Status.CLIENT_REJECTED)
