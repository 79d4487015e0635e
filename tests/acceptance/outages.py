"""The ways in which Xero gives no definite answer."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from tests.acceptance.actors import Json

PATIENCE = 0.5
"""Seconds that the adapters wait for an answer that will not come in time."""


class Outage(NamedTuple):
    """A fault as the control API takes it, what it is to be called, and what is to be said about it."""

    document: Json
    code: str
    words: str


def _answers(status: int, **more: object) -> Json:
    return {"kind": "status", "status": status, **more}


LATE = {"kind": "delay", "seconds": PATIENCE * 2}
FAULTS: Mapping[str, Outage] = {
    "403 with an HTML page": Outage({"kind": "html_403"}, "edge_refused", "firewall"),
    "408": Outage(_answers(408), "unavailable", "not available"),
    "429": Outage(_answers(429, headers={"Retry-After": "120"}), "throttled", "asks for a pause"),
    "500": Outage(_answers(500), "unavailable", "not available"),
    "503": Outage(_answers(503, headers={"Retry-After": "120"}), "unavailable", "not available"),
    "500 that looks like OAuth": Outage(_answers(500, error="invalid_client"), "unavailable", "not available"),
    "timeout": Outage(LATE, "unanswered", "did not answer in time"),
    "hung up": Outage({"kind": "drop_before"}, "unanswered", "did not answer in time"),
    "answer lost": Outage({"kind": "drop_after"}, "unanswered", "did not answer in time"),
    "HTML": Outage(_answers(200), "edge_refused", "firewall"),
}
each_outage = pytest.mark.parametrize("outage", FAULTS.values(), ids=FAULTS.keys())
type Impatience = Callable[[Outage], None]
