"""Failures of the transport, in the words of the domain."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from xero_connector.domain.token_endpoint import FailureKind, TokenEndpointFailure


@contextmanager
def transport_failures() -> Iterator[None]:
    """Tell a request that was never sent from one whose answer is lost: only the first is free of effect."""
    # No cause is kept: each holds its request, with the client secret, the token and the code in it.
    try:
        yield
    except requests.ConnectTimeout:
        raise TokenEndpointFailure(FailureKind.NOT_SENT) from None
    except requests.ConnectionError as error:
        cause = error.args[0] if error.args else None
        reason = cause.reason if isinstance(cause, MaxRetryError) else cause
        never_connected = isinstance(reason, NewConnectionError | ConnectTimeoutError)
        raise TokenEndpointFailure(FailureKind.NOT_SENT if never_connected else FailureKind.UNANSWERED) from None
    except requests.RequestException:
        raise TokenEndpointFailure(FailureKind.UNANSWERED) from None
    except UnicodeEncodeError:
        # A token that was put into the vault by hand and is no text: no request can carry it.
        raise TokenEndpointFailure(FailureKind.NOT_SENT) from None
