from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, NOON, SETTINGS, World
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND, GRANTED
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.consent import BrowserBinding, RequestPhase, digest, new_token
from xero_connector.domain.errors import ConsentRefused, StoreUnavailable
from xero_connector.domain.status import CONSENTABLE, Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind
from xero_connector.services.exchange_code import Connected
from xero_connector.use_cases.complete_consent import Callback

CODE = "the-code"
BOTH = (DEMO_COMPANY, ELECTRO_LAND)


class Visit:
    """One browser on its way back from Xero, with a code that Xero will take."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.browser, self.state = world.open_link()
        world.xero.codes.add(CODE)
        world.xero.calls.clear()

    def call_back(self, **changes: str | None) -> Connected:
        answer: dict[str, str | None] = {"code": CODE, **changes}
        return self.world.call_back(self.browser, self.state, **answer)

    def refused(self, **changes: str | None) -> ConsentRefused:
        return refusal(lambda: self.call_back(**changes))

    @property
    def phase(self) -> RequestPhase:
        return self.world.consents.requests[digest(self.state)].phase

    @property
    def kept_refusal(self) -> str | None:
        return self.world.consents.requests[digest(self.state)].refusal

    @property
    def exchanges(self) -> int:
        return self.world.xero.calls.count("exchange_code")


def refusal(call: Callable[[], object]) -> ConsentRefused:
    with pytest.raises(ConsentRefused) as refused:
        call()
    assert refused.value.detail
    assert refused.value.key
    return refused.value


def unavailable() -> None:
    raise StoreUnavailable("PutItem", "ServiceUnavailable")


def hold_lease(world: World, *, seconds: float) -> None:
    """Another holder works on the credential."""
    world.registry.save(world.credential().leased("another", now=world.now, duration=timedelta(seconds=seconds)))


def give_lease_back(world: World) -> None:
    world.registry.save(world.credential().released(due_at=None, attempt_finished=True, now=world.now))


@pytest.fixture
def visit(world: World) -> Visit:
    world.submit()
    return Visit(world)


def test_a_consent_connects(world: World, visit: Visit) -> None:
    assert visit.call_back() == Connected(BOTH, tenants_pending=False, repeated=False)
    credential = world.credential()
    assert credential.status is Status.CONNECTED
    assert credential.tenants == BOTH
    assert credential.generation == 1
    assert credential.granted_scopes == tuple(GRANTED.split())
    assert {check.result for check in credential.checks.values()} == {CheckResult.PASS}
    assert credential.access_token_expires_at == NOON + timedelta(minutes=30)
    assert credential.refresh_token_expires_at == NOON + timedelta(days=60)
    assert credential.last_refreshed_at == NOON
    assert (credential.lease, credential.attempt_started_at, credential.last_error, credential.failures) == (
        None,
        None,
        None,
        0,
    )
    assert visit.phase is RequestPhase.COMPLETED


def test_what_a_consumer_reads_is_the_whole_answer(world: World, visit: Visit) -> None:
    visit.call_back()
    secret = world.vault.current_tokens(CLIENT_ID)
    assert (secret.token.access_token, secret.token.refresh_token) == ("access-1", "refresh-1")
    assert secret.tenants == BOTH
    credential = world.credential()
    stored = world.vault.get_tokens(CLIENT_ID, version_id=credential.tokens_version_id(1))
    assert stored is not None
    assert (stored.secret, stored.arn) == (secret, credential.tokens_secret_arn)


def test_a_first_refresh_is_due_at_two_thirds_of_the_life(world: World, visit: Visit) -> None:
    visit.call_back()
    due_at = world.credential().due_at
    assert due_at is not None
    assert timedelta(minutes=18) <= due_at - NOON <= timedelta(minutes=20)


def test_a_callback_that_comes_twice_shows_the_same_and_exchanges_nothing(world: World, visit: Visit) -> None:
    first = visit.call_back()
    credential, calls = world.credential(), list(world.xero.calls)
    for _ in range(3):
        world.advance(100)
        assert visit.call_back() == replace(first, repeated=True)
    assert world.xero.calls == calls
    assert world.credential() == credential


def test_a_repeated_callback_shows_success_even_with_an_error_in_it(visit: Visit) -> None:
    visit.call_back()
    assert visit.call_back(error="access_denied").repeated


@pytest.mark.parametrize("state", [None, "", "x", "A" * 43, "\ud800" * 43, "x" * 100_000])
def test_a_state_that_is_not_known(world: World, visit: Visit, state: str | None) -> None:
    refused = refusal(lambda: world.call_back(visit.browser, state, code=CODE))
    assert refused.code == "state_unknown"
    assert refused.ticket is None
    assert visit.exchanges == 0


def test_a_state_lives_for_an_hour(world: World, visit: Visit) -> None:
    world.advance(3600)
    refused = visit.refused()
    assert refused.code == "state_expired"
    assert refused.ticket == visit.browser.ticket
    assert visit.exchanges == 0


def test_a_state_at_the_end_of_its_hour(world: World, visit: Visit) -> None:
    world.advance(3599)
    assert visit.call_back().tenants == BOTH


@pytest.mark.parametrize(
    "other",
    [
        None,
        BrowserBinding("ticket", new_token()),
        BrowserBinding("ticket", ""),
    ],
)
def test_a_callback_in_another_browser(world: World, visit: Visit, other: BrowserBinding | None) -> None:
    refused = refusal(lambda: world.call_back(other, visit.state, code=CODE))
    assert refused.code == "wrong_browser"
    # A user who was sent here by an attacker must not be handed the attacker's link.
    assert refused.ticket is None
    assert visit.exchanges == 0
    assert visit.call_back().tenants == BOTH


def test_another_browser_cannot_end_the_consent_either(world: World, visit: Visit) -> None:
    assert refusal(lambda: world.call_back(None, visit.state, error="access_denied")).code == "wrong_browser"
    assert visit.call_back().tenants == BOTH


def test_another_browser_does_not_learn_of_a_success(world: World, visit: Visit) -> None:
    visit.call_back()
    assert refusal(lambda: world.call_back(None, visit.state, code=CODE)).code == "wrong_browser"


def test_the_cookie_is_looked_up_by_the_request_s_own_ticket(world: World, visit: Visit) -> None:
    asked: list[str] = []

    def bindings(ticket_hash: str) -> BrowserBinding:
        asked.append(ticket_hash)
        return visit.browser

    world.app.complete_consent(
        Callback(state=visit.state, code=CODE, error=None, error_description=None, bindings=bindings)
    )
    assert asked == [digest(visit.browser.ticket)]


def test_the_user_says_no(world: World, visit: Visit) -> None:
    credential = world.credential()
    refused = visit.refused(code=None, error="access_denied")
    assert refused.code == "consent_denied"
    assert refused.can_retry
    assert refused.ticket == visit.browser.ticket
    assert visit.phase is RequestPhase.FAILED
    assert world.credential() == credential


def test_an_error_is_looked_at_before_a_code(visit: Visit) -> None:
    assert visit.refused(error="access_denied").code == "consent_denied"
    assert visit.exchanges == 0


def test_xero_refuses_the_scopes(world: World, visit: Visit) -> None:
    refused = visit.refused(code=None, error="access_denied", error_description="Requested wrong apps scopes")
    assert refused.code == "scopes_refused"
    check = world.credential().checks["scopes"]
    assert check.result is CheckResult.FAIL
    assert check.checked_at == NOON
    assert world.credential().status is Status.VALIDATED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("server_error", "xero_unavailable"),
        ("temporarily_unavailable", "xero_unavailable"),
        ("invalid_scope", "scopes_refused"),
        ("💥", "authorization_failed"),
        ("x" * 10_000, "authorization_failed"),
    ],
)
def test_xero_ends_the_consent_with_another_error(visit: Visit, error: str, code: str) -> None:
    refused = visit.refused(code=None, error=error, error_description="Requested wrong apps scopes")
    assert refused.code == code
    assert error not in refused.detail


def test_an_error_without_a_state_is_explained_without_touching_anything(world: World, visit: Visit) -> None:
    refused = refusal(lambda: world.call_back(None, None, error="access_denied"))
    assert refused.code == "consent_denied"
    assert refused.ticket is None
    assert visit.phase is RequestPhase.OPEN


@pytest.mark.parametrize("code", [None, ""])
def test_neither_an_error_nor_a_code(visit: Visit, code: str | None) -> None:
    assert visit.refused(code=code).code == "code_missing"
    assert visit.phase is RequestPhase.OPEN


def test_a_state_that_failed_is_used_up(world: World, visit: Visit) -> None:
    visit.refused(code=None, error="access_denied")
    refused = visit.refused()
    assert refused.code == "state_used"
    assert refused.ticket == visit.browser.ticket
    assert visit.exchanges == 0
    assert world.consent().status is Status.CONNECTED


@pytest.mark.parametrize("status", sorted(set(Status) - CONSENTABLE))
def test_a_credential_that_cannot_be_connected_any_more(world: World, visit: Visit, status: Status) -> None:
    before = world.registry.save(replace(world.credential(), status=status))
    refused = visit.refused()
    assert refused.code == "not_connectable"
    assert not refused.can_retry
    assert visit.exchanges == 0
    assert world.credential() == before


@pytest.mark.parametrize("status", sorted(CONSENTABLE))
def test_a_consent_heals(world: World, status: Status) -> None:
    world.submit()
    world.registry.save(replace(world.credential(), status=status))
    Visit(world).call_back()
    assert world.credential().status is Status.CONNECTED


def test_two_callbacks_at_once_exchange_one_code(world: World, visit: Visit) -> None:
    codes: list[str] = []

    def the_other() -> None:
        refused = visit.refused()
        codes.append(refused.code)
        assert not refused.can_retry

    step_in(world.xero, "exchange_code", before=the_other)
    assert visit.call_back().tenants == BOTH
    assert codes == ["busy"]
    assert visit.exchanges == 1
    # The other one was turned away at once, and left the claim alone.
    assert world.now == NOON
    assert visit.phase is RequestPhase.COMPLETED


def test_two_callbacks_that_read_the_same_request_exchange_one_code(world: World, visit: Visit) -> None:
    # The other one claims between this one's read and its write.
    step_in(world.consents, "save_request", before=visit.call_back)
    assert visit.refused().code == "busy"
    assert visit.exchanges == 1
    assert world.credential().status is Status.CONNECTED


def test_a_callback_waits_for_a_refresh_that_is_under_way(world: World, visit: Visit) -> None:
    hold_lease(world, seconds=60)
    step_in(world.registry, "get", after=lambda: give_lease_back(world))
    assert visit.call_back().tenants == BOTH
    assert world.now < NOON + timedelta(seconds=7)


def test_a_callback_does_not_wait_for_ever_and_can_be_opened_again(world: World, visit: Visit) -> None:
    hold_lease(world, seconds=60)
    refused = visit.refused()
    assert refused.code == "busy"
    assert timedelta(seconds=5) < world.now - NOON < timedelta(seconds=10)
    assert visit.exchanges == 0
    assert visit.phase is RequestPhase.OPEN
    world.advance(60)
    assert visit.call_back().tenants == BOTH


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
def test_without_keys_to_check_the_answer_no_code_is_spent(world: World, visit: Visit, kind: FailureKind) -> None:
    before = world.credential()
    world.xero.key_failures.append(kind)
    refused = visit.refused()
    assert refused.code == "xero_unavailable"
    assert refused.key == "xero_postponed"
    assert visit.exchanges == 0
    assert visit.phase is RequestPhase.OPEN
    after = world.credential()
    assert (after.lease, after.due_at, after.attempt_started_at) == (None, before.due_at, None)
    assert visit.call_back().tenants == BOTH


def test_without_the_pair_no_code_is_spent(world: World, visit: Visit) -> None:
    world.vault.unseen.add(world.credential().client_version_id)
    assert visit.refused().code == "store_unavailable"
    assert visit.exchanges == 0
    world.vault.unseen.clear()
    assert visit.call_back().tenants == BOTH


@pytest.mark.parametrize("kind", [FailureKind.NOT_SENT, FailureKind.THROTTLED])
def test_a_code_that_is_certainly_not_used_up_can_be_presented_again(
    world: World, visit: Visit, kind: FailureKind
) -> None:
    world.xero.failures.extend([kind, kind])
    assert visit.refused().code in {"xero_unavailable", "throttled"}
    assert visit.phase is RequestPhase.OPEN
    assert (world.credential().lease, world.credential().consenting) == (None, None)
    world.xero.failures.clear()
    assert visit.call_back().tenants == BOTH


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE - {FailureKind.NOT_SENT, FailureKind.THROTTLED}))
def test_xero_does_not_answer_the_exchange(world: World, visit: Visit, kind: FailureKind) -> None:
    world.xero.failures.append(kind)
    refused = visit.refused()
    assert refused.code == "xero_unavailable"
    assert refused.can_retry
    assert visit.phase is RequestPhase.FAILED
    assert world.credential().status is Status.VALIDATED
    assert (world.credential().lease, world.credential().attempt_started_at, world.credential().due_at) == (
        None,
        None,
        None,
    )


def test_xero_refuses_the_redirect_uri_only_now(world: World, visit: Visit) -> None:
    world.xero.failures.append(FailureKind.UNAUTHORIZED_CLIENT)
    assert visit.refused().code == "redirect_uri_refused"
    check = world.credential().checks["redirect_uri"]
    assert check.result is CheckResult.FAIL
    assert "capital" in check.detail
    assert SETTINGS.redirect_uri in check.detail
    assert world.credential().status is Status.VALIDATED
    assert (world.credential().lease, world.credential().attempt_started_at, world.credential().due_at) == (
        None,
        None,
        None,
    )


def test_xero_refuses_the_code(world: World, visit: Visit) -> None:
    world.xero.failures.append(FailureKind.INVALID_GRANT)
    refused = visit.refused()
    assert refused.code == "code_refused"
    assert refused.ticket == visit.browser.ticket
    assert world.credential().status is Status.VALIDATED


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (FailureKind.INVALID_GRANT, "code_refused"),
        (FailureKind.UNAUTHORIZED_CLIENT, "redirect_uri_refused"),
        (FailureKind.UNAVAILABLE, "exchange_unanswered"),
    ],
)
def test_why_a_presented_code_brought_nothing_is_told_again(visit: Visit, kind: FailureKind, kept: str) -> None:
    visit.world.xero.failures.append(kind)
    first = visit.refused()
    assert (visit.kept_refusal, first.consent_id) == (kept, digest(visit.state))
    visit.world.advance(20 * 3600)
    again = visit.refused()
    assert (again.code, again.detail, again.consent_id) == (first.code, first.detail, first.consent_id)
    assert again.ticket == visit.browser.ticket
    assert visit.exchanges == 1


def test_a_consent_that_ended_without_an_exchange_keeps_no_reason(visit: Visit) -> None:
    assert visit.refused(code=None, error="access_denied").consent_id is None
    assert visit.kept_refusal is None
    again = visit.refused()
    assert (again.code, again.consent_id) == ("state_used", None)


def test_where_the_callback_may_be_opened_again_its_address_stays(visit: Visit) -> None:
    visit.world.xero.failures.extend([FailureKind.THROTTLED, FailureKind.INVALID_CLIENT])
    assert [visit.refused().consent_id, visit.refused().consent_id] == [None, None]
    assert visit.phase is RequestPhase.OPEN


@pytest.mark.parametrize("trouble", ["store", "time"])
def test_a_reason_that_could_not_be_written_down_is_told_at_once(visit: Visit, trouble: str) -> None:
    world = visit.world
    world.xero.failures.append(FailureKind.INVALID_GRANT)
    if trouble == "store":
        step_in(world.consents, "save_request", skip=1, before=unavailable)
    else:
        step_in(world.xero, "exchange_code", before=lambda: world.pause(24.5))
    refused = visit.refused()
    assert (refused.code, refused.consent_id) == ("code_refused", None)


def test_xero_refuses_the_pair(world: World, visit: Visit) -> None:
    world.xero.secrets[CLIENT_ID] = "another"
    assert visit.refused().code == "client_rejected"
    credential = world.credential()
    assert credential.status is Status.CLIENT_REJECTED
    assert credential.last_error is not None
    assert credential.last_error.code == "invalid_client"
    assert credential.due_at == NOON + timedelta(minutes=5)


def test_a_pair_that_was_refused_in_a_consent_heals_without_an_admin(world: World, visit: Visit) -> None:
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    visit.refused()
    assert world.sweep_when_due() == {"validated": 1}
    assert world.consent().status is Status.CONNECTED


def test_a_failed_consent_leaves_an_existing_grant_alone(world: World) -> None:
    before = world.connect()
    visit = Visit(world)
    world.xero.failures.append(FailureKind.INVALID_GRANT)
    visit.refused()
    after = world.credential()
    assert (after.status, after.generation, after.due_at) == (Status.CONNECTED, 1, before.due_at)
    assert world.sweep_when_due() == {"refreshed": 1}


def test_an_id_token_that_proves_nothing(world: World, visit: Visit) -> None:
    world.xero.id_token_code = "invalid_claim"
    refused = visit.refused()
    assert refused.code == "id_token_refused"
    assert world.credential().status is Status.VALIDATED
    assert (world.credential().lease, world.credential().generation) == (None, 0)
    assert world.vault.tokens_secret_name(CLIENT_ID) not in world.vault.versions
    assert visit.phase is RequestPhase.FAILED
    assert world.observer.counts["IdTokenRefused"] == 1


def test_without_the_list_of_organisations_the_grant_is_kept(world: World, visit: Visit) -> None:
    world.xero.connections_down = True
    assert visit.call_back() == Connected((), tenants_pending=True, repeated=False)
    credential = world.credential()
    assert credential.status is Status.CONNECTED
    assert credential.tenants_pending
    assert world.vault.current_tokens(CLIENT_ID).token.refresh_token == "refresh-1"


def test_the_next_refresh_brings_the_organisations(world: World, visit: Visit) -> None:
    world.xero.connections_down = True
    visit.call_back()
    world.sweep_when_due()
    assert world.credential().tenants_pending
    world.xero.connections_down = False
    world.sweep_when_due()
    assert world.credential().tenants == BOTH
    assert world.vault.current_tokens(CLIENT_ID).tenants == BOTH
    assert not world.credential().tenants_pending
    world.xero.calls.clear()
    world.sweep_when_due()
    assert world.xero.calls == ["refresh"]


def test_a_consent_for_no_organisation_is_a_grant(world: World, visit: Visit) -> None:
    world.xero.organisations = ()
    assert visit.call_back() == Connected((), tenants_pending=False, repeated=False)
    assert world.credential().status is Status.CONNECTED
    assert visit.call_back() == Connected((), tenants_pending=False, repeated=True)
    assert world.sweep_when_due() == {"refreshed": 1}


def test_scopes_that_xero_left_out_are_named(world: World, visit: Visit) -> None:
    world.xero.granted = "offline_access openid"
    visit.call_back()
    check = world.credential().checks["scopes"]
    assert check.result is CheckResult.FAIL
    assert "accounting.contacts" in check.detail
    assert world.credential().status is Status.CONNECTED


def test_more_scopes_than_asked_for_are_welcome(world: World, visit: Visit) -> None:
    world.xero.granted = f"{GRANTED} files"
    visit.call_back()
    assert world.credential().checks["scopes"].result is CheckResult.PASS
    assert "files" in world.credential().granted_scopes


def test_a_new_consent_replaces_the_organisations(world: World) -> None:
    world.connect()
    world.xero.organisations = (ELECTRO_LAND,)
    assert world.consent().tenants == (ELECTRO_LAND,)
    assert world.credential().generation == 2


def test_a_process_that_died_before_the_exchange_can_be_followed_by_a_reload(world: World, visit: Visit) -> None:
    step_in(world.xero, "load_keys", before=die)
    with pytest.raises(ProcessDied):
        visit.call_back()
    assert visit.refused().code == "busy"
    world.advance(60)
    assert visit.call_back().tenants == BOTH


def test_a_process_that_died_after_storing_is_finished_by_the_sweep(world: World, visit: Visit) -> None:
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        visit.call_back()
    assert world.credential().status is Status.VALIDATED
    world.xero.calls.clear()
    assert world.sweep_when_due() == {"rolled_forward": 1}
    credential = world.credential()
    assert (credential.status, credential.generation, credential.tenants) == (Status.CONNECTED, 1, BOTH)
    assert (credential.attempt_started_at, credential.consenting, credential.lease) == (None, None, None)
    assert world.xero.calls == ["tenants"]


def test_a_process_that_died_after_committing_leaves_a_connection(world: World, visit: Visit) -> None:
    step_in(world.vault, "put_tokens", after=lambda: step_in(world.registry, "save", after=die))
    with pytest.raises(ProcessDied):
        visit.call_back()
    assert world.credential().status is Status.CONNECTED
    assert world.sweep_when_due() == {"refreshed": 1}


def test_a_process_that_died_with_nothing_stored_is_cleared_away(world: World, visit: Visit) -> None:
    step_in(world.xero, "exchange_code", after=die)
    with pytest.raises(ProcessDied):
        visit.call_back()
    # What was stored may take a while to be seen, so the sweep looks again each minute before it gives up.
    for _ in range(15):
        assert world.sweep_when_due() == {"skipped": 1}
    credential = world.credential()
    assert (credential.status, credential.due_at, credential.lease, credential.attempt_started_at) == (
        Status.VALIDATED,
        None,
        None,
        None,
    )
    assert world.consent().status is Status.CONNECTED


def test_a_cut_off_consent_does_not_end_the_grant_before_it(world: World) -> None:
    world.connect()
    visit = Visit(world)
    step_in(world.xero, "exchange_code", before=die)
    with pytest.raises(ProcessDied):
        visit.call_back()
    assert world.sweep_when_due() == {"skipped": 1}
    world.advance(20 * 60)
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.xero.refresh_tokens == ["refresh-1"]


def test_a_cut_off_consent_of_a_dead_grant_is_adopted(world: World) -> None:
    world.connect()
    world.registry.save(replace(world.credential(), status=Status.REAUTHORIZATION_REQUIRED, due_at=None))
    visit = Visit(world)
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        visit.call_back()
    assert world.sweep_when_due() == {"rolled_forward": 1}
    assert (world.credential().status, world.credential().generation) == (Status.CONNECTED, 2)


def test_a_callback_for_a_credential_that_is_gone(world: World, visit: Visit) -> None:
    del world.registry.rows[CLIENT_ID]
    assert visit.refused().code == "not_connectable"


def test_a_link_of_an_earlier_life_connects_the_present_one(world: World, visit: Visit) -> None:
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    present = world.submit()
    visit.call_back()
    credential = world.credential()
    assert (credential.incarnation, credential.generation) == (present.incarnation, 1)
    assert world.vault.get_tokens(CLIENT_ID, version_id=credential.tokens_version_id(1)) is not None


def test_what_a_slow_exchange_brought_is_stored_before_anything_else(world: World, visit: Visit) -> None:
    step_in(world.xero, "exchange_code", before=lambda: world.pause(15))
    assert visit.call_back().tenants_pending
    assert world.credential().status is Status.CONNECTED
    assert "tenants of the consent" not in world.xero.calls
    world.sweep_when_due()
    assert world.credential().tenants == BOTH


def test_a_callback_that_is_repeated_hours_later_still_says_what_is_true(world: World, visit: Visit) -> None:
    assert visit.call_back().tenants == BOTH
    world.advance(20 * 3600)
    again = visit.call_back()
    assert (again.tenants, again.repeated) == (BOTH, True)
    assert visit.exchanges == 1
