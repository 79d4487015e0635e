"""What every `Consents` does: the fake that the other tests trust, and the one on each double of DynamoDB."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.contract.conftest import DynamoDBTable, double_of
from tests.fakes.builders import a_request, a_ticket
from tests.fakes.stores import InMemoryConsents
from tests.fakes.world import NOON
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND
from xero_connector.adapters.dynamodb_consents import DynamoDBConsents
from xero_connector.domain.consent import RequestPhase
from xero_connector.domain.errors import RevisionConflict
from xero_connector.domain.ports import Consents

HASH = "d" * 64


@pytest.fixture(params=["in_memory", "moto", "strict"])
def consents(request: pytest.FixtureRequest) -> Consents:
    if request.param == "in_memory":
        return InMemoryConsents()
    table: DynamoDBTable = double_of(request, "table")
    return DynamoDBConsents(table.client, table.name)


def test_nothing_is_there(consents: Consents) -> None:
    assert consents.get_ticket(HASH) is None
    assert consents.get_request(HASH) is None


def test_a_ticket_is_kept(consents: Consents) -> None:
    ticket = a_ticket(HASH, expires_at=NOON + timedelta(days=7, microseconds=1))
    consents.add_ticket(ticket)
    assert consents.get_ticket(HASH) == ticket
    of_a_setup_link = a_ticket("c" * 64, setup_link_id="0" * 32)
    consents.add_ticket(of_a_setup_link)
    assert consents.get_ticket("c" * 64) == of_a_setup_link
    assert consents.get_ticket("e" * 64) is None


def test_an_expired_ticket_is_still_found(consents: Consents) -> None:
    ticket = a_ticket(HASH, expires_at=NOON - timedelta(days=300))
    consents.add_ticket(ticket)
    assert consents.get_ticket(HASH) == ticket


def test_a_ticket_is_never_overwritten(consents: Consents) -> None:
    consents.add_ticket(a_ticket(HASH))
    consents.add_ticket(a_ticket(HASH, client_id="another"))
    assert consents.get_ticket(HASH) == a_ticket(HASH)


def test_tickets_and_requests_do_not_meet(consents: Consents) -> None:
    consents.add_ticket(a_ticket(HASH))
    assert consents.get_request(HASH) is None
    consents.add_request(a_request(HASH))
    assert consents.get_ticket(HASH) == a_ticket(HASH)
    assert consents.get_request(HASH) == a_request(HASH)


def test_a_request_is_never_overwritten(consents: Consents) -> None:
    consents.add_request(a_request(HASH))
    consents.add_request(a_request(HASH, binding_hash="f" * 64))
    assert consents.get_request(HASH) == a_request(HASH)


def test_a_request_through_its_life(consents: Consents) -> None:
    consents.add_request(a_request(HASH))
    claimed = consents.save_request(a_request(HASH).claimed(NOON + timedelta(microseconds=1)))
    assert consents.get_request(HASH) == claimed
    assert (claimed.revision, claimed.phase) == (1, RequestPhase.CLAIMED)
    reopened = consents.save_request(claimed.reopened())
    assert consents.get_request(HASH) == reopened == a_request(HASH, revision=2)
    completed = consents.save_request(reopened.completed((DEMO_COMPANY, ELECTRO_LAND), pending=False))
    found = consents.get_request(HASH)
    assert found == completed
    assert found is not None
    assert found.tenants == (DEMO_COMPANY, ELECTRO_LAND)


@pytest.mark.parametrize("refusal", [None, "code_refused"])
def test_a_request_that_failed_keeps_why(consents: Consents, refusal: str | None) -> None:
    consents.add_request(a_request(HASH))
    failed = consents.save_request(a_request(HASH).claimed(NOON).failed(refusal))
    assert consents.get_request(HASH) == failed
    assert (failed.phase, failed.refusal) == (RequestPhase.FAILED, refusal)


def test_of_two_claims_one_succeeds(consents: Consents) -> None:
    consents.add_request(a_request(HASH))
    first = consents.save_request(a_request(HASH).claimed(NOON))
    with pytest.raises(RevisionConflict):
        consents.save_request(a_request(HASH).claimed(NOON))
    assert consents.get_request(HASH) == first


@pytest.mark.parametrize("revision", [0, 1])
def test_a_request_that_is_not_there_cannot_be_changed(consents: Consents, revision: int) -> None:
    with pytest.raises(RevisionConflict):
        consents.save_request(replace(a_request(HASH), revision=revision).failed())
    assert consents.get_request(HASH) is None
