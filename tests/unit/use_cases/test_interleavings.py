"""Two at once, or one cut off: each case here once lost something."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.fakes.builders import a_token, a_tokens_secret
from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, World
from xero_connector.domain.errors import ConnectorError, ConsentRefused, QuotaReached, StoreUnavailable
from xero_connector.domain.ports import Due
from xero_connector.domain.status import Status
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure
from xero_connector.domain.tokens import LARGEST_VERSION, TokenAnswer
from xero_connector.domain.version_allowance import CAPACITY

MOST_VERSIONS = 100


@pytest.fixture
def world() -> World:
    return World()


def second_life(world: World) -> None:
    world.connect()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.submit()


def test_a_consent_cut_off_in_a_second_life_is_cleared_away(world: World) -> None:
    second_life(world)
    step_in(world.xero, "exchange_code", before=die)
    with pytest.raises(ProcessDied):
        world.consent()
    for _ in range(15):
        assert world.sweep_when_due() == {"skipped": 1}
    assert world.credential().due_at is None
    assert world.consent().status is Status.CONNECTED


def test_a_consent_cut_off_in_a_second_life_does_not_stop_a_disconnect(world: World) -> None:
    second_life(world)
    step_in(world.xero, "exchange_code", before=die)
    with pytest.raises(ProcessDied):
        world.consent()
    world.advance(61)
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTED


def test_a_secret_that_is_replaced_during_a_disconnect_stays_deleted(world: World) -> None:
    world.connect()

    def disconnect() -> None:
        world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
        world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
        world.xero.secrets[CLIENT_ID] = "new"

    step_in(world.xero, "exchange_code", before=disconnect)
    with pytest.raises(ConnectorError) as refused:
        world.app.replace_client_secret(CLIENT_ID, "new", by=ADMIN)
    assert refused.value.code == "not_replaceable"
    assert world.credential().status is Status.DISCONNECTED
    assert world.vault.client_secret_name(CLIENT_ID) in world.vault.deleted


@pytest.mark.parametrize("xero_is_away", [False, True])
def test_a_callback_during_a_disconnect_is_refused_and_spends_no_code(world: World, *, xero_is_away: bool) -> None:
    world.connect()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    if xero_is_away:
        world.xero.failures.append(FailureKind.UNAVAILABLE)
    step_in(world.registry, "get", after=lambda: world.app.disconnect_credential(CLIENT_ID, by=ADMIN))
    with pytest.raises(ConsentRefused) as refused:
        world.call_back(browser, state, code="code")
    assert refused.value.code == "not_connectable"
    assert "code" in world.xero.codes
    assert world.credential().lease is None


def test_a_consent_without_a_refresh_token_is_refused(world: World) -> None:
    world.submit()
    whole = world.xero.exchange_code

    def without_refresh_token(*arguments: object, **named: object) -> TokenAnswer:
        answer = whole(*arguments, **named)  # type: ignore[arg-type] # passed on as it came
        return replace(answer, token=replace(answer.token, refresh_token=None, scope="openid"))

    world.xero.exchange_code = without_refresh_token  # type: ignore[method-assign]
    with pytest.raises(ConsentRefused) as refused:
        world.consent()
    assert refused.value.code == "refresh_token_missing"
    credential = world.credential()
    assert (credential.status, credential.generation, credential.due_at, credential.lease) == (
        Status.VALIDATED,
        0,
        None,
        None,
    )


def test_a_pair_is_not_submitted_while_the_secret_of_the_one_before_is_deleted(world: World) -> None:
    world.xero.failures.append(FailureKind.UNANSWERED)
    world.submit(known_to_xero=False)
    world.reject()
    codes = []

    def resubmit() -> None:
        with pytest.raises(ConnectorError) as refused:
            world.submit()
        codes.append(refused.value.code)

    step_in(world.vault, "delete_client_pair", before=resubmit)
    assert world.sweep_when_due() == {"rejected": 1}
    assert codes == ["still_ending"]
    credential = world.submit()
    assert world.vault.get_client_pair(CLIENT_ID, version_id=credential.client_version_id)


def test_a_repeated_callback_shows_the_same_while_the_organisations_are_pending(world: World) -> None:
    world.submit()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    world.xero.connections_down = True
    first = world.call_back(browser, state, code="code")
    assert first.tenants_pending
    assert world.call_back(browser, state, code="code") == replace(first, repeated=True)


def test_an_absurd_retry_after_is_taken_for_the_longest_pause(world: World) -> None:
    world.connect()
    world.xero.failures.append(TokenEndpointFailure(FailureKind.THROTTLED, retry_after=10**14))
    assert world.sweep_when_due() == {"failed": 1}
    assert world.credential().due_at == world.now + timedelta(minutes=15)


def test_a_finding_about_the_old_secret_says_nothing_about_the_new(world: World) -> None:
    world.connect()
    world.xero.failures.append(FailureKind.INVALID_CLIENT)

    def swap() -> None:
        world.xero.failures.clear()
        world.xero.secrets[CLIENT_ID] = "new"
        world.app.replace_client_secret(CLIENT_ID, "new", by=ADMIN)
        world.xero.failures.append(FailureKind.INVALID_CLIENT)

    step_in(world.xero, "exchange_code", before=swap)
    assert world.app.revalidate_credential(CLIENT_ID, by=ADMIN).status is Status.CONNECTED


def test_a_shard_that_cannot_be_read_does_not_stop_the_others_and_fails_the_run(world: World) -> None:
    world.connect()
    world.registry.shards[CLIENT_ID] = "1"
    world.advance(1300)
    readable = world.registry.due

    def due(*, shard: str, now: datetime, limit: int) -> Sequence[Due]:
        if shard == "0":
            raise StoreUnavailable("Query", "ThrottlingException")
        return readable(shard=shard, now=now, limit=limit)

    world.registry.due = due  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="Query"):
        world.app.sweep_due_credentials(shards=["0", "1"], deadline=world.now + timedelta(seconds=58))
    assert world.credential().generation == 2


@pytest.mark.parametrize("swept_meanwhile", [False, True])
@pytest.mark.parametrize("dies", ["before the commit", "after the commit"])
def test_a_callback_that_stored_its_grant_and_died_shows_success_when_it_is_reloaded(
    world: World, dies: str, *, swept_meanwhile: bool
) -> None:
    world.submit()
    browser, state = world.open_link()
    world.xero.codes.add("code")
    if dies == "before the commit":
        step_in(world.vault, "put_tokens", after=die)
    else:
        step_in(world.vault, "put_tokens", after=lambda: step_in(world.registry, "save", after=die))
    with pytest.raises(ProcessDied):
        world.call_back(browser, state, code="code")
    world.advance(61)
    if swept_meanwhile:
        world.sweep()
    exchanges = world.xero.calls.count("exchange_code")
    assert world.call_back(browser, state, code="code").tenants == world.xero.organisations
    assert world.xero.calls.count("exchange_code") == exchanges
    assert world.credential().status is Status.CONNECTED
    assert world.credential().lease is None


def test_a_resubmission_does_not_refill_the_version_allowance(world: World) -> None:
    world.connect()
    for _ in range(CAPACITY - 2):
        world.app.refresh_now(CLIENT_ID, by=ADMIN)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.connect()
    with pytest.raises(QuotaReached):
        world.app.refresh_now(CLIENT_ID, by=ADMIN)


def test_consents_cannot_use_up_the_versions_that_refreshes_need(world: World) -> None:
    world.connect()
    end = world.now + timedelta(days=1)
    refused = set()
    while world.now < end:
        try:
            world.consent()
        except ConsentRefused as refusal:
            refused.add(refusal.code)
        world.advance(600)
        world.sweep()
    assert refused == {"too_often"}
    name = world.vault.tokens_secret_name(CLIENT_ID)
    assert len(world.vault.versions[name]) < MOST_VERSIONS
    assert world.credential().status is Status.CONNECTED


def test_a_stored_grant_is_found_even_if_the_pair_was_refused_meanwhile(world: World) -> None:
    world.submit()
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        world.consent()
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    assert world.app.revalidate_credential(CLIENT_ID, by=ADMIN).status is Status.CLIENT_REJECTED
    for _ in range(3):
        if world.credential().due_at is not None:
            world.sweep_when_due()
    assert world.credential().status is Status.CONNECTED


def test_more_organisations_than_a_version_can_hold_do_not_cost_the_grant(world: World) -> None:
    world.xero.organisations = tuple(
        Tenant(
            tenant_id=f"{number:036}",
            tenant_name="A company of a reasonable name Ltd",
            tenant_type="ORGANISATION",
            connection_id=f"{number:036}",
        )
        for number in range(400)
    )
    credential = world.connect()
    assert len(credential.tenants) == 400
    stored = world.vault.current_tokens(CLIENT_ID)
    assert len(stored.to_json().encode()) <= LARGEST_VERSION
    assert world.sweep_when_due() == {"refreshed": 1}
    assert len(world.credential().tenants) == 400
    small = a_tokens_secret(token=a_token(access_token="j" * 2000))
    assert small.within_limit() == small


def test_an_older_token_of_the_same_consent_is_the_last_resort(world: World) -> None:
    world.connect()
    for _ in range(3):
        world.sweep_when_due()
    world.xero.refresh_tokens.clear()
    world.xero.failures.extend([FailureKind.INVALID_GRANT] * 3)
    world.sweep_when_due()
    assert world.sweep_when_due() == {"refreshed": 1}
    # The newest was refused twice and the one before it once; the one before that is alive.
    assert world.xero.refresh_tokens == ["refresh-4", "refresh-4", "refresh-3", "refresh-2"]
    assert world.credential().status is Status.CONNECTED


@pytest.mark.parametrize("cut_off", [False, True])
def test_the_tokens_of_an_earlier_consent_are_never_gone_back_to(world: World, *, cut_off: bool) -> None:
    world.connect()
    world.sweep_when_due()
    if cut_off:
        step_in(world.vault, "put_tokens", after=die)
        with pytest.raises(ProcessDied):
            world.consent()
        assert world.sweep_when_due() == {"rolled_forward": 1}
    else:
        world.consent()
    asked = world.xero.calls.count("refresh")
    world.xero.failures.extend([FailureKind.INVALID_GRANT] * 2)
    world.sweep_when_due()
    assert world.sweep_when_due() == {"failed": 1}
    assert world.credential().status is Status.REAUTHORIZATION_REQUIRED
    assert world.xero.calls.count("refresh") == asked + 2
