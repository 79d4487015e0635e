from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, NOON, SETTINGS, World
from xero_connector.domain.checks import AuthorizeFinding, CheckResult
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.proof import Proof, Verdict
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import INCONCLUSIVE, FailureKind
from xero_connector.domain.tokens import ClientPair
from xero_connector.services.prove_pair import ProvePair

CUSTOM = IntegrationType.CUSTOM_CONNECTION
SCOPES = ("offline_access", "openid", "accounting.contacts")


def prover(world: World) -> ProvePair:
    return ProvePair(world.xero, world.xero, world.clock, world.deadline, SETTINGS.redirect_uri)


def prove(
    world: World,
    *,
    integration_type: IntegrationType = IntegrationType.WEB_APP,
    scopes: Sequence[str] = SCOPES,
    thorough: bool = False,
) -> Proof:
    pair = ClientPair(CLIENT_ID, CLIENT_SECRET)
    return prover(world)(pair, integration_type=integration_type, scopes=scopes, thorough=thorough)


def results(proof: Proof) -> dict[str, str]:
    return {name: check.result.value for name, check in proof.checks.items()}


@pytest.fixture
def known(world: World) -> World:
    world.xero.secrets[CLIENT_ID] = CLIENT_SECRET
    return world


@pytest.mark.parametrize(
    ("finding", "redirect_uri", "scopes"),
    [
        (AuthorizeFinding.ACCEPTED, "pass", "pass"),
        (AuthorizeFinding.REDIRECT_URI_REFUSED, "fail", "unknown"),
        (AuthorizeFinding.REDIRECT_URI_CASE, "fail", "unknown"),
        (AuthorizeFinding.SCOPE_UNKNOWN, "pass", "fail"),
        (AuthorizeFinding.SCOPE_NOT_ALLOWED, "pass", "fail"),
        (AuthorizeFinding.CLIENT_UNKNOWN, "unknown", "unknown"),
        (AuthorizeFinding.INCONCLUSIVE, "unknown", "unknown"),
    ],
)
def test_what_the_authorize_endpoint_says_is_advisory(
    known: World, finding: AuthorizeFinding, redirect_uri: str, scopes: str
) -> None:
    known.xero.finding = finding
    proof = prove(known)
    assert proof.verdict is Verdict.GOOD
    assert results(proof) == {"pair": "pass", "redirect_uri": redirect_uri, "scopes": scopes}
    assert all(check.detail and check.checked_at == NOON for check in proof.checks.values())


def test_the_redirect_uri_to_register_is_spelled_out(known: World) -> None:
    for finding in (AuthorizeFinding.REDIRECT_URI_REFUSED, AuthorizeFinding.REDIRECT_URI_CASE):
        known.xero.finding = finding
        assert SETTINGS.redirect_uri in prove(known).checks["redirect_uri"].detail
    assert "differs only in capital and small letters" in prove(known).checks["redirect_uri"].detail


def test_retired_scopes_are_named_with_what_to_use_instead(known: World) -> None:
    known.xero.finding = AuthorizeFinding.SCOPE_UNKNOWN
    detail = (
        prove(known, scopes=("openid", "accounting.transactions", "accounting.contacts")).checks["scopes"].detail
    )
    assert "not enabled: accounting.transactions." in detail
    assert "2 March 2026" in detail
    for instead in ("accounting.invoices", "accounting.payments", "accounting.banktransactions"):
        assert instead in detail
    assert "accounting.contacts" not in detail


def test_scopes_that_the_app_lacks_are_listed(known: World) -> None:
    known.xero.finding = AuthorizeFinding.SCOPE_NOT_ALLOWED
    detail = (
        prove(known, scopes=("openid", "offline_access", "accounting.contacts", "files")).checks["scopes"].detail
    )
    assert "accounting.contacts files" in detail
    assert "openid" not in detail


@pytest.mark.parametrize(
    ("finding", "says"),
    [
        (AuthorizeFinding.CLIENT_UNKNOWN, "does not know this client ID"),
        (AuthorizeFinding.ACCEPTED, "knows this client ID, but refuses the client secret"),
        (AuthorizeFinding.REDIRECT_URI_REFUSED, "knows this client ID, but refuses the client secret"),
        (AuthorizeFinding.SCOPE_UNKNOWN, "knows this client ID, but refuses the client secret"),
        (AuthorizeFinding.INCONCLUSIVE, "refuses this client ID and client secret"),
    ],
)
def test_a_wrong_client_id_and_a_wrong_secret_are_distinguished(
    world: World, finding: AuthorizeFinding, says: str
) -> None:
    world.xero.finding = finding
    proof = prove(world)
    assert proof.verdict is Verdict.INVALID_CLIENT
    assert says in proof.detail
    assert says in proof.checks["pair"].detail
    if finding is not AuthorizeFinding.CLIENT_UNKNOWN:
        assert "press Save" in proof.hint
        assert "few minutes" in proof.hint


