"""What calls a running stack: the admin's signed client, a browser-like session, AWS clients, the logs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import Cookie, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as SigningCredentials
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3 import HTTPConnectionPool

from local.stack.description import Credentials, StackDescription

ANSWER_WITHIN_SECONDS = 35  # longer than API Gateway's own limit of 29


class AdminClient:
    """Calls the admin API as one IAM principal; without credentials it calls unsigned."""

    def __init__(self, api_url: str, credentials: Credentials | None, *, region: str = "us-east-1") -> None:
        self._api_url = api_url.rstrip("/")
        self._credentials = credentials
        self._region = region

    def get(self, path: str, params: Mapping[str, str] | None = None) -> requests.Response:
        return self.request("GET", path, params=params)

    def post(self, path: str, body: object = None) -> requests.Response:
        return self.request("POST", path, body)

    def put(self, path: str, body: object = None) -> requests.Response:
        return self.request("PUT", path, body)

    def delete(self, path: str) -> requests.Response:
        return self.request("DELETE", path)

    def request(
        self, method: str, path: str, body: object = None, *, params: Mapping[str, str] | None = None
    ) -> requests.Response:
        """Send one request; `body` is sent as JSON, bytes and str as they are."""
        data = body if body is None or isinstance(body, bytes | str) else json.dumps(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        request = AWSRequest(method, self._api_url + path, headers=headers, data=data, params=dict(params or {}))
        if self._credentials is not None:
            signer = SigningCredentials(self._credentials.access_key_id, self._credentials.secret_access_key)
            SigV4Auth(signer, "execute-api", self._region).add_auth(request)
        prepared = request.prepare()
        with requests.Session() as session:
            session.trust_env = False  # no proxy stands between us and loopback
            return session.request(
                method,
                prepared.url,
                data=data,
                headers=dict(prepared.headers.items()),
                timeout=ANSWER_WITHIN_SECONDS,
                allow_redirects=False,
            )


class LoopbackSession(requests.Session):
    """A session that treats *.localhost as browsers do.

    Such names lead to 127.0.0.1 (Python's resolver knows them on few systems), and get Secure cookies over http.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies = RequestsCookieJar(_TrustworthyLocalhost())
        self.mount("http://", _LoopbackAdapter())

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        prepared = super().prepare_request(request)
        # A session copies its cookies into a jar of its own making, which knows nothing of our policy.
        prepared.headers.pop("Cookie", None)
        prepared.prepare_cookies(self.cookies)
        return prepared


class _TrustworthyLocalhost(DefaultCookiePolicy):
    def return_ok_secure(self, cookie: Cookie, request: Request) -> bool:
        return _is_localhost(urlsplit(request.get_full_url()).hostname) or super().return_ok_secure(
            cookie, request
        )


class _LoopbackAdapter(HTTPAdapter):
    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> HTTPConnectionPool:
        url = urlsplit(request.url or "")
        host = url.hostname or ""
        if _is_localhost(host):
            # Only the connection goes elsewhere: address, Host header and cookies keep the name.
            request.headers["Host"] = url.netloc
            host = "127.0.0.1"
        pool: HTTPConnectionPool = self.poolmanager.connection_from_host(host, url.port, url.scheme)
        return pool


def _is_localhost(host: str | None) -> bool:
    return host is not None and (host == "localhost" or host.endswith(".localhost"))


def aws_client(service: str, stack: StackDescription, credentials: Credentials | None = None) -> Any:  # noqa: ANN401 - boto3's clients have no common type
    """A boto3 client of the local cloud, as the stack's admin or as the principal given."""
    principal = credentials or stack.credentials
    session = boto3.Session(
        aws_access_key_id=principal.access_key_id,
        aws_secret_access_key=principal.secret_access_key,
        region_name=stack.region,
    )
    return session.client(  # type: ignore[call-overload]
        service,
        endpoint_url=stack.aws_endpoint_url,
        config=Config(proxies={}, retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=90),
    )


@dataclass(frozen=True)
class LogEvent:
    """One line that a function wrote; `fields` holds it parsed when it is a JSON object (EMF metrics too)."""

    function: str
    timestamp_ms: int
    message: str
    fields: dict[str, Any] | None


def read_logs(stack: StackDescription) -> list[LogEvent]:
    """Everything the functions wrote, oldest first.

    A line appears when the invocation that wrote it has ended.
    """
    logs, functions = aws_client("logs", stack), aws_client("lambda", stack)
    names = {
        "credential_api": stack.functions.credential_api,
        "oauth_callback": stack.functions.oauth_callback,
        "setup_page": stack.functions.setup_page,
        "token_refresh": stack.functions.token_refresh,
    }
    events = []
    for function, name in names.items():
        group = functions.get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            events += [
                LogEvent(function, event["timestamp"], event["message"], _json_object(event["message"]))
                for event in page["events"]
            ]
    return sorted(events, key=lambda event: event.timestamp_ms)


def _json_object(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
