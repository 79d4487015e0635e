from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, NOON, SETTINGS, World
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import Conflict, PairRefused, StoreUnavailable
from xero_connector.domain.status import FINAL, Status
from xero_connector.domain.submission import Submission
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind
from xero_connector.domain.tokens import ClientPair
from xero_connector.use_cases.submit_credential import Submitted

PAIR = ClientPair(CLIENT_ID, CLIENT_SECRET)


def submit(world: World, **changes: object) -> Submitted:
    submission = Submission(pair=PAIR, label="Electro Land", integration_type=IntegrationType.WEB_APP, scopes=None)
    return world.app.submit_credential(replace(submission, **changes), submitted_by=ADMIN)  # type: ignore[arg-type] # any field


def known_to_xero(world: World) -> None:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET


def stored_pair(world: World) -> ClientPair | None:
    return world.vault.get_client_pair(CLIENT_ID, version_id=world.credential().client_version_id)


def assert_no_trace(world: World) -> None:
    assert world.registry.rows == {}
    assert world.registry.reservations == {}
    assert world.vault.versions == {}
    assert world.consents.tickets == {}


def test_a_good_pair_is_proven_and_kept(world: World) -> None:
    known_to_xero(world)
    credential = submit(world).credential
    assert credential == world.credential()
    assert credential.status is Status.VALIDATED
    assert credential.checks["pair"].result is CheckResult.PASS
    assert credential.checks["pair"].checked_at == NOON
    assert credential.checks["redirect_uri"].result is CheckResult.PASS
    assert credential.checks["scopes"].result is CheckResult.PASS
    assert (credential.label, credential.created_by, credential.created_at) == ("Electro Land", ADMIN, NOON)
    assert credential.due_at is None
    assert credential.generation == 0
    assert stored_pair(world) == PAIR
    assert world.registry.reservations == {}


def test_a_good_pair_comes_with_a_link_that_works(world: World) -> None:
    known_to_xero(world)
    link = submit(world).connect_link
    assert link is not None
    assert link.expires_at == NOON + timedelta(days=7)
    base, ticket = link.connect_url.rsplit("/", 1)
    assert base == "https://cloudmanager.oneenterprise.com/connect"
    assert f"client_id={CLIENT_ID}" in world.app.start_consent(ticket, binding=None).authorization_url


def test_nothing_that_could_mint_a_token_is_sent(world: World) -> None:
    known_to_xero(world)
    submit(world)
    assert world.xero.calls == ["exchange_code", "exchange_code", "probe"]


def test_scopes_are_the_deployment_s_unless_the_admin_names_some(world: World) -> None:
    known_to_xero(world)
    assert submit(world).credential.requested_scopes == SETTINGS.scopes
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    named = ("offline_access", "openid", "accounting.invoices")
    assert submit(world, scopes=named).credential.requested_scopes == named


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
@pytest.mark.parametrize("answers_before", [0, 1])
def test_without_a_definite_answer_the_secret_is_kept_safe(
    world: World, kind: FailureKind, answers_before: int
) -> None:
    known_to_xero(world)
    world.xero.failures.extend([FailureKind.INVALID_GRANT] * answers_before + [kind])
    submitted = submit(world)
    assert submitted.connect_link is None
    assert submitted.credential.status is Status.PENDING_VALIDATION
    assert submitted.credential.checks["pair"].result is CheckResult.UNKNOWN
    assert stored_pair(world) == PAIR
    assert world.registry.reservations == {}


def test_a_pending_pair_is_due_within_two_minutes(world: World) -> None:
    world.xero.failures.append(FailureKind.UNANSWERED)
    due_at = submit(world).credential.due_at
    assert due_at is not None
    # The sweep comes once a minute.
    assert due_at + timedelta(minutes=1) <= NOON + timedelta(minutes=2)


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([FailureKind.INVALID_CLIENT], "invalid_client"),
        ([FailureKind.UNAUTHORIZED_CLIENT], "custom_connection"),
        ([FailureKind.INVALID_GRANT, FailureKind.INVALID_GRANT], "mobile_app"),
        ([FailureKind.INVALID_GRANT, FailureKind.UNAUTHORIZED_CLIENT], "mobile_app"),
    ],
)
def test_a_refused_pair_leaves_no_trace(world: World, answers: list[FailureKind], code: str) -> None:
    known_to_xero(world)
    world.xero.failures.extend(answers)
    with pytest.raises(PairRefused) as refused:
        submit(world)
    assert refused.value.code == code
    assert refused.value.hint
    assert CLIENT_SECRET not in refused.value.detail + refused.value.hint
    assert_no_trace(world)


def test_a_wrong_secret_is_refused_by_xero_itself(world: World) -> None:
    world.xero.secrets[CLIENT_ID] = "another"
    with pytest.raises(PairRefused, match="Xero knows this client ID, but refuses the client secret"):
        submit(world)
    assert_no_trace(world)


