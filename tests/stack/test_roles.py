"""Each function is held to its own role: a probe runs with that role and tries what it must not do."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local_stack.journey import Journey

pytestmark = pytest.mark.stack

PROBE = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    try:
        getattr(boto3.client(event["service"]), event["operation"])(**event["arguments"])
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"
"""
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
FUNCTIONS = ["credential_api", "oauth_callback", "token_refresh"]

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
CREATE_TOKENS: Attempt = ("secretsmanager", "create_secret", {"Name": "{prefix}/PROBE2/tokens"})
DELETE_TOKENS: Attempt = ("secretsmanager", "delete_secret", {"SecretId": "{prefix}/PROBE/tokens"})
GET_FOREIGN: Attempt = ("secretsmanager", "get_secret_value", {"SecretId": "somebody/else"})
LIST_SECRETS: Attempt = ("secretsmanager", "list_secrets", {})
GET_ITEM: Attempt = ("dynamodb", "get_item", {"TableName": "{table}", "Key": KEY})
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
DELETE_TABLE: Attempt = ("dynamodb", "delete_table", {"TableName": "{table}"})
NEVER = (GET_FOREIGN, LIST_SECRETS, SCAN, DELETE_TABLE)


@pytest.fixture(scope="module", autouse=True)
def _secrets(journey: Journey) -> Iterator[None]:
    client = journey.stack.aws("secretsmanager")
    prefix = journey.stack.description.secret_prefix
    names = [f"{prefix}/PROBE/client", f"{prefix}/PROBE/tokens", "somebody/else"]
    for name in names:
        client.create_secret(Name=name, SecretString="probe")
    yield
    for name in names:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


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
    named = {
        key: value.replace("{prefix}", told.secret_prefix).replace("{table}", told.table_name)
        if isinstance(value, str)
        else value
        for key, value in arguments.items()
    }
    answer = journey.stack.aws("lambda").invoke(
        FunctionName=probe,
        Payload=json.dumps({"service": service, "operation": operation, "arguments": named}),
    )
    assert "FunctionError" not in answer
    code: str = json.loads(answer["Payload"].read())
    return code


@pytest.mark.parametrize(
    ("function", "what"),
    [(function, what) for function in FUNCTIONS for what in NEVER]
    + [
        ("credential_api", QUERY_DUE),
        ("credential_api", CREATE_TOKENS),
        ("oauth_callback", PUT_CLIENT),
        ("oauth_callback", GET_TOKENS),
        ("oauth_callback", DELETE_TOKENS),
        ("oauth_callback", DELETE_ITEM),
        ("oauth_callback", QUERY_DUE),
        ("token_refresh", PUT_CLIENT),
        ("token_refresh", CREATE_TOKENS),
        ("token_refresh", DELETE_ITEM),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}-{value[1]}",
)
def test_a_function_is_denied_what_its_role_lacks(
    journey: Journey, probes: dict[str, str], function: str, what: Attempt
) -> None:
    assert attempt(journey, probes[function], what) in DENIED


@pytest.mark.parametrize(
    ("function", "what"),
    [
        ("credential_api", GET_CLIENT),
        ("credential_api", GET_ITEM),
        ("oauth_callback", GET_CLIENT),
        ("oauth_callback", PUT_TOKENS),
        ("token_refresh", QUERY_DUE),
        ("token_refresh", GET_TOKENS),
        ("token_refresh", PUT_TOKENS),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[0]}-{value[1]}",
)
def test_and_allowed_what_it_needs(journey: Journey, probes: dict[str, str], function: str, what: Attempt) -> None:
    assert attempt(journey, probes[function], what) == "allowed"
