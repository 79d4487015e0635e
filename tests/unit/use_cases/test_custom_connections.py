from datetime import timedelta

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, World
from tests.fakes.xero import DEMO_COMPANY
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import Credential, IntegrationType
from xero_connector.domain.errors import Conflict, ConsentRefused, PairRefused, StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind
from xero_connector.domain.tokens import StoredTokens, TokensSecret

CUSTOM = IntegrationType.CUSTOM_CONNECTION
GOOD_PAIR = FailureKind.UNAUTHORIZED_CLIENT


@pytest.fixture
def world(world: World) -> World:
    world.xero.custom_connections.add(CLIENT_ID)
    world.xero.granted = "accounting.contacts accounting.invoices"
    world.xero.organisations = (DEMO_COMPANY,)
    return world


def submit(world: World, scopes: tuple[str, ...] | None = None) -> Credential:
    return world.submit(integration_type=CUSTOM, scopes=scopes)


def test_it_is_connected_at_once_without_a_consent(world: World) -> None:
    credential = submit(world)
    assert credential == world.credential()
    assert (credential.status, credential.generation, credential.tenants) == (Status.CONNECTED, 1, (DEMO_COMPANY,))
    assert credential.granted_scopes == ("accounting.contacts", "accounting.invoices")
    assert credential.refresh_token_expires_at is None
    assert credential.checks["pair"].result is CheckResult.PASS
    assert credential.checks["scopes"].result is CheckResult.PASS
    secret = world.vault.current_tokens(CLIENT_ID)
    assert secret.tenants == (DEMO_COMPANY,)
    assert "refresh_token" not in secret.token.to_dict()
    assert world.consents.tickets == {}


def test_three_requests_do_it(world: World) -> None:
    submit(world)
    assert world.xero.calls == ["exchange_code", "client_credentials", "tenants"]


def test_a_web_app_is_never_asked_for_a_token(world: World) -> None:
    world.xero.custom_connections.clear()
    with pytest.raises(PairRefused) as refused:
        submit(world)
    assert refused.value.code == "web_app"
    assert "client_credentials" not in world.xero.calls
    assert world.vault.versions == {}


def test_there_is_no_connect_link(world: World) -> None:
    submit(world)
    with pytest.raises(Conflict) as conflict:
        world.app.create_connect_link(CLIENT_ID, by=ADMIN)
    assert conflict.value.code == "no_consent_needed"


def test_it_is_refreshed_by_asking_anew(world: World) -> None:
    first = submit(world)
    assert first.due_at is not None
    assert timedelta(minutes=15) < first.due_at - world.now < timedelta(minutes=21)
    assert world.sweep_when_due() == {"refreshed": 1}
    credential = world.credential()
    assert (credential.status, credential.generation, credential.failures) == (Status.CONNECTED, 2, 0)
    assert world.xero.refresh_tokens == []
    assert world.vault.current_tokens(CLIENT_ID).generation == 2
    assert world.app.refresh_now(CLIENT_ID, by=ADMIN).generation == 3


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE | {FailureKind.INVALID_GRANT}))
def test_no_answer_only_degrades_it(world: World, kind: FailureKind) -> None:
    submit(world)
    world.xero.failures.extend([kind, *([kind] if kind is FailureKind.NOT_SENT else [])])
    assert world.sweep_when_due() == {"failed": 1}
    assert (world.credential().status, world.credential().attempt_started_at) == (Status.DEGRADED, None)
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED


def test_what_is_wrong_with_the_scopes_is_told_and_the_connection_works(world: World) -> None:
    credential = submit(world, ("accounting.contacts", "payroll.employees"))
    assert (credential.status, credential.generation) == (Status.CONNECTED, 1)
    assert credential.checks["scopes"].result is CheckResult.FAIL
    assert "payroll.employees" in credential.checks["scopes"].detail
    assert world.xero.calls == ["exchange_code", "client_credentials", "client_credentials", "tenants"]


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
def test_a_pair_without_an_answer_is_kept_and_connected_later(world: World, kind: FailureKind) -> None:
    world.xero.failures.append(kind)
    credential = submit(world)
    assert (credential.status, credential.generation) == (Status.PENDING_VALIDATION, 0)
    assert world.sweep_when_due() == {"validated": 1}
    assert world.sweep_when_due() == {"refreshed": 1}
    assert (world.credential().status, world.credential().tenants) == (Status.CONNECTED, (DEMO_COMPANY,))


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
def test_a_proven_pair_without_a_token_gets_it_from_the_schedule(world: World, kind: FailureKind) -> None:
    world.xero.failures.extend([GOOD_PAIR, kind, *([kind] if kind is FailureKind.NOT_SENT else [])])
    credential = submit(world)
    assert (credential.status, credential.generation) == (Status.VALIDATED, 0)
    assert credential.last_error is not None
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED


def test_a_vault_that_is_away_after_the_proof_loses_nothing(world: World) -> None:
    def unavailable(secret: TokensSecret, *, version_id: str) -> StoredTokens:
        del secret, version_id
        raise StoreUnavailable("PutSecretValue", "InternalServiceError")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.vault, "put_tokens", unavailable)
        assert submit(world).status is Status.VALIDATED
    world.advance(60)
    assert world.sweep() == {"refreshed": 1}


def test_a_process_that_dies_before_it_commits_is_followed_by_another(world: World) -> None:
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        submit(world)
    assert world.credential().generation == 0
    world.advance(60)
    assert world.sweep() == {"rolled_forward": 1}
    assert (world.credential().status, world.credential().generation) == (Status.CONNECTED, 1)


