"""Each figure of the meaner world can fail: what protects it is taken away, and the figure moves."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from tests.prove import mean_world
from tests.prove.mean_world import MeanFigures, MeanRun
from tests.prove.progress import silent
from tests.prove.xero import InProcessXero
from xero_connector.adapters.secrets_manager_vault import SecretsManagerVault
from xero_connector.domain.credential import Credential
from xero_connector.domain.errors import StoreUnavailable
from xero_connector.domain.tokens import StoredTokens, TokensSecret
from xero_connector.services.commit_tokens import Version
from xero_connector.services.due_queue import Turn
from xero_connector.services.end_grants import EndGrants
from xero_connector.services.hold_lease import HeldLease
from xero_connector.services.lanes import Place
from xero_connector.services.read_secrets import ReadSecrets
from xero_connector.services.store_tokens import StoreTokens
from xero_connector.services.turn_done import TurnDone
from xero_connector.services.validate_pending import ValidatePending
from xero_connector.services.vault_gate import VaultGate
from xero_connector.use_cases.disconnect_credential import DisconnectCredential
from xero_connector.use_cases.sweep_due_credentials import SweepDueCredentials

pytestmark = pytest.mark.prove


@pytest.fixture(scope="module")
def xero() -> InProcessXero:
    return InProcessXero()


def some_days(xero: InProcessXero, seed: str = "broken", *, customers: int = 6, days: int = 2) -> MeanFigures:
    run = MeanRun(
        seed=seed, customers=customers, days=days, longest=timedelta(hours=2), first_successor_survives=False
    )
    return mean_world.run(run, silent, xero)


def test_nothing_is_lost_while_the_protocol_is_whole(xero: InProcessXero) -> None:
    assert some_days(xero).failures == []


def test_without_a_gate_and_a_place_to_park_grants_are_lost(xero: InProcessXero) -> None:
    def not_parked(*_: Any) -> Credential:  # noqa: ANN401
        raise StoreUnavailable("PutSecretValue", "NotParked")

    with (
        mock.patch.object(VaultGate, "admit", return_value=None),
        mock.patch.object(VaultGate, "closed", new=False),
        mock.patch.object(StoreTokens, "_park", not_parked),
    ):
        assert sum(some_days(xero, f"spent/{number}").grants_lost for number in range(3)) > 0


def test_a_consent_s_answer_that_is_not_insisted_on_is_lost(xero: InProcessXero) -> None:
    def once(self: StoreTokens, lease: HeldLease, *answer: Any) -> Version | None:  # noqa: ANN401
        of_xero, listing, _, consent = answer
        return self._put(lease, of_xero, listing, consent)

    with mock.patch.object(StoreTokens, "_put_insisting", once):
        assert sum(some_days(xero, f"consents/{number}").consents_lost for number in range(4)) > 0


def test_a_disconnect_that_revokes_nothing_leaves_grants_behind(xero: InProcessXero) -> None:
    with mock.patch.object(EndGrants, "__call__", return_value=None):
        assert sum(some_days(xero, f"behind/{number}").grants_left_behind for number in range(3)) > 0


def test_a_version_that_no_reader_understands_is_poison(xero: InProcessXero) -> None:
    def put(self: SecretsManagerVault, secret: TokensSecret, *, version_id: str) -> StoredTokens:
        content = secret.to_json() if secret.generation % 5 else secret.to_json()[:-9]
        return StoredTokens(secret, self._put(self._tokens(secret.client_id), content, version_id))

    with mock.patch.object(SecretsManagerVault, "put_tokens", put):
        assert some_days(xero).poisoned_rows > 0


def test_secrets_that_are_not_brought_back_are_lost(xero: InProcessXero) -> None:
    with mock.patch.object(ReadSecrets, "_lives", return_value=False):
        assert sum(some_days(xero, f"secrets/{number}").secrets_lost for number in range(3)) > 0


def test_a_schedule_that_skips_some_lets_tokens_expire(xero: InProcessXero) -> None:
    turn = SweepDueCredentials._take_turn  # noqa: SLF001

    def seldom(self: SweepDueCredentials, mine: Turn, place: Place, sweep: Any) -> str:  # noqa: ANN401
        if mine.credential is not None and mine.credential.revision % 3 == 0:
            sweep.lanes.end(place, answered=None, wrote=False)
            return "left_for_later"
        return turn(self, mine, place, sweep)

    with mock.patch.object(SweepDueCredentials, "_take_turn", seldom):
        figures = some_days(xero)
    assert figures.healthy_tokens_expired > 0
    assert not figures.passed


def test_what_the_schedule_does_not_go_on_with_is_stuck(xero: InProcessXero) -> None:
    with (
        mock.patch.object(DisconnectCredential, "resume", lambda _, credential: TurnDone(credential)),
        mock.patch.object(ValidatePending, "__call__", lambda _, credential: TurnDone(credential)),
    ):
        assert sum(some_days(xero, f"stuck/{number}").stuck for number in range(4)) > 0
