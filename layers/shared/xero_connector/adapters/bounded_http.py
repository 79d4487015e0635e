"""Calls to Xero that end: within a time for the whole answer, however it drips, and within a size."""

from collections.abc import Mapping
from typing import Any, override

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProtocolError

from xero_connector.adapters import lenient_json
from xero_connector.adapters.bounded_connections import CONNECT_TIMEOUT, Connections, within
from xero_connector.adapters.budget import Budget
from xero_connector.adapters.tls import tls_context

_PIECE = 16_384


class AnswerTooLarge(requests.RequestException):
    """The answer has more bytes than such an answer can need."""


class BoundedAdapter(HTTPAdapter):
    """Sends requests within a budget, and reads their answers unless they are streamed.

    The connections are those of the process, if they are given: then they outlive the session.
    """

    def __init__(self, budget: Budget, connections: Connections | None = None) -> None:
        self._budget = budget
        self._kept = connections
        super().__init__()

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self.poolmanager = self._kept or Connections()

    @override
    def close(self) -> None:
        if self._kept is None:
            super().close()

    @override
    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        secure = host["scheme"] == "https"
        return host, {"ssl_context": tls_context(verify if isinstance(verify, str) else None)} if secure else {}

    @override
    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave a pool as it is: its TLS context has the certificates, and always verifies."""

    @override
    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        # The socket waits longer than the timer, so that what was read until then is not lost.
        patience = (CONNECT_TIMEOUT, max(self._budget.left, 0) + 1)
        try:
            with within(self._budget):
                answer = super().send(
                    request, stream=True, timeout=patience, verify=verify, cert=cert, proxies=proxies
                )
        except requests.ConnectionError as error:
            if error.args and isinstance(error.args[0], ProtocolError):
                # Cut off while it waited: say so.
                self._budget.check()
            raise
        try:
            # http.client takes the end of a connection for the end of the header.
            self._budget.check()
            if not stream:
                self._read(answer)
        except requests.RequestException:
            answer.close()
            raise
        return answer

    def _read(self, answer: requests.Response) -> None:
        content = bytearray()
        try:
            while piece := answer.raw.read1(_PIECE, decode_content=True):
                content += piece
                if len(content) > self._budget.limits.largest:
                    self._check_size(content)
                    break
            self._budget.check()
        except (HTTPError, requests.RequestException) as error:
            # A whole document is a whole answer, even if its connection never ends as it should.
            if not lenient_json.read(content).whole:
                raise error if isinstance(error, requests.RequestException) else self._broken(error) from None
        answer.close()
        answer._content = bytes(content)  # noqa: SLF001 - there is no other way to hand it on
        answer._content_consumed = True  # type: ignore[attr-defined] # noqa: SLF001

    def _broken(self, error: HTTPError) -> requests.RequestException:
        self._budget.check()
        return requests.ConnectionError(type(error).__name__)

    def _check_size(self, content: bytearray) -> None:
        if not self._budget.limits.cut:
            raise AnswerTooLarge(f"The answer has more than {self._budget.limits.largest} bytes.")
        del content[self._budget.limits.largest :]