@pytest.mark.parametrize("kind", sorted(INCONCLUSIVE))
def test_no_definite_answer_never_counts_against_the_pair(known: World, kind: FailureKind) -> None:
    for answers in ([kind], [FailureKind.INVALID_GRANT, kind]):
        known.xero.failures.extend(answers)
        proof = prove(known)
        assert proof.verdict is Verdict.UNKNOWN
        assert proof.checks["pair"].result is CheckResult.UNKNOWN
        proof.raise_if_refused()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (Status.PENDING_VALIDATION, "has been stored and will be proven again"),
        (Status.CONNECTED, "does not count against the pair"),
    ],
)
def test_only_a_pending_pair_is_said_to_be_proven_again(known: World, status: Status, says: str) -> None:
    known.xero.failures.append(FailureKind.UNANSWERED)
    proof = prover(known).again(ClientPair(CLIENT_ID, CLIENT_SECRET), a_credential(status=status))
    assert says in proof.checks["pair"].detail


def test_a_mobile_app_is_recognised_by_the_negative_control(known: World) -> None:
    known.xero.checks_secrets = False
    for integration_type in IntegrationType:
        proof = prove(known, integration_type=integration_type)
        assert proof.verdict is Verdict.MOBILE_APP
        assert "Mobile or desktop app" in proof.detail


def test_each_type_is_told_what_the_app_really_is(known: World) -> None:
    assert prove(known, integration_type=CUSTOM).verdict is Verdict.WEB_APP
    known.xero.custom_connections.add(CLIENT_ID)
    proof = prove(known)
    assert proof.verdict is Verdict.CUSTOM_CONNECTION
    assert "integration_type custom_connection" in proof.hint
    assert prove(known, integration_type=CUSTOM).verdict is Verdict.GOOD


def test_at_most_four_requests_and_none_that_could_mint_a_token(known: World) -> None:
    prove(known)
    # A probe is two requests at most: see the contract suite of the authorize endpoint.
    assert known.xero.calls == ["exchange_code", "exchange_code", "probe"]


def test_a_custom_connection_is_not_taken_to_the_authorize_endpoint(known: World) -> None:
    known.xero.custom_connections.add(CLIENT_ID)
    proof = prove(known, integration_type=CUSTOM)
    assert known.xero.calls == ["exchange_code"]
    assert results(proof) == {"pair": "pass", "redirect_uri": "unknown", "scopes": "unknown"}


def test_a_slow_token_endpoint_leaves_no_time_for_advice(known: World) -> None:
    exchange = known.xero.exchange_code

    def slow(pair: ClientPair, *, code: str, code_verifier: str, within: timedelta) -> object:
        known.pause(7)
        return exchange(pair, code=code, code_verifier=code_verifier, within=within)

    known.xero.exchange_code = slow  # type: ignore[method-assign, assignment] # a slow one
    proof = prove(known)
    assert proof.verdict is Verdict.GOOD
    assert known.xero.calls == ["exchange_code", "exchange_code"]
    assert proof.checks["redirect_uri"].result is CheckResult.UNKNOWN


def test_only_what_an_admin_asks_for_later_is_thorough(world: World) -> None:
    world.submit()
    assert "probe thoroughly" not in world.xero.calls
    world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert world.xero.calls[-1] == "probe thoroughly"


def test_an_advisory_unknown_replaces_nothing_definite(world: World) -> None:
    world.connect()
    world.xero.finding = AuthorizeFinding.INCONCLUSIVE
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert credential.checks["redirect_uri"].result is CheckResult.PASS
    world.xero.finding = AuthorizeFinding.REDIRECT_URI_REFUSED
    credential = world.app.revalidate_credential(CLIENT_ID, by=ADMIN)
    assert credential.checks["redirect_uri"].result is CheckResult.FAIL


def test_advice_never_throws_a_pair_away(world: World) -> None:
    for finding in AuthorizeFinding:
        world.xero.finding = finding
        client_id = f"APP{finding.upper()}"
        assert world.submit(client_id).checks["pair"].result is CheckResult.PASS
        assert world.vault.get_client_pair(client_id, version_id=world.credential(client_id).client_version_id)


def test_a_wrong_client_id_of_a_custom_connection_is_told_too(world: World) -> None:
    world.xero.finding = AuthorizeFinding.CLIENT_UNKNOWN
    proof = prove(world, integration_type=CUSTOM)
    assert "does not know this client ID" in proof.detail
    world.xero.finding = AuthorizeFinding.INCONCLUSIVE
    assert "Compare the client ID" in prove(world, integration_type=CUSTOM).hint
    assert world.xero.calls == ["exchange_code", "probe"] * 2


def test_of_an_unknown_client_id_nothing_else_is_said(world: World) -> None:
    world.xero.finding = AuthorizeFinding.CLIENT_UNKNOWN
    proof = prove(world)
    for name in ("redirect_uri", "scopes"):
        assert "does not know the client ID" in proof.checks[name].detail
