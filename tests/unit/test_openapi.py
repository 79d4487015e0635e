"""docs/openapi.yaml says what the template deploys, the handlers route, the domain knows and docs/api.md tells."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from schemathesis.core import NotSet

from functions.credential_api.handler import app as credential_api
from functions.oauth_callback.handler import app as oauth_callback
from functions.setup_page.handler import app as setup_page
from tests.handlers.openapi_document import (
    METHODS,
    PROBLEM_JSON,
    codes,
    document,
    documented_codes,
    operations,
    problem_codes,
    resolved,
    validator,
)
from tests.unit.test_documentation import codes_of_the_source, template
from xero_connector.domain.checks import UNCHECKED, CheckResult
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import MalformedRequest
from xero_connector.domain.history import Action
from xero_connector.domain.scopes import MOST_SCOPES, REQUIRED_SCOPES
from xero_connector.domain.setup_link import DEFAULT_LIFETIME, LONGEST_LIFETIME, SHORTEST_LIFETIME, LinkState
from xero_connector.domain.setup_view import Purpose
from xero_connector.domain.status import Status
from xero_connector.domain.submission import LONGEST_LABEL, LONGEST_SECRET, parse_client_id
from xero_connector.web.rest_requests import DEFAULT_LIMIT, LARGEST_BODY, LARGEST_LIMIT
from xero_connector.web.setup_form import LARGEST_FORM
from xero_connector.web.setup_link_body import parse_healing_link, parse_setup_link
from xero_connector.web.submission_body import parse_secret_body, parse_submission

ROOT = Path(__file__).parents[2]
API_MD = (ROOT / "docs/api.md").read_text()
ADMIN_ERRORS = API_MD.partition("\n## Errors\n")[2].partition("\n### Pages\n")[0]
PAGES = "".join(API_MD.partition(f"\n### {name}\n")[2].partition("\n### ")[0] for name in ("Pages", "Setup pages"))
SUBMISSION = "#/components/schemas/Submission"
LINK_WISH = "#/components/schemas/SetupLinkWish"
PAIR = {"client_id": "0123456789ABCDEF0123456789ABCDEF", "client_secret": "not-a-real-one"}
CUSTOM = {**PAIR, "integration_type": "custom_connection"}

type Json = dict[str, Any]


RESOURCES: Json = template()["Resources"]


def schema(name: str) -> Json:
    found: Json = document()["components"]["schemas"][name]
    return found


def test_it_is_openapi() -> None:
    validate(document())


def test_every_route_of_the_template_is_described_and_no_other() -> None:
    events = [
        event["Properties"]
        for function in RESOURCES.values()
        for event in function.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "Api"
    ]
    public = {(event["Method"], event["Path"]) for event in events if event.get("Auth") == {"Authorizer": "NONE"}}
    assert {(event["Method"], event["Path"]) for event in events} == set(operations())
    assert public == {key for key, operation in operations().items() if operation.is_public}


def routes(app: APIGatewayRestResolver) -> set[tuple[str, str]]:
    registered = [*app._static_routes, *app._dynamic_routes]  # noqa: SLF001 - Powertools tells them in no other way
    return {(route.method, re.sub(r"<(\w+)>", r"{\1}", route.path)) for route in registered}


def test_every_route_of_the_handlers_is_described_and_no_other() -> None:
    public = {key for key, operation in operations().items() if operation.is_public}
    assert routes(oauth_callback) | routes(setup_page) == public
    assert routes(credential_api) == set(operations()) - public


@pytest.mark.parametrize(
    ("described", "known"),
    [
        (schema("Status")["enum"], list(Status)),
        (schema("IntegrationType")["enum"], list(IntegrationType)),
        (schema("Check")["properties"]["result"]["enum"], list(CheckResult)),
        (schema("HistoryEntry")["properties"]["action"]["enum"], list(Action)),
        (list(schema("Checks")["properties"]), list(UNCHECKED)),
        (schema("SetupLinkState")["enum"], list(LinkState)),
        (schema("SetupLinkFields")["properties"]["purpose"]["enum"], list(Purpose)),
    ],
    ids=["status", "integration type", "check", "action", "checks", "state of a link", "purpose of a link"],
)
def test_what_can_be_told_apart_is_what_the_domain_knows(described: list[str], known: list[str]) -> None:
    assert described == [str(value) for value in known]


def test_limits_are_those_of_the_code() -> None:
    limit = document()["components"]["parameters"]["Limit"]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, LARGEST_LIMIT, DEFAULT_LIMIT)
    for name in ("WebAppScopes", "CustomConnectionScopes"):
        assert (schema(name)["minItems"], schema(name)["maxItems"]) == (1, MOST_SCOPES)
    assert schema("Label")["maxLength"] == LONGEST_LABEL
    assert schema("ClientSecret")["pattern"].endswith(f"{{1,{LONGEST_SECRET}}}$")
    required = schema("WebAppScopes")["allOf"]
    assert {rule["contains"]["const"] for rule in required if "contains" in rule} == set(REQUIRED_SCOPES)
    for operation in operations().values():
        if "requestBody" in operation.content:
            largest = LARGEST_FORM if operation.is_public else LARGEST_BODY
            assert f"{largest:,} bytes" in operation.content["requestBody"]["description"]
    days = schema("ExpiresInDays")
    assert (days["minimum"], days["maximum"], days["default"]) == tuple(
        lifetime.days for lifetime in (SHORTEST_LIFETIME, LONGEST_LIFETIME, DEFAULT_LIFETIME)
    )


def test_every_error_is_explained_in_the_api_document_and_the_other_way_round() -> None:
    described, explained = problem_codes(), documented_codes(ADMIN_ERRORS)
    assert {"in openapi.yaml only": described - explained, "in api.md only": explained - described} == {
        "in openapi.yaml only": set(),
        "in api.md only": set(),
    }


def test_every_error_is_one_that_the_source_or_the_gateway_gives() -> None:
    given = codes_of_the_source() | {MalformedRequest("", hint="").code} | {code for _, code in gateway_codes()}
    # A refresh that finds something definite answers with the status that it leads to.
    given |= {Status.REAUTHORIZATION_REQUIRED, Status.CLIENT_REJECTED}
    assert {code for _, code in problem_codes()} <= given


def gateway_codes() -> set[tuple[str, str]]:
    """What API Gateway answers without a function, as the template tells it to."""
    return {
        (kind.removeprefix("DEFAULT_") if kind.startswith("DEFAULT_") else str(response["StatusCode"]), code)
        for kind, response in RESOURCES["Api"]["Properties"]["GatewayResponses"].items()
        for code in re.findall(r'"code":"(\w+)"', response["ResponseTemplates"]["application/json"])
    }


def test_every_error_of_the_gateway_is_described_for_every_admin_route() -> None:
    for operation in operations().values():
        if not operation.is_public:
            found = {
                (status, code)
                for status, response in operation.content["responses"].items()
                for code in codes(resolved(response)["content"].get(PROBLEM_JSON, {}).get("schema", {}))
            }
            assert gateway_codes() <= found, operation


@pytest.mark.parametrize("kind", RESOURCES["Api"]["Properties"]["GatewayResponses"])
def test_an_error_of_the_gateway_is_a_problem_like_any_other(kind: str) -> None:
    template = RESOURCES["Api"]["Properties"]["GatewayResponses"][kind]["ResponseTemplates"]["application/json"]
    filled = template.replace("$context.error.messageString", '"Forbidden"').replace("$context.requestId", "r-1")
    assert list(validator("#/components/schemas/Problem").iter_errors(json.loads(filled))) == []


def test_every_status_of_a_page_is_explained_in_the_api_document_and_the_other_way_round() -> None:
    answered = {
        status
        for operation in operations().values()
        if operation.is_public
        for status, response in operation.content["responses"].items()
        if status >= "400" and "text/html" in resolved(response)["content"]
    }
    assert answered == {status for status, _ in documented_codes(PAGES)}


def test_the_successes_are_those_of_the_api_document() -> None:
    rows = re.findall(r"^\| \[`(\w+) (/\S*)`\]\([^)]*\) \| ([\d, ]+) \|", API_MD, re.MULTILINE)
    described = {
        (method, path): [status for status in operation.content["responses"] if status.startswith("2")]
        for (method, path), operation in operations().items()
        if not operation.is_public
    }
    assert {(method, path): statuses.split(", ") for method, path, statuses in rows} == described


def examples() -> Iterator[tuple[str, object]]:
    """Every example with the pointer of the schema that it belongs to."""

    def walk(node: object, pointer: str) -> Iterator[tuple[str, object]]:
        if isinstance(node, dict):
            if "schema" in node and "example" in node:
                yield f"{pointer}/schema", node["example"]
            if "schema" in node and "examples" in node:
                yield from ((f"{pointer}/schema", named["value"]) for named in node["examples"].values())
            for key, value in node.items():
                yield from walk(value, f"{pointer}/{key.replace('/', '~1')}")

    yield from walk(document(), "#")


@pytest.mark.parametrize(("pointer", "example"), list(examples()), ids=lambda value: str(value)[:60])
def test_an_example_is_of_its_own_schema(pointer: str, example: object) -> None:
    assert list(validator(pointer).iter_errors(example)) == []


def test_every_operation_is_named_and_every_answer_says_what_it_means() -> None:
    names = [operation.content["operationId"] for operation in operations().values()]
    assert len(set(names)) == len(names)
    for operation in operations().values():
        assert operation.content["summary"]
        for response in operation.content["responses"].values():
            assert resolved(response)["description"]


def test_nothing_is_described_without_a_reference_to_it() -> None:
    text = json.dumps(document())
    for kind, named in document()["components"].items():
        for name in named:
            if kind == "securitySchemes":
                assert {name: []} in document()["security"]
            else:
                assert f'"#/components/{kind}/{name}"' in text


# --- requests: what the document allows is accepted, and what it forbids is refused ------------------------------


def is_allowed(body: object, pointer: str = SUBMISSION) -> bool:
    valid: bool = validator(pointer).is_valid(body)
    return valid


def refusal(body: object, parse: Callable[[object], object] = parse_submission) -> str | None:
    try:
        parse(body)
    except MalformedRequest as refused:
        return refused.code
    return None


ROUTES = schemathesis.openapi.from_dict(document())
OPERATION = ROUTES["/credentials"]["POST"]
LINK = ROUTES["/setup-links"]["POST"]
FEW = settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@FEW
@given(case=OPERATION.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
def test_a_body_of_the_schema_is_accepted(case: schemathesis.Case[Any]) -> None:
    body = _with_plain_label(case.body)
    assert is_allowed(body)
    assert refusal(body) is None


@FEW
@given(case=OPERATION.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
def test_a_body_beyond_the_schema_is_refused(case: schemathesis.Case[Any]) -> None:
    # Bytes that are no JSON do not come so far: see tests/handlers.
    if not isinstance(case.body, bytes):
        body = _with_plain_label(_trimmed(case.body))
        assert (refusal(body) is None) == is_allowed(body)


@FEW
@given(case=LINK.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
def test_a_wish_for_a_setup_link_of_the_schema_is_accepted(case: schemathesis.Case[Any]) -> None:
    # Without a body the wish is for the defaults.
    body = _with_plain_label(case.body) if isinstance(case.body, dict) else {}
    assert is_allowed(body, LINK_WISH)
    assert refusal(body, parse_setup_link) is None


@FEW
@given(case=LINK.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
def test_a_wish_for_a_setup_link_beyond_the_schema_is_refused(case: schemathesis.Case[Any]) -> None:
    if not isinstance(case.body, bytes | NotSet):
        body = _with_plain_label(case.body)
        assert (refusal(body, parse_setup_link) is None) == is_allowed(body, LINK_WISH)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, None),
        ({"label": None, "integration_type": None, "scopes": None, "expires_in_days": None}, None),
        ({"expires_in_days": 1}, None),
        ({"expires_in_days": 30.0}, None),
        ({"integration_type": "custom_connection", "scopes": ["accounting.contacts"]}, None),
        ({"expires_in_days": 0}, "malformed_expires_in_days"),
        ({"expires_in_days": 31}, "malformed_expires_in_days"),
        ({"expires_in_days": 1.5}, "malformed_expires_in_days"),
        ({"expires_in_days": "7"}, "malformed_expires_in_days"),
        ({"expires_in_days": True}, "malformed_expires_in_days"),
        ({"scopes": ["accounting.contacts"]}, "missing_scope"),
        ({"integration_type": "custom_connection", "scopes": ["openid"]}, "forbidden_scope"),
        ({"integration_type": "mobile_app"}, "malformed_integration_type"),
        ({"label": "\x00"}, "malformed_label"),
        ({"client_id": "A"}, "unknown_field"),
        ([], "malformed_request"),
    ],
)
def test_both_draw_the_same_line_for_a_setup_link(body: object, code: str | None) -> None:
    assert is_allowed(body, LINK_WISH) == (code is None)
    assert refusal(body, parse_setup_link) == code


@pytest.mark.parametrize("body", [{}, {"expires_in_days": 30}, {"expires_in_days": 31}, {"label": "x"}, []])
def test_both_draw_the_same_line_for_a_healing_link(body: object) -> None:
    assert is_allowed(body, "#/components/schemas/HealingLinkWish") == (refusal(body, parse_healing_link) is None)


def _with_plain_label(body: Any) -> Any:  # noqa: ANN401 - whatever JSON there is
    # What is printable is a matter of Unicode's categories, which patterns of JSON Schema cannot name everywhere.
    label = body.get("label") if isinstance(body, dict) else None
    return {**body, "label": None} if isinstance(label, str) and not label.isprintable() else body


def _trimmed(body: Any) -> Any:  # noqa: ANN401 - whatever JSON there is
    # Blanks around a pasted value are cut off: the schema describes what is meant.
    if not isinstance(body, dict):
        return body
    pair = {name: body[name].strip() for name in PAIR if isinstance(body.get(name), str)}
    return {**body, **pair}


@pytest.mark.parametrize(
    "body",
    [
        PAIR,
        CUSTOM,
        {**PAIR, "label": "é" * LONGEST_LABEL, "scopes": ["openid", "offline_access"], "integration_type": None},
        {**PAIR, "client_id": "A" * 64, "client_secret": "~" * LONGEST_SECRET},
        {**CUSTOM, "scopes": [f"accounting.scope{number}" for number in range(MOST_SCOPES)]},
        {**CUSTOM, "scopes": ["app.connections", "!#[]~"]},
        {**PAIR, "scopes": None, "label": None},
    ],
    ids=",".join,
)
def test_the_limits_themselves_are_within(body: Json) -> None:
    assert is_allowed(body)
    assert refusal(body) is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**PAIR, "client_id": "A" * 65}, "malformed_client_id"),
        ({**PAIR, "client_id": ""}, "malformed_client_id"),
        ({**PAIR, "client_id": "a.b"}, "malformed_client_id"),
        ({**PAIR, "client_secret": "~" * (LONGEST_SECRET + 1)}, "malformed_client_secret"),
        ({**PAIR, "client_secret": "a b"}, "malformed_client_secret"),
        ({**PAIR, "label": "x" * (LONGEST_LABEL + 1)}, "malformed_label"),
        ({**PAIR, "label": "\x00"}, "malformed_label"),
        ({**PAIR, "label": 7}, "malformed_label"),
        ({**PAIR, "integration_type": "mobile_app"}, "malformed_integration_type"),
        ({**PAIR, "scopes": []}, "malformed_scopes"),
        ({**PAIR, "scopes": "openid offline_access"}, "malformed_scopes"),
        ({**PAIR, "scopes": ["openid", "offline_access", 'a"b']}, "malformed_scopes"),
        ({**PAIR, "scopes": ["openid", "offline_access", "x" * 101]}, "malformed_scopes"),
        ({**PAIR, "scopes": ["openid"]}, "missing_scope"),
        ({**PAIR, "scopes": ["offline_access"]}, "missing_scope"),
        ({**PAIR, "scopes": ["openid", "offline_access", "app.connections"]}, "forbidden_scope"),
        ({**CUSTOM, "scopes": ["x"] * (MOST_SCOPES + 1)}, "malformed_scopes"),
        ({**CUSTOM, "scopes": ["accounting.contacts", "openid"]}, "forbidden_scope"),
        ({**CUSTOM, "scopes": ["profile"]}, "forbidden_scope"),
        ({**CUSTOM, "scopes": ["email"]}, "forbidden_scope"),
        ({**CUSTOM, "scopes": ["offline_access"]}, "forbidden_scope"),
        ({**PAIR, "colour": "red"}, "unknown_field"),
        ({"client_id": "A"}, "missing_field"),
        ({"client_secret": "x"}, "missing_field"),
        ([PAIR], "malformed_request"),
    ],
)
def test_beyond_a_limit_both_say_no(body: object, code: str) -> None:
    assert not is_allowed(body)
    assert refusal(body) == code


def test_what_the_create_route_refuses_with_is_described_there() -> None:
    described = operations()["POST", "/credentials"].content["responses"]["400"]["content"][PROBLEM_JSON]["schema"]
    files = ("domain/submission.py", "domain/scopes.py", "web/submission_body.py")
    source = "".join((ROOT / "layers/shared/xero_connector" / file).read_text() for file in files)
    # The first is the default of the error, the second is found before anything is parsed.
    constants = dict(re.findall(r'^(_?[A-Z_]+) = "(\w+)"$', source, re.MULTILINE))
    given = {constants[name] for name in re.findall(r"code=(_?[A-Z_]+)", source)}
    given |= set(re.findall(r'code="(\w+)"', source)) | {"malformed_request", "malformed_json"}
    assert given == set(codes(described))


@pytest.mark.parametrize(
    ("client_id", "good"), [("A" * 64, True), ("A" * 65, False), ("a_-9", True), ("a.b", False)]
)
def test_a_client_id_in_a_path_is_held_to_the_same(client_id: str, good: bool) -> None:  # noqa: FBT001 - a test parameter
    assert validator("#/components/schemas/ClientId").is_valid(client_id) == good
    if good:
        assert parse_client_id(client_id) == client_id
    else:
        with pytest.raises(MalformedRequest):
            parse_client_id(client_id)


@pytest.mark.parametrize(("secret", "good"), [("~" * LONGEST_SECRET, True), ("~" * (LONGEST_SECRET + 1), False)])
def test_a_new_secret_is_held_to_the_same(secret: str, good: bool) -> None:  # noqa: FBT001 - a test parameter
    body = {"client_secret": secret}
    assert validator("#/components/schemas/NewSecret").is_valid(body) == good
    if good:
        assert parse_secret_body(body) == secret
    else:
        with pytest.raises(MalformedRequest):
            parse_secret_body(body)


def test_the_check_would_notice_what_is_not_described() -> None:
    credential = copy.deepcopy(
        document()["paths"]["/credentials"]["post"]["responses"]["201"]["content"]["application/json"]["example"]
    )
    of_a_submission = validator("#/components/schemas/SubmittedCredential")
    assert of_a_submission.is_valid(credential)
    for spoilt in (
        {**credential, "client_secret": "x"},
        {**credential, "created_at": "yesterday"},
        {**credential, "status": "fine"},
        {key: value for key, value in credential.items() if key != "label"},
    ):
        assert not of_a_submission.is_valid(spoilt)
    assert isinstance(of_a_submission, Draft202012Validator)
    assert set(METHODS) >= {method.lower() for method, _ in operations()}
