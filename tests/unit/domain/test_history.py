"""What a credential's changes leave in the audit trail."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import a_credential, a_tokens_secret
from tests.fakes.world import NOON
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND
from xero_connector.domain.credential import ConsentGiven, Credential
from xero_connector.domain.events import entries_of
from xero_connector.domain.history import CONNECTOR, EVENTS, WITH_A_REASON, Action, Note
from xero_connector.domain.holding_tokens import holding
from xero_connector.domain.status import MOVES, Status
from xero_connector.domain.tokens import StoredTokens

MOVED = [(before, after) for before, reachable in MOVES.items() for after in sorted(reachable)]
TOKENS = StoredTokens(a_tokens_secret(), "arn:aws:secretsmanager:x")


def held(credential: Credential, *, consented: str | None = None) -> Credential:
    return holding(
        credential,
        TOKENS,
        due_at=NOON + timedelta(minutes=18),
        now=NOON,
        consent=None if consented is None else ConsentGiven("b" * 64, consented),
    )


def actions(credential: Credential) -> list[Action]:
    return [note.action for note in credential.notes]


# Changes


@pytest.mark.parametrize(("before", "after"), MOVED)
def test_every_move_leaves_one_entry(before: Status, after: Status) -> None:
    moved = a_credential(status=before).move_to(after, by="another")
    (note,) = moved.notes
    assert note.by == "another"
    assert (note.action is Action.RECOVERED) == ((before, after) == (Status.DEGRADED, Status.CONNECTED))


@pytest.mark.parametrize("status", Status)
def test_who_stays_where_it_is_leaves_none(status: Status) -> None:
    assert a_credential(status=status).move_to(status).notes == ()


def test_the_actor_is_the_connector_unless_a_person_asked() -> None:
    assert a_credential().noted(Action.DEGRADED).notes == (Note(action=Action.DEGRADED, by=CONNECTOR),)


def test_entries_come_in_the_order_of_what_was_done() -> None:
    credential = a_credential(status=Status.PENDING_VALIDATION).noted(Action.SUBMITTED, by="me")
    assert actions(credential.move_to(Status.VALIDATED)) == [Action.SUBMITTED, Action.VALIDATED]


@pytest.mark.parametrize(
    "before", [Status.VALIDATED, Status.CONNECTED, Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED]
)
def test_a_consent_is_one_entry_that_names_its_user(before: Status) -> None:
    credential = held(a_credential(status=before).noted(Action.REFRESH_REQUESTED), consented="user-1")
    assert actions(credential) == [Action.REFRESH_REQUESTED, Action.CONNECTED]
    assert credential.notes[-1].by == "xero_user:user-1"


@pytest.mark.parametrize(
    ("before", "noted"),
    [
        (Status.CONNECTED, []),
        (Status.DEGRADED, [Action.RECOVERED]),
        (Status.CLIENT_REJECTED, [Action.CONNECTED]),
    ],
)
def test_a_refresh_is_noted_only_where_it_changes_something(before: Status, noted: list[Action]) -> None:
    assert actions(held(a_credential(status=before, generation=1))) == noted


def test_organisations_that_came_and_went() -> None:
    credential = a_credential(tenants=(DEMO_COMPANY,)).reaching((ELECTRO_LAND,))
    assert credential.notes == (
        Note(action=Action.TENANTS_CHANGED, added=(ELECTRO_LAND,), removed=(DEMO_COMPANY,)),
    )
    assert credential.tenants == (ELECTRO_LAND,)


def test_the_same_organisations_in_another_order_or_under_another_name_are_no_change() -> None:
    renamed = replace(DEMO_COMPANY, tenant_name="Demo Ltd", connection_id="c-9")
    credential = a_credential(tenants=(DEMO_COMPANY, ELECTRO_LAND)).reaching((ELECTRO_LAND, renamed))
    assert credential.notes == ()
    assert credential.tenants == (ELECTRO_LAND, renamed)


def test_leases_and_failures_alone_leave_nothing() -> None:
    credential = a_credential().leased("me", now=NOON, duration=timedelta(minutes=1))
    credential = credential.failed(code="unanswered", detail="-", now=NOON)
    assert credential.released(due_at=None, attempt_finished=True, now=NOON).notes == ()


# Entries


def test_each_action_that_is_published_has_an_event_of_its_own() -> None:
    assert len(set(EVENTS.values())) == len(EVENTS) == 9
    for action in Action:
        (entry,) = entries_of(a_credential(revision=1).noted(action))
        assert entry.event_type == EVENTS.get(action)
        assert (entry.event is not None) == entry.unpublished == (action in EVENTS)


@pytest.mark.parametrize("action", Action)
def test_an_entry_gives_the_reason_where_the_action_has_one(action: Action) -> None:
    failed = a_credential(revision=1).failed(code="invalid_grant", detail="Xero says no.", now=NOON)
    (entry,) = entries_of(failed.noted(action))
    assert (entry.detail == "Xero says no.") == (action in WITH_A_REASON)
    (entry,) = entries_of(a_credential(revision=1).noted(action))
    assert not entry.detail


def test_an_entry_tells_who_when_and_what_came_of_it() -> None:
    credential = a_credential(revision=4, status=Status.DISCONNECTING, updated_at=NOON + timedelta(seconds=5))
    (entry,) = entries_of(credential.noted(Action.DISCONNECT_REQUESTED, by="arn:aws:iam::123456789012:user/admin"))
    assert (entry.client_id, entry.revision, entry.position) == (credential.client_id, 4, 0)
    assert (entry.by, entry.at) == ("arn:aws:iam::123456789012:user/admin", credential.updated_at)
    assert (entry.status, entry.event, entry.unpublished) == ("disconnecting", None, False)


def test_changed_organisations_are_named() -> None:
    credential = a_credential(revision=1, tenants=(DEMO_COMPANY,)).reaching((ELECTRO_LAND,))
    (entry,) = entries_of(credential)
    assert entry.detail == "+ Electro Land, - Demo Company (UK)"
