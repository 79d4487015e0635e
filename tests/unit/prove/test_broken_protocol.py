"""Each figure can fail: the protocol is broken on purpose, and the figure that watches over it moves."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest

from tests.prove import crash, long_run, races
from tests.prove.crash import CrashFigures, Variant
from tests.prove.long_run import LongRun, LongRunFigures
from tests.prove.progress import silent
from tests.prove.races import Kind, Race, RaceVerdict
from tests.prove.weather import Trouble, Weather
from tests.prove.xero import InProcessXero
from xero_connector.adapters import dynamodb_items
from xero_connector.adapters.dynamodb_history import DynamoDBHistory
from xero_connector.adapters.dynamodb_registry import DynamoDBRegistry
from xero_connector.domain import events
from xero_connector.domain.credential import ConsentGiven, Credential, Lease
from xero_connector.domain.errors import RevisionConflict
from xero_connector.domain.events import entries_of
from xero_connector.domain.history import HistoryEntry
from xero_connector.domain.status import Status
from xero_connector.domain.tokens import ClientPair, StoredTokens, TokenAnswer, TokensSecret, client_version_id
from xero_connector.services import commit_tokens, fail_refresh
from xero_connector.services.adopt_tokens import AdoptTokens
from xero_connector.services.commit_tokens import Version
from xero_connector.services.end_grants import EndGrants
from xero_connector.services.hold_lease import Change, HeldLease, unchanged
from xero_connector.services.list_tenants import Listing
from xero_connector.services.present_older_tokens import PresentOlderTokens
from xero_connector.services.publish_events import PublishEvents
from xero_connector.services.publishing_registry import PublishingRegistry
from xero_connector.services.store_tokens import StoreTokens
from xero_connector.services.vault_gate import VaultGate
from xero_connector.use_cases import submit_credential
from xero_connector.use_cases.replace_client_secret import ReplaceClientSecret
from xero_connector.use_cases.show_consent import ShowConsent

pytestmark = pytest.mark.prove

AT_ONCE = Variant(first_successor_survives=False, read_lag=0, away=0)


@pytest.fixture(scope="module")
def xero() -> InProcessXero:
    return InProcessXero()


def crashes(only: str) -> CrashFigures:
    return crash.measure(seed=1, share_of_pairs=0, progress=silent, variants=[AT_ONCE], only={only})


def race(xero: InProcessXero, kind: Kind, *, races_of_a_kind: int = 24) -> RaceVerdict:
    """Add up what some races of one kind did, in the world where a replay kills the first successor."""
    total = RaceVerdict()
    for seed in range(races_of_a_kind):
        verdict = races.run(xero, Race(f"broken/{seed}", kind, workers=5, first_successor_survives=False))
        total.double_refreshes += verdict.double_refreshes
        total.stale_overwrites += verdict.stale_overwrites
        total.grants_lost += verdict.grants_lost
    return total


def a_day(credentials: int = 10) -> LongRunFigures:
    run = LongRun(seed="broken", credentials=credentials, days=1, first_successor_survives=True)
    return long_run.run(run, silent)


@pytest.fixture
def strays() -> Iterator[None]:
    """Make every twentieth answer of the token endpoint one wrong refusal, in otherwise good weather."""
    calls = 0

    def trouble(_weather: Weather, _client_id: str, _now: datetime) -> Trouble | None:
        nonlocal calls
        calls += 1
        return Trouble.STRAY_INVALID_GRANT if calls % 20 == 0 else None

    with mock.patch.object(Weather, "of_refresh", trouble):
        yield


def commit_before_put(
    self: StoreTokens,
    lease: HeldLease,
    answer: TokenAnswer,
    listing: Listing,
    *,
    gate: VaultGate,
    list_after: Callable[[], Listing] | None = None,
    also: Change = unchanged,
    consent: ConsentGiven | None = None,
) -> Credential:
    del gate, list_after
    credential = lease.credential
    generation = credential.generation + 1
    secret = TokensSecret(
        client_id=credential.client_id,
        generation=generation,
        obtained_at=answer.obtained_at,
        token=answer.token,
        tenants=listing.tenants,
    )
    committed = self.commit_tokens(
        lease, Version(StoredTokens(secret, "arn"), None), listing, commit=lease.end, also=also, consent=consent
    )
    self.vault.put_tokens(secret, version_id=credential.tokens_version_id(generation))
    return committed


def test_nothing_is_lost_by_crashes_while_the_protocol_is_whole() -> None:
    assert crashes("refresh").grants_lost == 0


def test_commit_before_put_loses_grants() -> None:
    with mock.patch.object(StoreTokens, "and_end", commit_before_put):
        assert crashes("refresh").grants_lost > 0


def test_no_roll_forward_loses_grants() -> None:
    with mock.patch.object(AdoptTokens, "consent", return_value=None):
        assert crashes("first consent, sweep first").grants_lost > 0


def test_a_page_that_knows_the_request_alone_tells_what_is_not_so() -> None:
    assert crashes("first consent, sweep first").pages_untrue == 0
    with mock.patch.object(ShowConsent, "_alive", return_value=None):
        assert crashes("first consent, sweep first").pages_untrue > 0


def test_a_swap_that_commits_before_it_puts_loses_secrets() -> None:
    def swap(self: ReplaceClientSecret, client_id: str, client_secret: str, *, by: str) -> Credential:
        del by
        lease = self.hold_lease(self.find_credential(client_id))
        number = lease.credential.client_secret_number + 1
        swapped = lease.end(
            lambda credential, now: replace(credential, client_secret_number=number).released(
                due_at=lease.before.due_at, attempt_finished=True, now=now
            )
        )
        version_id = client_version_id(swapped.incarnation, number)
        self.vault.put_client_pair(ClientPair(client_id, client_secret), version_id=version_id)
        return swapped

    with mock.patch.object(ReplaceClientSecret, "__call__", swap):
        assert crashes("secret swap").secrets_lost > 0


def test_a_custom_connection_that_is_not_due_after_its_proof_gets_stuck() -> None:
    def proven(credential: Credential, _: datetime) -> Credential:
        return replace(credential.move_to(Status.VALIDATED), due_at=None)

    with mock.patch.object(submit_credential, "proven", proven):
        assert crashes("Custom connection, submit").stuck > 0


def test_a_custom_connection_that_stays_connected_at_xero_is_not_ended() -> None:
    with mock.patch.object(EndGrants, "_remove_connections"):
        assert crashes("Custom connection, disconnect").stuck > 0


def test_the_trail_and_the_bus_agree_while_the_outbox_is_whole() -> None:
    figures = crashes("submit")
    assert not figures.broken
    assert figures.status_changes > 0
    assert figures.events_published > 0


def test_entries_that_are_written_after_the_credential_leave_changes_untold() -> None:
    together = DynamoDBRegistry._write  # noqa: SLF001

    def one_by_one(self: DynamoDBRegistry, credential: Credential, **condition: Any) -> Credential:  # noqa: ANN401
        written = together(self, replace(credential, notes=()), **condition)
        for entry in entries_of(replace(written, notes=credential.notes)):
            item = dynamodb_items.entry_to_item(entry)
            self._table.write(item, only_if="attribute_not_exists(pk)")
        return written

    with mock.patch.object(DynamoDBRegistry, "_write", one_by_one):
        assert crashes("submit").broken.untold_changes > 0


def test_events_that_are_marked_before_they_are_published_get_lost() -> None:
    publish = PublishEvents._publish  # noqa: SLF001

    def mark_first(self: PublishEvents, entry: HistoryEntry) -> None:
        if entry.event is not None:
            self.history.mark_published(entry)
            publish(self, entry)

    with mock.patch.object(PublishEvents, "_publish", mark_first):
        assert crashes("submit").broken.events_lost > 0


def test_events_that_the_schedule_does_not_publish_get_lost() -> None:
    with mock.patch.object(PublishEvents, "left_over", return_value=0):
        assert crashes("submit").broken.events_lost > 0
        assert a_day().broken.events_lost > 0


def test_events_that_are_published_before_the_write_can_be_untrue() -> None:
    def save(self: PublishingRegistry, credential: Credential) -> Credential:
        self.publish_events.at_once(entries_of(replace(credential, revision=credential.revision + 1)))
        return self.registry.save(credential)

    with mock.patch.object(PublishingRegistry, "save", save):
        assert crashes("disconnect").broken.events_untrue > 0


def test_an_event_id_that_is_made_up_each_time_is_untrue() -> None:
    def made_up(_: UUID, __: str) -> UUID:
        return uuid4()

    with mock.patch.object(events, "uuid5", made_up):
        assert crashes("submit").broken.events_untrue > 0


def test_an_event_that_tells_when_it_is_published_is_altered() -> None:
    publish = PublishEvents._publish  # noqa: SLF001

    def dated(self: PublishEvents, entry: HistoryEntry) -> None:
        now = self.clock().isoformat()
        publish(self, replace(entry, event=None if entry.event is None else {**entry.event, "occurred_at": now}))

    with mock.patch.object(PublishEvents, "_publish", dated):
        assert crashes("submit").broken.events_altered > 0


def test_an_event_that_is_not_marked_is_left_waiting() -> None:
    with mock.patch.object(DynamoDBHistory, "mark_published"):
        figures = crashes("submit")
    assert figures.broken.events_left_waiting > 0
    assert figures.events_repeated > 0


def test_the_lease_and_its_fence_hold_while_they_are_whole(xero: InProcessXero) -> None:
    assert race(xero, Kind.CALM).double_refreshes == 0
    assert race(xero, Kind.OVERRUN, races_of_a_kind=400).stale_overwrites == 0


def test_a_lease_that_is_not_respected_refreshes_twice(xero: InProcessXero) -> None:
    def leased(
        self: Credential, owner: str, *, now: datetime, duration: timedelta, consenting: str | None = None
    ) -> Credential:
        until = now + duration
        return replace(
            self,
            lease=Lease(owner, until),
            due_at=now,
            attempt_started_at=now,
            consenting=consenting,
            updated_at=now,
        )

    with mock.patch.object(Credential, "leased", leased):
        assert race(xero, Kind.CALM).double_refreshes > 0


def test_a_lease_without_a_fence_overwrites_with_stale_tokens(xero: InProcessXero) -> None:
    def reread(self: HeldLease, _: RevisionConflict) -> None:
        present = self.registry.get(self.credential.client_id)
        assert present is not None
        self.credential = present

    with mock.patch.object(HeldLease, "_reread", reread):
        assert race(xero, Kind.OVERRUN, races_of_a_kind=400).stale_overwrites > 0


@pytest.mark.usefixtures("strays")
def test_a_stray_refusal_costs_nothing_while_a_second_is_asked_for() -> None:
    assert a_day().grants_lost == 0


@pytest.mark.usefixtures("strays")
def test_invalid_grant_believed_at_once_loses_grants() -> None:
    def believed(*_: Any, **__: Any) -> bool:  # noqa: ANN401
        return True

    with (
        mock.patch.object(fail_refresh, "confirms_dead_grant", believed),
        # Older tokens would save the grant even then.
        mock.patch.object(PresentOlderTokens, "__call__", return_value=None),
    ):
        assert a_day().grants_lost > 0


@pytest.mark.parametrize(
    ("minutes", "broken"),
    [(27, "min_seconds_left"), (12, "max_versions_per_secret_per_day")],
)
def test_another_cadence_breaks_a_bound(minutes: int, broken: str) -> None:
    def due(_: str, *, obtained_at: datetime, **__: object) -> datetime:
        return obtained_at + timedelta(minutes=minutes)

    with mock.patch.object(commit_tokens, "next_refresh", due):
        figures = a_day(credentials=3)
    assert not figures.passed
    assert {"min_seconds_left": figures.min_seconds_left < 300}.get(
        broken, figures.max_versions_per_secret_per_day > 90
    )
