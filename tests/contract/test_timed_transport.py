"""How long Xero takes is measured by the kind of call, whatever comes of it."""

from datetime import timedelta

import pytest
import requests
from urllib3 import HTTPResponse

from tests.fakes.transport import an_answer, answering
from tests.fakes.world import RecordingObserver
from xero_connector.adapters.budget import Budget, Limits
from xero_connector.adapters.timed_transport import timed

LIMITS = Limits(within=timedelta(seconds=1), largest=100)
ADDRESS = "https://identity.xero.test/connect/token?secret=1"


def hung_up(_: requests.PreparedRequest) -> HTTPResponse:
    raise requests.ConnectionError


def test_an_answer_is_measured_and_handed_on() -> None:
    observer = RecordingObserver()
    transport = timed(answering(lambda _: an_answer(200, content=b"whole")), observer, "token")
    with Budget(LIMITS, transport) as budget, budget.bind(requests.Session()) as session:
        assert session.get(ADDRESS).content == b"whole"
    ((name, seconds),) = observer.measures
    assert name == "XeroLatency.token"
    assert 0 <= seconds < 1


def test_a_failure_is_measured_and_handed_on() -> None:
    observer = RecordingObserver()
    transport = timed(answering(hung_up), observer, "connections")
    with (
        Budget(LIMITS, transport) as budget,
        budget.bind(requests.Session()) as session,
        pytest.raises(requests.ConnectionError),
    ):
        session.get(ADDRESS)
    assert [name for name, _ in observer.measures] == ["XeroLatency.connections"]
