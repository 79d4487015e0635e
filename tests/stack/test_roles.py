"""Each function is held to its own role: a probe runs with that role and tries what it must not do."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from local.stack.journey import Journey

pytestmark = pytest.mark.stack

PROBE = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    try:
        answer = getattr(boto3.client(event["service"]), event["operation"])(**event["arguments"])
    except ClientError as error:
        return error.response["Error"]["Code"]
    # PutEvents succeeds as a call, whatever it says about each event.
    refused = [entry["ErrorCode"] for entry in answer.get("Entries", []) if "ErrorCode" in entry]
    return refused[0] if refused else "allowed"
"""
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
FUNCTIONS = ["credential_api", "oauth_callback", "setup_page", "token_refresh"]
SERVE_TOKENS = ["credential_api", "oauth_callback", "token_refresh"]
"""Those that write tokens: the setup page does not even read them."""

type Attempt = tuple[str, str, dict[str, Any]]

KEY = {"pk": {"S": "PROBE"}, "sk": {"S": "PROBE"}}
VERSION = "11111111-2222-3333-4444-555555555555"
GET_CLIENT: Attempt = ("secretsmanager", "get_secret_value", {"SecretId": "{prefix}/PROBE/client"})
GET_TOKENS: Attempt = ("secretsmanager", "get_secret_value", {"SecretId": "{prefix}/PROBE/tokens"})
PUT_CLIENT: Attempt = (
    "secretsmanager",
    "put_secret_value",
    {"SecretId": "{prefix}/PROBE/client", "SecretString": "probe", "ClientRequestToken": VERSION},
)
PUT_TOKENS: Attempt = (
    "secretsmanager",
    "put_secret_value",
    {"SecretId": "{prefix}/PROBE/tokens", "SecretString": "probe", "ClientRequestToken": VERSION},
)
CREATE_CLIENT: Attempt = ("secretsmanager", "create_secret", {"Name": "{prefix}/PROBE2/client"})
CREATE_TOKENS: Attempt = ("secretsmanager", "create_secret", {"Name": "{prefix}/PROBE2-{probe}/tokens"})
RESTORE_CLIENT: Attempt = ("secretsmanager", "restore_secret", {"SecretId": "{prefix}/PROBE/client"})
RESTORE_TOKENS: Attempt = ("secretsmanager", "restore_secret", {"SecretId": "{prefix}/PROBE/tokens"})
DELETE_TOKENS: Attempt = ("secretsmanager", "delete_secret", {"SecretId": "{prefix}/PROBE/tokens"})
GET_FOREIGN: Attempt = ("secretsmanager", "get_secret_value", {"SecretId": "somebody/else"})
LIST_SECRETS: Attempt = ("secretsmanager", "list_secrets", {})
GET_ITEM: Attempt = ("dynamodb", "get_item", {"TableName": "{table}", "Key": KEY})
BATCH_GET: Attempt = ("dynamodb", "batch_get_item", {"RequestItems": {"{table}": {"Keys": [KEY]}}})
DELETE_ITEM: Attempt = ("dynamodb", "delete_item", {"TableName": "{table}", "Key": KEY})
SCAN: Attempt = ("dynamodb", "scan", {"TableName": "{table}"})
QUERY_DUE: Attempt = (
    "dynamodb",
    "query",
    {
        "TableName": "{table}",
        "IndexName": "due",
        "KeyConditionExpression": "due_shard = :s",
        "ExpressionAttributeValues": {":s": {"S": "0"}},
    },
)
QUERY_LIST: Attempt = (
    "dynamodb",
    "query",
    {
        "TableName": "{table}",
        "IndexName": "credentials",
        "KeyConditionExpression": "listing = :l",
        "ExpressionAttributeValues": {":l": {"S": "DETAILS"}},
    },
)
QUERY_CREDENTIAL: Attempt = (
    "dynamodb",
    "query",
    {
        "TableName": "{table}",
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "PROBE"}},
    },
)
TRANSACT_PUT: Attempt = (
    "dynamodb",
    "transact_write_items",
    {"TransactItems": [{"Put": {"TableName": "{table}", "Item": KEY}}]},
)
TRANSACT_DELETE: Attempt = (
    "dynamodb",
    "transact_write_items",
    {"TransactItems": [{"Delete": {"TableName": "{table}", "Key": KEY}}]},
)
PUT_EVENT: Attempt = (
    "events",
    "put_events",
    {"Entries": [{"EventBusName": "{bus}", "Source": "probe", "DetailType": "Probe", "Detail": "{}"}]},
)
PUT_FOREIGN_EVENT: Attempt = (
    "events",
    "put_events",
    {"Entries": [{"EventBusName": "default", "Source": "probe", "DetailType": "Probe", "Detail": "{}"}]},
)
PUT_RULE: Attempt = ("events", "put_rule", {"EventBusName": "{bus}", "Name": "probe", "EventPattern": "{}"})
DELETE_TABLE: Attempt = ("dynamodb", "delete_table", {"TableName": "{table}"})
NEVER = (GET_FOREIGN, LIST_SECRETS, SCAN, DELETE_TABLE, PUT_FOREIGN_EVENT, PUT_RULE)


