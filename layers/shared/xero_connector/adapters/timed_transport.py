"""Measure how long Xero takes, by the kind of call and never by its address."""

from time import monotonic
from typing import Any, override

import requests
from requests.adapters import BaseAdapter

from xero_connector.adapters.budget import Budget, Transport
from xero_connector.domain.ports import Observer


def timed(transport: Transport, observer: Observer, call: str) -> Transport:
    """Return a transport that measures `XeroLatency.{call}`: to the whole answer, or to the failure."""

    def make(budget: Budget) -> BaseAdapter:
        return _TimedAdapter(transport(budget), observer, call)

    return make


class _TimedAdapter(BaseAdapter):
    def __init__(self, inner: BaseAdapter, observer: Observer, call: str) -> None:
        super().__init__()
        self._inner = inner
        self._observer = observer
        self._call = call

    @override
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        began = monotonic()
        try:
            return self._inner.send(request, *args, **kwargs)
        finally:
            self._observer.measure(f"XeroLatency.{self._call}", monotonic() - began)

    @override
    def close(self) -> None:
        self._inner.close()
