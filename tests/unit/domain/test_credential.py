"""A credential: its versions, its moves and its lease. `test_credential_grant.py` has its tokens."""

from dataclasses import fields, replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from tests.fakes.builders import INCARNATION, a_credential
from tests.fakes.world import CLIENT_ID, NOON
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND
from xero_connector.domain.checks import Check, CheckResult
from xero_connector.domain.credential import Credential, IntegrationType, LastError, Lease
from xero_connector.domain.errors import IllegalMove, LeaseUnavailable
from xero_connector.domain.history import Action, Note
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import client_version_id, tokens_version_id

A_SECOND = timedelta(seconds=1)
A_MINUTE = timedelta(minutes=1)
LATER = NOON + timedelta(hours=1)
OTHER_INCARNATION = UUID("00000000-0000-0000-0000-000000000001")
ONE_CONSENT, ANOTHER_CONSENT = "a" * 64, "b" * 64


def changes(before: Credential, after: Credential) -> set[str]:
    """The names of the fields that are not as they were."""
    return {one.name for one in fields(before) if getattr(before, one.name) != getattr(after, one.name)}


# Where its secrets are


def test_each_client_secret_has_a_version_of_its_own() -> None:
    first, second = (a_credential(client_secret_number=number) for number in (1, 2))
    assert first.client_version_id == client_version_id(INCARNATION, 1)
    assert second.client_version_id == client_version_id(INCARNATION, 2)
    assert first.client_version_id != second.client_version_id


def test_each_generation_of_tokens_has_a_version_of_its_own() -> None:
    credential = a_credential(generation=2, grant_began=1)
    assert [credential.tokens_version_id(generation) for generation in (1, 2, 3)] == [
        tokens_version_id(INCARNATION, generation) for generation in (1, 2, 3)
    ]


def test_the_first_tokens_of_a_consent_are_where_the_consent_stored_them() -> None:
    credential = a_credential(generation=4, grant_began=3, grant_version_id="version-of-the-consent")
    assert credential.tokens_version_id(3) == "version-of-the-consent"
    assert [credential.tokens_version_id(generation) for generation in (2, 4)] == [
        tokens_version_id(INCARNATION, generation) for generation in (2, 4)
    ]


def test_a_client_id_that_is_submitted_again_shares_no_version_with_its_past() -> None:
    past, present = a_credential(), a_credential(incarnation=OTHER_INCARNATION)
    assert past.client_version_id != present.client_version_id
    assert past.tokens_version_id(1) != present.tokens_version_id(1)


def test_a_sealed_token_is_bound_to_one_client_id_and_one_incarnation() -> None:
    contexts = {
        a_credential().seal_context,
        a_credential("F" * 32).seal_context,
        a_credential(incarnation=OTHER_INCARNATION).seal_context,
    }
    assert len(contexts) == 3
    assert f"{CLIENT_ID}/{INCARNATION}" in contexts


# When there is something to do


@pytest.mark.parametrize(
    ("due_at", "is_due"),
    [(None, False), (NOON - A_SECOND, True), (NOON, True), (NOON + timedelta(microseconds=1), False)],
)
def test_a_credential_is_due_from_its_due_time_on(due_at: datetime | None, *, is_due: bool) -> None:
    assert a_credential(due_at=due_at).is_due(NOON) is is_due


@pytest.mark.parametrize("status", Status)
def test_a_web_app_takes_consent_in_four_statuses_and_a_custom_connection_in_none(
    status: Status,
) -> None:
    allowed = status in {"validated", "connected", "degraded", "reauthorization_required"}
    assert a_credential(status=status).takes_consent is allowed
    custom = a_credential(status=status, integration_type=IntegrationType.CUSTOM_CONNECTION)
    assert custom.takes_consent is False


# Moves


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        (Status.PENDING_VALIDATION, Status.VALIDATED, Action.VALIDATED),
        (Status.PENDING_VALIDATION, Status.REJECTED, Action.REJECTED),
        (Status.REJECTED, Status.VALIDATED, Action.VALIDATED),
        (Status.VALIDATED, Status.CONNECTED, Action.CONNECTED),
        (Status.CONNECTED, Status.DEGRADED, Action.DEGRADED),
        (Status.DEGRADED, Status.CONNECTED, Action.RECOVERED),
        (Status.CLIENT_REJECTED, Status.CONNECTED, Action.CONNECTED),
        (Status.CLIENT_REJECTED, Status.DEGRADED, Action.DEGRADED),
        (Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED, Action.REAUTHORIZATION_REQUIRED),
        (Status.REAUTHORIZATION_REQUIRED, Status.CONNECTED, Action.CONNECTED),
        (Status.VALIDATED, Status.CLIENT_REJECTED, Action.CLIENT_REJECTED),
        (Status.CONNECTED, Status.DISCONNECTING, Action.DISCONNECT_REQUESTED),
        (Status.DISCONNECTING, Status.DISCONNECTED, Action.DISCONNECTED),
    ],
)
def test_a_move_changes_the_status_and_the_audit_trail_and_nothing_else(
    before: Status, after: Status, action: Action
) -> None:
    credential = a_credential(status=before, due_at=NOON, generation=3).noted(Action.REFRESH_REQUESTED)
    moved = credential.move_to(after, by="another")
    assert changes(credential, moved) == {"status", "notes"}
    assert moved.status is after
    assert moved.notes == (*credential.notes, Note(action=action, by="another"))


