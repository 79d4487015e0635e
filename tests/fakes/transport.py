"""A transport that answers without a socket."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import override

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from xero_connector.adapters.budget import Transport

type Respond = Callable[[requests.PreparedRequest], HTTPResponse]


def an_answer(status: int, headers: Mapping[str, str] | None = None, content: bytes = b"") -> HTTPResponse:
    return HTTPResponse(body=BytesIO(content), headers=headers, status=status, preload_content=False)


def answering(respond: Respond) -> Transport:
    """Return what an adapter sends its requests by."""
    return lambda _: _Answering(respond)


class _Answering(HTTPAdapter):
    def __init__(self, respond: Respond) -> None:
        super().__init__()
        self._respond = respond

    @override
    def send(self, request: requests.PreparedRequest, *_: object, **__: object) -> requests.Response:
        return self.build_response(request, self._respond(request))