@pytest.fixture(scope="module", autouse=True)
def _secrets(journey: Journey) -> Iterator[None]:
    client = journey.stack.aws("secretsmanager")
    prefix = journey.stack.description.secret_prefix
    names = [f"{prefix}/PROBE/client", f"{prefix}/PROBE/tokens", "somebody/else"]
    for name in names:
        client.create_secret(Name=name, SecretString="probe")
    yield
    pages = client.get_paginator("list_secrets").paginate()
    made = [secret["Name"] for page in pages for secret in page["SecretList"] if "/PROBE2" in secret["Name"]]
    for name in [*names, *made]:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    journey.stack.aws("dynamodb").delete_item(TableName=journey.stack.description.table_name, Key=KEY)


@pytest.fixture(scope="module")
def probes(journey: Journey) -> Iterator[dict[str, str]]:
    """For each function the name of a probe that runs with its role."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("probe.py", PROBE)
    client = journey.stack.aws("lambda")
    names = {}
    for function in FUNCTIONS:
        name = getattr(journey.stack.description.functions, function)
        names[function] = f"probe-{function}"
        client.create_function(
            FunctionName=names[function],
            Runtime="python3.13",
            Role=client.get_function_configuration(FunctionName=name)["Role"],
            Handler="probe.handler",
            Code={"ZipFile": code.getvalue()},
        )
    yield names
    for name in names.values():
        client.delete_function(FunctionName=name)


def attempt(journey: Journey, probe: str, what: Attempt) -> str:
    service, operation, arguments = what
    told = journey.stack.description
    named = json.dumps(arguments)
    for mark, value in {
        "{prefix}": told.secret_prefix,
        "{table}": told.table_name,
        "{bus}": told.event_bus,
        "{probe}": probe,
    }.items():
        named = named.replace(mark, value)
    answer = journey.stack.aws("lambda").invoke(
        FunctionName=probe,
        Payload=json.dumps({"service": service, "operation": operation, "arguments": json.loads(named)}),
    )
    assert "FunctionError" not in answer
    code: str = json.loads(answer["Payload"].read())
    return code


@pytest.mark.parametrize(
    ("function", "what"),
    [(function, what) for function in FUNCTIONS for what in NEVER]
    + [
        ("credential_api", QUERY_DUE),
        ("oauth_callback", BATCH_GET),
        ("oauth_callback", QUERY_LIST),
        ("oauth_callback", CREATE_CLIENT),
        ("oauth_callback", PUT_CLIENT),
        ("oauth_callback", DELETE_TOKENS),
        ("oauth_callback", DELETE_ITEM),
        ("oauth_callback", TRANSACT_DELETE),
        ("oauth_callback", QUERY_DUE),
        ("setup_page", GET_CLIENT),
        ("setup_page", GET_TOKENS),
        ("setup_page", PUT_TOKENS),
        ("setup_page", CREATE_TOKENS),
        ("setup_page", RESTORE_TOKENS),
        ("setup_page", DELETE_TOKENS),
        ("setup_page", BATCH_GET),
        ("setup_page", QUERY_LIST),
        ("setup_page", QUERY_DUE),
        ("token_refresh", BATCH_GET),
        ("token_refresh", CREATE_CLIENT),
        ("token_refresh", PUT_CLIENT),
        ("token_refresh", DELETE_ITEM),
        ("token_refresh", TRANSACT_DELETE),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}-{value[1]}",
)
def test_a_function_is_denied_what_its_role_lacks(
    journey: Journey, probes: dict[str, str], function: str, what: Attempt
) -> None:
    assert attempt(journey, probes[function], what) in DENIED


@pytest.mark.parametrize(
    ("function", "what"),
    [(function, what) for function in FUNCTIONS for what in (PUT_EVENT, TRANSACT_PUT, QUERY_CREDENTIAL, GET_ITEM)]
    + [(function, what) for function in SERVE_TOKENS for what in (CREATE_TOKENS, RESTORE_TOKENS)]
    + [
        ("credential_api", GET_CLIENT),
        ("credential_api", BATCH_GET),
        ("credential_api", QUERY_LIST),
        ("oauth_callback", GET_CLIENT),
        ("oauth_callback", RESTORE_CLIENT),
        ("oauth_callback", PUT_TOKENS),
        ("oauth_callback", GET_TOKENS),
        ("token_refresh", QUERY_DUE),
        ("token_refresh", QUERY_LIST),
        ("setup_page", CREATE_CLIENT),
        ("setup_page", PUT_CLIENT),
        ("setup_page", RESTORE_CLIENT),
        ("setup_page", DELETE_ITEM),
        ("token_refresh", GET_TOKENS),
        ("token_refresh", PUT_TOKENS),
        ("token_refresh", RESTORE_CLIENT),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}-{value[1]}",
)
def test_and_allowed_what_it_needs(journey: Journey, probes: dict[str, str], function: str, what: Attempt) -> None:
    # A secret that is not deleted cannot be restored, by whomever.
    allowed = "InvalidRequestException" if what in (RESTORE_CLIENT, RESTORE_TOKENS) else "allowed"
    assert attempt(journey, probes[function], what) == allowed
