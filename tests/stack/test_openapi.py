"""The deployed API answers what docs/openapi.yaml says, whatever it is asked."""

import itertools
import json
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local.stack import LocalStack
from local.stack.clients import ANSWER_WITHIN_SECONDS
from local.stack.description import Credentials, StackDescription
from local.stack.journey import Journey, XeroApp
from tests.handlers.openapi_document import complaints, document, operations

pytestmark = pytest.mark.stack

PAIRS_OF_EXAMPLES = 7
"""For each operation: one as described, one that is not. Enough to meet each rule, few enough for each run."""
PAUSE_SECONDS = 0.06
"""The template lets 20 admin requests a second pass: asked faster, the next test would be turned away as well."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
INTERNALS = re.compile(
    r"Traceback|botocore|boto3|powertools|ClientError|xero_connector|\.py\b|/opt/|/var/|/tmp/|/home/|/work/"
    r"|\beyJ[\w-]{10,}\."  # a JWT, as access tokens are
)
ARN = re.compile(r"arn:[\w-]*:(\w+):[^\"\s]*")
TOKENS_ARN = re.compile(r"/tokens-\w{6}$")
SHORTEST_SECRET = 8
"""Characters: what is shorter stands in an answer by chance."""
A_PATH = "/credentials/0123456789ABCDEF0123456789ABCDEF"

# What ends credentials comes last, so that the others meet living ones.
IN_ORDER = sorted(operations(), key=lambda key: key[0] == "DELETE")
ADMIN_ROUTES = [key for key, operation in operations().items() if not operation.is_public]

type Key = tuple[str, str]


class Signed(requests.auth.AuthBase):
    """Signs a request as somebody, whatever it has become by then."""

    def __init__(self, credentials: Credentials, region: str) -> None:
        signer = SigningCredentials(credentials.access_key_id, credentials.secret_access_key)
        self._signer = SigV4Auth(signer, "execute-api", region)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        to_sign = AWSRequest(request.method, request.url, data=request.body)
        self._signer.add_auth(to_sign)
        request.headers.update(to_sign.headers.items())
        return request


def signed(description: StackDescription) -> Signed:
    return Signed(description.credentials, description.region)


class Existing:
    """Credentials in most of the states that there are, the answers so far, and every secret that passed by."""

    def __init__(self, journey: Journey) -> None:
        self.answers: list[tuple[Key, requests.Response]] = []
        self.apps: list[XeroApp] = []
        self.setup_link_ids: list[str] = []
        self._journey = journey
        self._submit(self._app())
        connected, custom, refused, ended = self._app(), self._app("custom_connection"), self._app(), self._app()
        journey.connect(connected).raise_for_status()
        self._submit(custom, integration_type="custom_connection")
        self._submit(refused)
        journey.simulator("DELETE", f"apps/{refused.client_id}/secret")
        self._ask("POST", "/validation", refused)
        journey.simulator("POST", "faults", {"endpoint": "token", "kind": "status", "status": 503})
        self._submit(self._app())
        journey.simulator("DELETE", "faults")
        self._submit(ended)
        self._ask("DELETE", "", ended)
        for app in (connected, custom):
            self._ask("POST", "/refresh", app)
            self._ask("GET", "", app)
            self._ask("GET", "/history", app)
        self._ask("POST", "/connect-link", connected)
        self._ask("PUT", "/secret", connected, {"client_secret": connected.client_secret})
        self._keep(("GET", "/credentials"), journey.admin.get("/credentials"))
        self._ask("POST", "/setup-link", refused, {"expires_in_days": 3})
        tickets = self._make_setup_links()
        self.secrets = {app.client_secret or "" for app in self.apps} | tickets
        for app in (connected, custom):
            name = f"{journey.stack.description.secret_prefix}/{app.client_id}/tokens"
            secret = journey.stack.aws("secretsmanager").get_secret_value(SecretId=name)
            token = json.loads(secret["SecretString"])["token"]
            self.secrets.update(value for key, value in token.items() if key.endswith("_token"))

    def _app(self, integration_type: str = "web_app") -> XeroApp:
        self.apps.append(self._journey.create_app(integration_type))
        return self.apps[-1]

    def _submit(self, app: XeroApp, **fields: object) -> None:
        self._keep(("POST", "/credentials"), self._journey.submit(app, **fields))

    def _make_setup_links(self) -> set[str]:
        """Make two; returns their tickets, which no other answer may have."""
        admin, tickets = self._journey.admin, set()
        for label in ("Electro Land", None):
            made = admin.request("POST", "/setup-links", {"label": label})
            made.raise_for_status()
            self.setup_link_ids.append(made.json()["setup_link_id"])
            tickets.add(made.json()["setup_url"].rpartition("/")[2])
        path = "/setup-links/{setup_link_id}"
        self._keep(("GET", "/setup-links"), admin.get("/setup-links"))
        self._keep(("GET", path), admin.get(path.format(setup_link_id=self.setup_link_ids[0])))
        return tickets

    def _ask(self, method: str, route: str, app: XeroApp, body: object = None) -> None:
        answer = self._journey.admin.request(method, f"/credentials/{app.client_id}{route}", body)
        self._keep((method, f"/credentials/{{client_id}}{route}"), answer)

    def _keep(self, key: Key, answer: requests.Response) -> None:
        answer.raise_for_status()
        self.answers.append((key, answer))


@pytest.fixture(scope="module")
def existing(journey: Journey) -> Existing:
    return Existing(journey)


@pytest.fixture(scope="module")
def examples() -> Mapping[Key, st.SearchStrategy[Any]]:
    """For each operation pairs of requests, and for each whether it is about a credential that there is."""
    schema = schemathesis.openapi.from_dict(document())
    return {
        (method, path): st.tuples(
            *(
                st.tuples(schema[path][method].as_strategy(generation_mode=mode), st.booleans())
                for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
            )
        )
        for method, path in operations()
    }


def is_of_the_local_gateway(status: int, body: str) -> bool:
    """Whether the local API Gateway refused by itself.

    It does so in its own words; the real one has the template's GatewayResponses, see tests/unit/test_openapi.py.
    """
    if status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        return False
    try:
        content = json.loads(body)
    except ValueError:
        return False
    return isinstance(content, dict) and content.keys() == {"message"}


def leaks(text: str, secrets: set[str]) -> list[str]:
    """Find in an answer what must not leave the system."""
    found = INTERNALS.findall(text)
    found += [arn[0] for arn in ARN.finditer(text) if not _may_be_told(arn)]
    return found + ["a secret" for secret in secrets if len(secret) >= SHORTEST_SECRET and secret in text]


def _may_be_told(arn: re.Match[str]) -> bool:
    # Who did it, and where an integration reads the tokens.
    return arn[1] in {"iam", "sts"} or (arn[1] == "secretsmanager" and TOKENS_ARN.search(arn[0]) is not None)


def what_is_wrong(key: Key, status: int, headers: Mapping[str, str], body: str, secrets: set[str]) -> list[str]:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return [f"{status}: {body}"]
    text = "\n".join([*(f"{name}: {value}" for name, value in headers.items()), body])
    return [*complaints(*key, status, headers, body), *leaks(text, secrets)]


def in_small_letters(answer: requests.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def test_the_main_job_is_answered_as_described(existing: Existing) -> None:
    assert {answer.status_code for _, answer in existing.answers} == {200, 201, 202}
    for key, answer in existing.answers:
        headers = in_small_letters(answer)
        assert what_is_wrong(key, answer.status_code, headers, answer.text, existing.secrets) == []


@pytest.mark.parametrize("key", IN_ORDER, ids=" ".join)
def test_every_answer_is_as_described(
    local_stack: LocalStack, existing: Existing, examples: Mapping[Key, st.SearchStrategy[Any]], key: Key
) -> None:
    session, apps = local_stack.browser(), itertools.cycle(existing.apps)
    setup_link_ids = itertools.cycle(existing.setup_link_ids)
    auth = None if operations()[key].is_public else signed(local_stack.description)
    answered: list[int] = []

    @seed(20_261_123)
    @settings(
        max_examples=PAIRS_OF_EXAMPLES,
        derandomize=False,  # a seed that is written down is as repeatable, and can be changed for a search
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(pair=examples[key])
    def ask(pair: tuple[tuple[schemathesis.Case[Any], bool], ...]) -> None:
        for case, is_about_an_existing_one in pair:
            if is_about_an_existing_one:
                name(case, next(apps), next(setup_link_ids))
            time.sleep(PAUSE_SECONDS)
            answer = case.call(
                base_url=local_stack.description.api_url,
                session=session,
                auth=auth,
                timeout=ANSWER_WITHIN_SECONDS,
                allow_redirects=False,
            )
            if is_of_the_local_gateway(answer.status_code, answer.text):
                continue
            answered.append(answer.status_code)
            case.validate_response(answer, checks=CHECKS)
            headers = {name.lower(): values[0] for name, values in answer.headers.items()}
            secrets = existing.secrets | secrets_of(case.body)
            assert what_is_wrong(key, answer.status_code, headers, answer.text, secrets) == []

    ask()
    assert len(answered) > PAIRS_OF_EXAMPLES


def name(case: schemathesis.Case[Any], app: XeroApp, setup_link_id: str) -> None:
    """Make a request be about a credential or a link that there is, with the secret that it has."""
    if "setup_link_id" in case.path_parameters:
        case.path_parameters["setup_link_id"] = setup_link_id
    if "client_id" in case.path_parameters:
        case.path_parameters["client_id"] = app.client_id
    for field, value in (("client_id", app.client_id), ("client_secret", app.client_secret)):
        if isinstance(case.body, dict) and isinstance(case.body.get(field), str):
            case.body[field] = value


def secrets_of(body: object) -> set[str]:
    secret = body.get("client_secret") if isinstance(body, dict) else None
    return {secret} if isinstance(secret, str) else set()


def send(
    local_stack: LocalStack,
    method: str,
    path: str,
    *,
    auth: Signed | None,
    **options: Any,  # noqa: ANN401 - what requests takes
) -> requests.Response:
    time.sleep(PAUSE_SECONDS)
    address = local_stack.description.api_url.rstrip("/") + path
    session = local_stack.browser()
    return session.request(
        method, address, auth=auth, timeout=ANSWER_WITHIN_SECONDS, allow_redirects=False, **options
    )


@pytest.mark.parametrize(
    ("request_line", "options"),
    [
        ("PATCH /credentials", {}),
        ("DELETE /credentials", {}),
        (f"POST {A_PATH}", {}),
        (f"GET {A_PATH}/secret", {}),
        ("GET /credentials/%00", {}),
        ("GET /credentials/%FF%FE", {}),
        ("GET /credentials/A%2FB", {}),
        ("GET /credentials/..%2F..%2Fetc", {}),
        ("GET /credentials/%F0%9F%98%80", {}),
        ("DELETE /credentials/%22", {}),
        (f"GET /credentials/{'A' * 5_000}", {}),
        ("GET /credentials?limit=1&limit=2", {}),
        ("GET /credentials?limit=%00", {}),
        ("GET /credentials?limit=1e9", {}),
        ("GET /credentials?status=validated&status=connected", {}),
        ("GET /credentials?next_token=%FF", {}),
        ("GET /setup-links?state=open&state=used", {}),
        ("GET /setup-links?next_token=WyJBIl0", {}),
        ("GET /setup-links/%00", {}),
        ("DELETE /setup-links/..%2Fcredentials", {}),
        ("POST /setup-links", {"data": b'{"expires_in_days": 1e400}'}),
        (f"GET {A_PATH}/history?next_token=WzEsMF0", {}),
        ("POST /credentials", {"data": b"\xff\xfe"}),
        ("POST /credentials", {"data": b"\x00" * 100}),
        ("POST /credentials", {"data": b'{"client_id": "A", "client_secret": "\xff"}'}),
        ("POST /credentials", {"data": b"\x1f\x8b\x08\x00", "headers": {"Content-Encoding": "gzip"}}),
        ("POST /credentials", {"data": b"client_id=A", "headers": {"Content-Type": "multipart/form-data"}}),
        ("POST /credentials", {"data": b'"x"', "headers": {"Content-Type": "text/plain; charset=no-such"}}),
        (f"PUT {A_PATH}/secret", {"data": b"[" * 16_000}),
        (f"PUT {A_PATH}/secret", {"data": b"{}", "headers": {"X-Amz-Security-Token": "%00"}}),
        (f"GET {A_PATH}", {"data": b"{}", "headers": {"X-HTTP-Method-Override": "DELETE"}}),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_an_odd_request_is_refused_and_never_a_failure(
    local_stack: LocalStack, existing: Existing, request_line: str, options: dict[str, Any]
) -> None:
    method, path = request_line.split(" ")
    answer = send(local_stack, method, path, auth=signed(local_stack.description), **options)
    assert HTTPStatus.BAD_REQUEST <= answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, answer.text
    assert leaks(f"{answer.headers}\n{answer.text}", existing.secrets) == []
    if not is_of_the_local_gateway(answer.status_code, answer.text):
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize("key", ADMIN_ROUTES, ids=" ".join)
@pytest.mark.parametrize("signer", ["nobody", "an unknown key", "a wrong secret"])
def test_an_admin_route_refuses_what_is_not_rightly_signed(
    local_stack: LocalStack, existing: Existing, key: Key, signer: str
) -> None:
    told = local_stack.description
    # A wrong region is refused by the real service only: the local one does not look at it.
    credentials = {
        "nobody": None,
        "an unknown key": Credentials("AKIAUNKNOWNUNKNOWN00", told.secret_access_key),
        "a wrong secret": Credentials(told.access_key_id, "not-the-one-of-this-key"),
    }[signer]
    auth = None if credentials is None else Signed(credentials, told.region)
    method, path = key
    path = path.format(client_id=existing.apps[0].client_id, setup_link_id=existing.setup_link_ids[0])
    answer = send(local_stack, method, path, auth=auth, data=b"{}")
    assert answer.status_code == HTTPStatus.FORBIDDEN, answer.text
    assert leaks(answer.text, existing.secrets) == []


def test_a_signature_is_for_one_request_only(local_stack: LocalStack, existing: Existing) -> None:
    told = local_stack.description
    request = requests.Request("GET", f"{told.api_url.rstrip('/')}/credentials", auth=signed(told)).prepare()
    request.url = f"{request.url}/{existing.apps[0].client_id}"
    answer = local_stack.browser().send(request, timeout=ANSWER_WITHIN_SECONDS)
    assert answer.status_code == HTTPStatus.FORBIDDEN