def test_a_move_is_the_connector_s_unless_it_says_who_asked() -> None:
    (note,) = a_credential().move_to(Status.CONNECTED).notes
    assert note.by == "connector"


@pytest.mark.parametrize("status", Status)
def test_a_move_to_the_status_that_a_credential_has_changes_nothing(status: Status) -> None:
    credential = a_credential(status=status)
    assert credential.move_to(status) == credential


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.PENDING_VALIDATION, Status.CONNECTED),
        (Status.VALIDATED, Status.DEGRADED),
        (Status.REJECTED, Status.CONNECTED),
        (Status.DISCONNECTING, Status.CONNECTED),
        (Status.DISCONNECTED, Status.VALIDATED),
    ],
)
def test_a_move_that_is_not_in_the_table_is_refused(before: Status, after: Status) -> None:
    with pytest.raises(IllegalMove, match=f"from {before} to {after}"):
        a_credential(status=before).move_to(after)


# Organisations


def test_organisations_that_came_and_went_are_noted_behind_what_was_noted_before() -> None:
    credential = a_credential(tenants=(DEMO_COMPANY,)).noted(Action.REFRESH_REQUESTED, by="another")
    changed = credential.reaching((ELECTRO_LAND,))
    assert changes(credential, changed) == {"tenants", "notes"}
    assert changed.notes[:-1] == credential.notes
    note = changed.notes[-1]
    assert (note.action, note.by) == (Action.TENANTS_CHANGED, "connector")
    assert (note.added, note.removed) == ((ELECTRO_LAND,), (DEMO_COMPANY,))


def test_one_more_organisation_is_an_arrival_only() -> None:
    (note,) = a_credential(tenants=(DEMO_COMPANY,)).reaching((DEMO_COMPANY, ELECTRO_LAND)).notes
    assert (note.added, note.removed) == ((ELECTRO_LAND,), ())


def test_organisations_that_all_went_are_departures_only() -> None:
    (note,) = a_credential(tenants=(DEMO_COMPANY, ELECTRO_LAND)).reaching(()).notes
    assert (note.added, note.removed) == ((), (DEMO_COMPANY, ELECTRO_LAND))


def test_an_organisation_that_was_renamed_is_replaced_and_not_noted() -> None:
    renamed = replace(DEMO_COMPANY, tenant_name="Demo Ltd")
    credential = a_credential(tenants=(DEMO_COMPANY,))
    changed = credential.reaching((renamed,))
    assert changes(credential, changed) == {"tenants"}
    assert changed.tenants == (renamed,)


# The lease


def taken(credential: Credential, owner: str = "me", *, consenting: str | None = None) -> Credential:
    return credential.leased(owner, now=NOON, duration=A_MINUTE, consenting=consenting)


def leased_until(moment: datetime, *, attempt_started_at: datetime | None = None) -> Credential:
    return a_credential(lease=Lease("another", moment), attempt_started_at=attempt_started_at)


def test_a_free_lease_is_taken_and_starts_an_attempt() -> None:
    credential = taken(a_credential(updated_at=NOON - A_MINUTE))
    assert credential.lease == Lease("me", NOON + A_MINUTE)
    assert credential.attempt_started_at == NOON
    assert credential.updated_at == NOON


def test_a_credential_falls_due_when_its_lease_ends() -> None:
    assert taken(a_credential(due_at=LATER)).due_at == NOON + A_MINUTE


def test_a_running_lease_is_refused_to_another_holder() -> None:
    with pytest.raises(LeaseUnavailable, match=CLIENT_ID):
        taken(leased_until(NOON + timedelta(microseconds=1)))


@pytest.mark.parametrize("until", [NOON, NOON - A_MINUTE])
def test_a_lease_that_has_run_out_is_taken_over(until: datetime) -> None:
    assert taken(leased_until(until)).lease == Lease("me", NOON + A_MINUTE)


def test_a_holder_may_take_its_own_lease_for_longer() -> None:
    earlier = NOON - A_SECOND
    credential = a_credential().leased("me", now=earlier, duration=A_MINUTE)
    renewed = taken(credential)
    assert renewed.lease == Lease("me", NOON + A_MINUTE)
    assert renewed.attempt_started_at == earlier


def test_a_renewed_lease_starts_no_attempt_anew_once_the_outcome_is_known() -> None:
    credential = replace(taken(a_credential()), attempt_started_at=None)
    assert taken(credential).attempt_started_at is None