def test_an_app_whose_secret_is_not_checked_is_recognised(world: World) -> None:
    world.xero.checks_secrets = False
    with pytest.raises(PairRefused, match="Mobile or desktop app"):
        submit(world)
    assert_no_trace(world)


def test_a_refused_pair_can_be_corrected_at_once(world: World) -> None:
    world.xero.secrets[CLIENT_ID] = "another"
    with pytest.raises(PairRefused):
        submit(world)
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    assert submit(world).credential.status is Status.VALIDATED


@pytest.mark.parametrize("status", sorted(set(Status) - FINAL))
def test_a_known_client_id_is_a_conflict(world: World, status: Status) -> None:
    world.registry.create(a_credential(status=status), replacing=None)
    with pytest.raises(Conflict) as conflict:
        submit(world)
    assert conflict.value.code == "credential_exists"
    assert world.xero.calls == []
    assert world.vault.versions == {}
    assert world.registry.reservations == {}


def test_of_two_submissions_at_once_one_wins(world: World) -> None:
    known_to_xero(world)
    conflicts: list[str] = []

    def the_other() -> None:
        with pytest.raises(Conflict) as conflict:
            submit(world, label="the other")
        conflicts.append(conflict.value.code)

    step_in(world.xero, "exchange_code", before=the_other)
    assert submit(world).credential.label == "Electro Land"
    assert conflicts == ["submission_in_progress"]
    assert world.registry.reservations == {}


def test_a_submission_that_died_blocks_its_client_id_for_a_minute_only(world: World) -> None:
    known_to_xero(world)
    world.registry.reserve(CLIENT_ID, owner="dead", now=NOON, until=NOON + timedelta(seconds=60))
    with pytest.raises(Conflict, match="right now"):
        submit(world)
    world.advance(61)
    assert submit(world).credential.status is Status.VALIDATED


def test_a_submission_that_overran_its_reservation_does_not_overwrite(world: World) -> None:
    known_to_xero(world)

    def another_wins() -> None:
        world.registry.create(a_credential(label="the winner"), replacing=None)

    step_in(world.vault, "put_client_pair", after=another_wins)
    with pytest.raises(Conflict) as conflict:
        submit(world)
    assert conflict.value.code == "credential_exists"
    assert world.credential().label == "the winner"


def test_the_secret_is_safe_before_the_credential_promises_it(world: World) -> None:
    known_to_xero(world)
    step_in(world.vault, "put_client_pair", before=die)
    with pytest.raises(ProcessDied):
        submit(world)
    assert world.registry.rows == {}


def test_after_dying_between_vault_and_registry_the_pair_can_be_submitted_again(world: World) -> None:
    known_to_xero(world)
    step_in(world.registry, "create", before=die)
    with pytest.raises(ProcessDied):
        submit(world)
    assert world.registry.rows == {}
    left_behind = set(world.vault.versions[world.vault.client_secret_name(CLIENT_ID)])
    world.advance(61)
    credential = submit(world).credential
    assert credential.status is Status.VALIDATED
    assert credential.client_version_id not in left_behind
    assert stored_pair(world) == PAIR


def test_a_pair_that_was_disconnected_starts_a_new_life(world: World) -> None:
    past = world.connect()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.advance(60)
    present = world.connect()
    assert present.status is Status.CONNECTED
    assert present.generation == 1
    assert present.incarnation != past.incarnation
    assert present.created_at == NOON + timedelta(seconds=60)
    assert world.vault.deleted == set()
    assert stored_pair(world) == PAIR
    assert world.vault.current_tokens(CLIENT_ID).generation == 1


def test_a_new_life_never_meets_the_versions_of_the_past(world: World) -> None:
    past = world.connect()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    present = world.submit()
    used_before = {past.tokens_version_id(number) for number in range(50)} | {past.client_version_id}
    assert used_before.isdisjoint(
        {present.tokens_version_id(number) for number in range(50)} | {present.client_version_id}
    )


def test_a_rejected_pair_can_be_submitted_again(world: World) -> None:
    world.xero.failures.append(FailureKind.UNANSWERED)
    past = submit(world).credential
    assert world.reject().status is Status.REJECTED
    known_to_xero(world)
    present = submit(world).credential
    assert present.status is Status.VALIDATED
    assert present.incarnation != past.incarnation
    assert present.last_error is None
    assert stored_pair(world) == PAIR


def test_a_new_life_that_is_refused_leaves_the_past_as_it_was(world: World) -> None:
    world.connect()
    past = world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.xero.secrets[CLIENT_ID] = "another"
    with pytest.raises(PairRefused):
        submit(world)
    assert world.credential() == past
    assert world.vault.deleted == set(world.vault.versions)
    assert world.registry.reservations == {}


def test_a_reservation_that_cannot_be_ended_costs_no_submission(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(client_id: str, *, owner: str) -> None:
        del client_id, owner
        raise StoreUnavailable("DeleteItem", "ThrottlingException")

    monkeypatch.setattr(world.registry, "unreserve", unavailable)
    assert world.submit().status is Status.VALIDATED
