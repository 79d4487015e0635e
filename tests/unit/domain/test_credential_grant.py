"""The tokens of a credential: from a refresh, from a consent, and parked where the vault does not take them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.fakes.builders import a_credential, a_token, a_tokens_secret
from tests.fakes.world import NOON
from xero_connector.domain.checks import Check, CheckResult
from xero_connector.domain.credential import (
    ConsentGiven,
    Credential,
    IntegrationType,
    LastError,
    Lease,
)
from xero_connector.domain.errors import IllegalMove
from xero_connector.domain.history import Action
from xero_connector.domain.holding_tokens import holding, parking
from xero_connector.domain.parked_grant import ParkedGrant
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import StoredTokens

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tokens"
A_MINUTE = timedelta(minutes=1)
LATER = NOON + timedelta(minutes=18)
REQUEST, EARLIER_REQUEST = "b" * 64, "a" * 64
PASSED = Check(CheckResult.PASS, "Xero accepts this pair.", NOON - A_MINUTE)
FAILED = Check(CheckResult.FAIL, "Xero refuses this pair.", NOON - A_MINUTE)
GRANT: dict[str, Any] = {
    "grant_began": 2,
    "grant_consent": EARLIER_REQUEST,
    "grant_version_id": "v",
    "xero_user_id": "user-1",
}


def stored(generation: int = 3, *, minutes: float = 30, refresh_token: str | None = "refresh") -> StoredTokens:
    expires_at = int((NOON + timedelta(minutes=minutes)).timestamp())
    token = a_token(generation, expires_at=expires_at, refresh_token=refresh_token, scope="openid accounting")
    return StoredTokens(a_tokens_secret(generation=generation, token=token), ARN)


def refreshed(
    credential: Credential,
    tokens: StoredTokens | None = None,
    *,
    due_at: datetime = LATER,
    now: datetime = NOON,
) -> Credential:
    return holding(credential, tokens or stored(), due_at=due_at, now=now)


def consented(
    credential: Credential, *, user: str | None = "user-2", version_id: str | None = "version-of-the-consent"
) -> Credential:
    consent = ConsentGiven(REQUEST, user)
    return holding(credential, stored(), due_at=LATER, now=NOON, version_id=version_id, consent=consent)


def a_parked_grant(sealed: str = "sealed", *, consent: str | None = None) -> ParkedGrant:
    return ParkedGrant(sealed=sealed, obtained_at=NOON, consent=consent)


def parked(credential: Credential, grant: ParkedGrant) -> Credential:
    return parking(credential, grant, code="vault_away", detail="The vault is away.", due_at=LATER, now=NOON)


def grant_of(credential: Credential) -> dict[str, object]:
    return {name: getattr(credential, name) for name in GRANT}


# Is there something to refresh?

REFRESHABLE = {"connected", "degraded", "client_rejected"}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize(
    ("described", "statuses"),
    [
        pytest.param({}, set(), id="never connected"),
        pytest.param({"generation": 1}, REFRESHABLE, id="tokens"),
        pytest.param({"parked": a_parked_grant()}, REFRESHABLE | {"validated"}, id="parked by a refresh"),
        pytest.param(
            {"parked": a_parked_grant(consent=REQUEST)},
            REFRESHABLE | {"validated", "reauthorization_required"},
            id="parked by a consent",
        ),
        pytest.param(
            {"integration_type": IntegrationType.CUSTOM_CONNECTION},
            REFRESHABLE | {"validated"},
            id="Custom connection",
        ),
    ],
)
def test_a_credential_has_a_grant_in_these_statuses_only(
    status: Status, described: dict[str, Any], statuses: set[str]
) -> None:
    assert a_credential(status=status, **described).has_grant is (status in statuses)


# When the tokens are due


def test_without_tokens_nothing_is_due_by_the_cadence() -> None:
    credential = refreshed(a_credential(status=Status.CONNECTED))
    assert a_credential().refresh_due_at is None
    assert replace(credential, last_refreshed_at=None).refresh_due_at is None
    assert replace(credential, access_token_expires_at=None).refresh_due_at is None


def test_tokens_are_due_at_two_thirds_of_their_life_or_a_little_earlier() -> None:
    credential = refreshed(a_credential(status=Status.CONNECTED), stored(minutes=60))
    assert credential.refresh_due_at is not None
    assert timedelta(minutes=36) <= credential.refresh_due_at - NOON <= timedelta(minutes=40)


def test_each_generation_is_due_a_little_earlier_or_later_than_the_one_before() -> None:
    third, fourth = (
        refreshed(a_credential(status=Status.CONNECTED), stored(generation, minutes=60)) for generation in (3, 4)
    )
    assert third.refresh_due_at != fourth.refresh_due_at
    assert third.refresh_due_at == refreshed(third, stored(3, minutes=60)).refresh_due_at


# Stored tokens


def test_a_refresh_points_at_the_tokens_that_were_stored() -> None:
    credential = refreshed(
        a_credential(status=Status.CONNECTED, generation=2), due_at=LATER, now=NOON + timedelta(seconds=2)
    )
    assert (credential.generation, credential.tokens_secret_arn) == (3, ARN)
    assert credential.granted_scopes == ("openid", "accounting")
    assert credential.access_token_expires_at == NOON + timedelta(minutes=30)
    assert credential.last_refreshed_at == NOON
    assert credential.due_at == LATER
    assert credential.updated_at == NOON + timedelta(seconds=2)


def test_a_refresh_token_lives_60_days_from_the_answer_that_brought_it() -> None:
    credential = refreshed(a_credential(status=Status.CONNECTED), now=NOON + timedelta(seconds=2))
    assert credential.refresh_token_expires_at == NOON + timedelta(days=60)


def test_without_a_refresh_token_none_expires() -> None:
    before = a_credential(status=Status.CONNECTED, refresh_token_expires_at=NOON)
    assert refreshed(before, stored(refresh_token=None)).refresh_token_expires_at is None


def test_stored_tokens_end_all_trouble() -> None:
    troubled = a_credential(
        status=Status.DEGRADED,
        failures=4,
        last_error=LastError("unanswered", "-", NOON),
        parked=a_parked_grant(),
        unreadable_since=NOON,
        lease=Lease("me", LATER),
        attempt_started_at=NOON,
    )
    credential = refreshed(troubled)
    assert (credential.status, credential.failures, credential.last_error) == ("connected", 0, None)
    assert (credential.parked, credential.unreadable_since) == (None, None)
    assert (credential.lease, credential.attempt_started_at) == (None, None)


def test_each_stored_version_is_drawn_from_the_allowance() -> None:
    before = a_credential(status=Status.CONNECTED)
    after = refreshed(before)
    assert after.allowance.level_at(NOON) == before.allowance.level_at(NOON) - 1


@pytest.mark.parametrize(
    "status", [Status.PENDING_VALIDATION, Status.DISCONNECTING, Status.DISCONNECTED, Status.REJECTED]
)
def test_no_tokens_connect_a_credential_that_is_unproven_or_ended(status: Status) -> None:
    for connect in (refreshed, consented):
        with pytest.raises(IllegalMove):
            connect(a_credential(status=status))


def test_tokens_prove_the_pair() -> None:
    credential = refreshed(a_credential(status=Status.CLIENT_REJECTED, checks={"pair": FAILED}))
    assert credential.checks["pair"] == Check(CheckResult.PASS, "Xero gave tokens for this pair.", NOON)


def test_a_pair_that_was_proven_keeps_what_proved_it() -> None:
    credential = refreshed(a_credential(status=Status.CONNECTED, checks={"pair": PASSED}))
    assert credential.checks["pair"] == PASSED


# Whose grant it is


def test_a_refresh_changes_neither_the_consent_nor_the_user_of_a_grant() -> None:
    credential = refreshed(a_credential(status=Status.CONNECTED, generation=2, **GRANT))
    assert grant_of(credential) == GRANT


def test_a_consent_begins_a_grant_of_its_own() -> None:
    credential = consented(a_credential(status=Status.CONNECTED, generation=2, **GRANT))
    assert grant_of(credential) == {
        "grant_began": 3,
        "grant_consent": REQUEST,
        "grant_version_id": "version-of-the-consent",
        "xero_user_id": "user-2",
    }
    assert credential.tokens_version_id(3) == "version-of-the-consent"


def test_a_consent_that_used_its_generation_s_own_version_forgets_the_version_of_the_one_before() -> None:
    credential = consented(a_credential(status=Status.CONNECTED, **GRANT), version_id=None)
    assert credential.grant_version_id is None


@pytest.mark.parametrize(("before", "by"), [("user-2", "xero_user:user-2"), (None, "xero_user:user-2")])
def test_a_consent_of_the_first_user_or_of_the_same_one_replaces_no_user(before: str | None, by: str) -> None:
    note = consented(a_credential(xero_user_id=before)).notes[-1]
    assert (note.action, note.by) == (Action.CONNECTED, by)
    assert (note.detail, note.replaced_user_id) == (None, None)


def test_a_consent_of_another_user_says_whose_grant_it_replaces() -> None:
    note = consented(a_credential(xero_user_id="user-1"), user="user-2").notes[-1]
    assert (note.by, note.replaced_user_id) == ("xero_user:user-2", "user-1")
    assert note.detail is not None
    assert "Another Xero user" in note.detail


def test_a_consent_of_an_unknown_user_is_not_said_to_be_another_s() -> None:
    note = consented(a_credential(xero_user_id="user-1"), user=None).notes[-1]
    assert (note.by, note.detail, note.replaced_user_id) == ("xero_user", None, None)


@pytest.mark.parametrize(
    "status", [Status.VALIDATED, Status.CONNECTED, Status.DEGRADED, Status.REAUTHORIZATION_REQUIRED]
)
def test_a_consent_is_one_entry_behind_those_before_it(status: Status) -> None:
    credential = consented(a_credential(status=status).noted(Action.SCOPES_REFUSED))
    assert [note.action for note in credential.notes] == [Action.SCOPES_REFUSED, Action.CONNECTED]


# A consent that may have been cut off


def test_a_refresh_leaves_a_consent_to_be_looked_for_within_a_minute() -> None:
    credential = refreshed(a_credential(status=Status.CONNECTED, consenting=REQUEST, consenting_since=NOON))
    assert (credential.consenting, credential.consenting_since) == (REQUEST, NOON)
    assert credential.due_at == NOON + A_MINUTE


def test_looking_for_a_consent_makes_no_refresh_later() -> None:
    soon = NOON + timedelta(seconds=30)
    credential = refreshed(a_credential(status=Status.CONNECTED, consenting=REQUEST), due_at=soon)
    assert credential.due_at == soon


def test_a_consent_that_arrived_is_not_looked_for_any_more() -> None:
    credential = consented(a_credential(consenting=REQUEST, consenting_since=NOON))
    assert (credential.consenting, credential.consenting_since) == (None, None)
    assert credential.due_at == LATER


# Tokens that live too short for what readers are promised

SHORT = 18 + 5 - 1 / 60


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.VALIDATED, Status.CONNECTED),
        (Status.REAUTHORIZATION_REQUIRED, Status.CONNECTED),
        (Status.CONNECTED, Status.DEGRADED),
        (Status.DEGRADED, Status.DEGRADED),
        (Status.CLIENT_REJECTED, Status.DEGRADED),
    ],
)
def test_tokens_that_end_before_five_minutes_after_the_next_refresh_are_a_shortfall(
    before: Status, after: Status
) -> None:
    credential = refreshed(a_credential(status=before, failures=2), stored(minutes=SHORT))
    assert (credential.status, credential.failures) == (after, 0)
    assert credential.last_error is not None
    assert (credential.last_error.code, credential.last_error.at) == ("version_allowance", NOON)
    assert "lives 22 minutes" in credential.last_error.detail
    assert "The grant is safe." in credential.last_error.detail


@pytest.mark.parametrize("before", [Status.CONNECTED, Status.DEGRADED, Status.VALIDATED])
def test_the_trail_of_a_consent_with_short_lived_tokens_ends_where_the_credential_does(before: Status) -> None:
    consent = ConsentGiven(REQUEST, "user-2")
    credential = holding(
        a_credential(status=before), stored(minutes=SHORT), due_at=LATER, now=NOON, consent=consent
    )
    degraded = [Action.DEGRADED] if credential.status is Status.DEGRADED else []
    assert [note.action for note in credential.notes] == [Action.CONNECTED, *degraded]


def test_tokens_with_exactly_five_minutes_to_spare_are_no_shortfall() -> None:
    credential = refreshed(a_credential(status=Status.CONNECTED), stored(minutes=18 + 5))
    assert (credential.status, credential.last_error) == ("connected", None)


def test_tokens_that_have_ended_already_live_no_negative_time() -> None:
    credential = refreshed(a_credential(status=Status.CONNECTED), stored(minutes=-3))
    assert credential.last_error is not None
    assert "lives 0 minutes" in credential.last_error.detail


# Tokens that the vault does not take


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Status.VALIDATED, Status.VALIDATED),
        (Status.CONNECTED, Status.DEGRADED),
        (Status.DEGRADED, Status.DEGRADED),
        (Status.CLIENT_REJECTED, Status.CLIENT_REJECTED),
        (Status.REAUTHORIZATION_REQUIRED, Status.REAUTHORIZATION_REQUIRED),
    ],
)
def test_a_parked_token_degrades_only_what_was_connected(before: Status, after: Status) -> None:
    assert parked(a_credential(status=before), a_parked_grant()).status is after


def test_a_parked_token_is_kept_and_its_failure_counted() -> None:
    working = a_credential(failures=1, lease=Lease("me", LATER), attempt_started_at=NOON)
    credential = parked(working, a_parked_grant())
    assert credential.parked == a_parked_grant()
    assert credential.failures == 2
    assert credential.last_error == LastError("vault_away", "The vault is away.", NOON)
    assert (credential.lease, credential.attempt_started_at, credential.due_at) == (None, None, LATER)


def test_a_refreshed_token_takes_the_place_of_the_one_that_it_came_from() -> None:
    older = a_parked_grant("older")
    credential = parked(a_credential(parked=a_parked_grant("old"), earlier_grants=(older,)), a_parked_grant())
    assert credential.parked == a_parked_grant()
    assert credential.earlier_grants == (older,)


def test_a_refreshed_token_leaves_a_consent_to_be_looked_for() -> None:
    watching = a_credential(consenting=REQUEST, consenting_since=NOON)
    credential = parked(watching, a_parked_grant())
    assert (credential.consenting, credential.consenting_since) == (REQUEST, NOON)


def test_a_parked_consent_keeps_the_grant_that_was_parked_before_it() -> None:
    older, old = a_parked_grant("older"), a_parked_grant("old")
    new = a_parked_grant("new", consent=REQUEST)
    credential = parked(a_credential(parked=old, earlier_grants=(older,)), new)
    assert credential.parked == new
    assert credential.earlier_grants == (older, old)


def test_a_parked_consent_is_found_and_no_longer_looked_for() -> None:
    older = a_parked_grant("older")
    watching = a_credential(consenting=REQUEST, consenting_since=NOON, earlier_grants=(older,))
    credential = parked(watching, a_parked_grant(consent=REQUEST))
    assert (credential.consenting, credential.consenting_since) == (None, None)
    assert credential.earlier_grants == (older,)


def test_a_parked_token_does_not_show() -> None:
    assert "sealed-token" not in repr(a_parked_grant("sealed-token"))