def test_an_attempt_that_was_cut_off_keeps_its_beginning_under_the_next_holder() -> None:
    cut_off = leased_until(NOON, attempt_started_at=NOON - A_MINUTE)
    assert taken(cut_off).attempt_started_at == NOON - A_MINUTE


def test_a_consent_starts_no_attempt_and_says_which_one_it_is() -> None:
    credential = taken(a_credential(), consenting=ONE_CONSENT)
    assert credential.attempt_started_at is None
    assert (credential.consenting, credential.consenting_since) == (ONE_CONSENT, NOON)


def test_a_consent_leaves_an_attempt_open_that_was_cut_off() -> None:
    cut_off = a_credential(attempt_started_at=NOON - A_MINUTE)
    assert taken(cut_off, consenting=ONE_CONSENT).attempt_started_at == NOON - A_MINUTE


def test_a_consent_that_may_have_been_cut_off_is_still_looked_for_under_the_next_holder() -> None:
    cut_off = a_credential(consenting=ONE_CONSENT, consenting_since=NOON - A_MINUTE)
    credential = taken(cut_off)
    assert (credential.consenting, credential.consenting_since) == (ONE_CONSENT, NOON - A_MINUTE)


def test_a_newer_consent_is_looked_for_instead_of_an_older_one() -> None:
    older = a_credential(consenting=ONE_CONSENT, consenting_since=NOON - A_MINUTE)
    credential = taken(older, consenting=ANOTHER_CONSENT)
    assert (credential.consenting, credential.consenting_since) == (ANOTHER_CONSENT, NOON)


def test_a_holder_that_is_done_gives_back_the_lease_and_ends_the_attempt() -> None:
    credential = taken(a_credential()).released(due_at=LATER, attempt_finished=True, now=NOON + A_SECOND)
    assert (credential.lease, credential.attempt_started_at) == (None, None)
    assert (credential.due_at, credential.updated_at) == (LATER, NOON + A_SECOND)


def test_an_attempt_of_unknown_outcome_outlives_its_lease() -> None:
    credential = taken(a_credential()).released(due_at=LATER, attempt_finished=False, now=NOON + A_SECOND)
    assert (credential.lease, credential.attempt_started_at) == (None, NOON)


def test_a_lease_is_given_back_without_forgetting_a_consent_that_is_looked_for() -> None:
    consenting = taken(a_credential(), consenting=ONE_CONSENT)
    credential = consenting.released(due_at=None, attempt_finished=True, now=NOON)
    assert (credential.consenting, credential.consenting_since) == (ONE_CONSENT, NOON)
    assert credential.due_at is None


def test_a_consent_that_ended_leaves_the_one_before_to_be_looked_for() -> None:
    before = a_credential(consenting=ONE_CONSENT, consenting_since=NOON - A_MINUTE)
    credential = taken(before, consenting=ANOTHER_CONSENT)
    looking = credential.looking_for(before)
    assert changes(credential, looking) == {"consenting", "consenting_since"}
    assert (looking.consenting, looking.consenting_since) == (ONE_CONSENT, NOON - A_MINUTE)


def test_a_consent_that_ended_leaves_nothing_to_look_for_where_there_was_nothing() -> None:
    before = a_credential()
    looking = taken(before, consenting=ANOTHER_CONSENT).looking_for(before)
    assert (looking.consenting, looking.consenting_since) == (None, None)


# Failures and checks


def test_a_failure_is_counted_and_its_reason_kept() -> None:
    credential = a_credential(failures=2, last_error=LastError("older", "-", NOON))
    failed = credential.failed(code="unanswered", detail="Xero did not answer.", now=LATER)
    assert changes(credential, failed) == {"failures", "last_error", "updated_at"}
    assert failed.failures == 3
    assert failed.last_error == LastError("unanswered", "Xero did not answer.", LATER)
    assert failed.updated_at == LATER


def test_a_new_check_leaves_the_other_checks_as_they_were() -> None:
    passed = Check(CheckResult.PASS, "Good.", NOON)
    credential = a_credential().checked(pair=passed)
    assert credential.checks["pair"] == passed
    assert {name: check for name, check in credential.checks.items() if name != "pair"} == {
        name: check for name, check in a_credential().checks.items() if name != "pair"
    }


def test_an_advisory_check_without_a_result_takes_no_result_away() -> None:
    failed = Check(CheckResult.FAIL, "Not registered.", NOON)
    credential = a_credential().checked(redirect_uri=failed)
    unknown = Check(CheckResult.UNKNOWN, "No definite answer.", LATER)
    assert credential.checked(redirect_uri=unknown).checks["redirect_uri"] == failed


def test_a_new_credential_passes_and_fails_no_check() -> None:
    assert {name: check.result for name, check in a_credential().checks.items()} == {
        "pair": "unknown",
        "redirect_uri": "unknown",
        "scopes": "unknown",
    }
