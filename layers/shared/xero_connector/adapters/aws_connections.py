"""Connections to AWS that share one TLS context.

botocore hands the bundle of root certificates to each connection, which reads it: 20 milliseconds of CPU for each
thread and service, in an execution environment that has half a processor.
"""

from ssl import SSLContext
from typing import TYPE_CHECKING, Any

from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from xero_connector.adapters.tls import tls_context

if TYPE_CHECKING:
    from botocore.client import BaseClient


class _OneContext(URLLib3Session):
    """botocore's own session, whose connections find the certificates in the context."""

    _verify: bool | str

    def _get_ssl_context(self) -> SSLContext:
        return tls_context(self._verify if isinstance(self._verify, str) else None)

    def _setup_ssl_cert(self, conn: Any, url: str, verify: object) -> None:  # noqa: ANN401 - botocore's
        del url, verify
        conn.cert_reqs = "CERT_REQUIRED"


def share_tls_context(client: "BaseClient") -> None:
    """Have a client that was just made verify with the process's context; botocore has no setting for it."""
    made: Any = client
    endpoint, config = made._endpoint, made.meta.config  # noqa: SLF001 - there is no other way to its connections
    endpoint.http_session = _OneContext(
        verify=endpoint.http_session._verify,  # noqa: SLF001 - which bundle the environment names
        proxies=config.proxies or get_environ_proxies(made.meta.endpoint_url),
        timeout=(config.connect_timeout, config.read_timeout),  # type: ignore[arg-type] # as botocore calls it
        max_pool_connections=config.max_pool_connections,
        # No waiting for an acknowledgement between the two parts of a request.
        socket_options=endpoint.http_session._socket_options,  # noqa: SLF001
    )