def test_organisations_that_could_not_be_listed_come_with_the_next_token(world: World) -> None:
    world.xero.connections_down = True
    credential = submit(world)
    assert (credential.status, credential.tenants, credential.tenants_pending) == (Status.CONNECTED, (), True)
    world.xero.connections_down = False
    world.sweep_when_due()
    assert (world.credential().tenants, world.credential().tenants_pending) == ((DEMO_COMPANY,), False)


def test_a_deleted_secret_is_noticed_and_a_new_one_heals(world: World) -> None:
    submit(world)
    world.xero.secrets[CLIENT_ID] = "new"
    assert world.sweep_when_due() == {"failed": 1}
    assert world.credential().status is Status.CLIENT_REJECTED
    credential = world.app.replace_client_secret(CLIENT_ID, "new", by=ADMIN)
    assert (credential.status, credential.generation) == (Status.CONNECTED, 2)


def test_a_pair_refused_before_its_first_token_heals_too(world: World) -> None:
    world.xero.failures.extend([GOOD_PAIR, FailureKind.INVALID_CLIENT])
    assert submit(world).status is Status.CLIENT_REJECTED
    assert world.sweep_when_due() == {"refreshed": 1}
    assert world.credential().status is Status.CONNECTED


def test_disconnecting_removes_the_connection_at_xero(world: World) -> None:
    submit(world)
    credential = world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert credential.status is Status.DISCONNECTED
    assert world.xero.organisations == ()
    assert world.xero.revoked == []
    assert world.vault.deleted == {
        world.vault.client_secret_name(CLIENT_ID),
        world.vault.tokens_secret_name(CLIENT_ID),
    }


@pytest.mark.parametrize("what", ["token", "connections"])
def test_disconnecting_goes_on_once_xero_is_back(world: World, what: str) -> None:
    submit(world)
    if what == "token":
        world.xero.failures.append(FailureKind.UNAVAILABLE)
    else:
        world.xero.connections_down = True
    credential = world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert credential.status is Status.DISCONNECTING
    assert credential.last_error is not None
    world.xero.connections_down = False
    assert world.sweep_when_due() == {"disconnected": 1}
    assert world.credential().last_error is None


def test_a_refused_pair_is_disconnected_with_a_word_of_advice(world: World) -> None:
    submit(world)
    world.xero.secrets[CLIENT_ID] = "another"
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTING
    while world.credential().status is Status.DISCONNECTING:
        world.sweep_when_due()
    credential = world.credential()
    assert credential.status is Status.DISCONNECTED
    assert credential.last_error is not None
    assert "Connected apps" in credential.last_error.detail


def test_it_can_be_submitted_again(world: World) -> None:
    submit(world)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.xero.organisations = (DEMO_COMPANY,)
    credential = submit(world)
    assert (credential.status, credential.generation) == (Status.CONNECTED, 1)
    stored = world.vault.get_client_pair(CLIENT_ID, version_id=credential.client_version_id)
    assert stored is not None
    assert stored.client_secret == CLIENT_SECRET


def test_after_a_slow_proof_the_schedule_gets_the_tokens(world: World) -> None:
    step_in(world.xero, "exchange_code", before=lambda: world.pause(9))
    assert submit(world).status is Status.VALIDATED
    assert world.sweep() == {"refreshed": 1}


def test_a_link_of_an_earlier_life_as_a_web_app_leads_nowhere(world: World) -> None:
    world.xero.custom_connections.clear()
    world.submit()
    link = world.app.create_connect_link(CLIENT_ID, by=ADMIN)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    world.xero.custom_connections.add(CLIENT_ID)
    submit(world)
    with pytest.raises(ConsentRefused) as refused:
        world.app.start_consent(link.connect_url.rsplit("/", 1)[1], binding=None)
    assert refused.value.code == "not_connectable"


def test_a_connection_that_xero_will_not_remove_is_told_and_does_not_last_for_ever(world: World) -> None:
    submit(world)
    world.xero.keeps_connections = True
    credential = world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert credential.status is Status.DISCONNECTED
    assert credential.last_error is not None
    assert credential.last_error.code == "grant_remains"
    for words in ("Demo Company (UK)", "Connected apps"):
        assert words in credential.last_error.detail


def test_no_hint_says_to_make_a_link_for_it(world: World) -> None:
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    submit(world)
    with pytest.raises(Conflict) as conflict:
        world.app.refresh_now(CLIENT_ID, by=ADMIN)
    assert conflict.value.code == "not_connected"
    assert "link" not in conflict.value.hint


def test_a_connection_that_never_got_its_tokens_is_removed_at_xero_too(world: World) -> None:
    world.xero.failures.extend([GOOD_PAIR, FailureKind.UNAVAILABLE])
    assert submit(world).generation == 0
    assert world.app.disconnect_credential(CLIENT_ID, by=ADMIN).status is Status.DISCONNECTED
    assert world.xero.organisations == ()


def test_a_pair_that_was_not_proven_is_disconnected_at_xero_too(world: World) -> None:
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    submit(world)
    credential = world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert (credential.status, credential.last_error) == (Status.DISCONNECTED, None)
    assert world.xero.organisations == ()


def test_scopes_that_the_answer_leaves_out_are_those_that_were_asked_for(world: World) -> None:
    world.xero.says_scope = False
    credential = submit(world, ("accounting.contacts",))
    assert credential.granted_scopes == ("accounting.contacts",)
    assert credential.checks["scopes"].result is CheckResult.PASS
