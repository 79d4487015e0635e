"""Vaults that deployments leave to each other, and readers from elsewhere, on deployed stacks.

Roles are enforced here, so the functions can do what taking over needs. Keys are not: see the strict doubles.
"""

import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.stack.cloud import ACCOUNT, REGION
from local.stack.journey import Journey
from local.stack.local_stack import STACK_NAME, LocalStack

pytestmark = pytest.mark.stack

ANOTHER_KEY, FORMER_KEY = (
    f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{number}2345678-1234-1234-1234-123456789012" for number in (0, 1)
)


def secret(journey: Journey, client_id: str, kind: str) -> dict[str, Any]:
    described: dict[str, Any] = journey.stack.aws("secretsmanager").describe_secret(
        SecretId=f"{journey.stack.description.secret_prefix}/{client_id}/{kind}"
    )
    return described


def leave(journey: Journey, client_id: str, kind: str, *, deleted: bool) -> None:
    """Make a secret as a deployment with another key would have left it."""
    client = journey.stack.aws("secretsmanager")
    name = f"{journey.stack.description.secret_prefix}/{client_id}/{kind}"
    client.create_secret(Name=name, SecretString="{}", KmsKeyId=ANOTHER_KEY)
    if deleted:
        client.delete_secret(SecretId=name, RecoveryWindowInDays=30)


def assert_is_this_deployment_s(journey: Journey, client_id: str, kind: str) -> None:
    described = secret(journey, client_id, kind)
    assert described["KmsKeyId"] == journey.stack.outputs["KmsKeyArn"]
    assert "DeletedDate" not in described
    assert {tag["Key"]: tag["Value"] for tag in described["Tags"]} == {
        "application": "xero-connector",
        "stack": STACK_NAME,
        "client_id": client_id,
    }


def test_a_web_app_takes_over_what_was_left(journey: Journey) -> None:
    app = journey.create_app()
    for kind in ("client", "tokens"):
        leave(journey, app.client_id, kind, deleted=True)
    journey.connect(app)
    assert journey.credential(app)["status"] == "connected"
    for kind in ("client", "tokens"):
        assert_is_this_deployment_s(journey, app.client_id, kind)
    assert journey.tokens(app)["client_id"] == app.client_id


def test_a_custom_connection_takes_over_what_was_left(journey: Journey) -> None:
    app = journey.create_app("custom_connection", organisations=["Rapid Auto"])
    for kind in ("client", "tokens"):
        leave(journey, app.client_id, kind, deleted=True)
    answer = journey.submit(app, integration_type="custom_connection")
    assert (answer.status_code, answer.json()["status"]) == (HTTPStatus.CREATED, "connected")
    for kind in ("client", "tokens"):
        assert_is_this_deployment_s(journey, app.client_id, kind)


@pytest.mark.parametrize("kind", ["client", "tokens"])
def test_a_living_secret_under_another_key_is_left_alone(journey: Journey, kind: str) -> None:
    app = journey.create_app()
    leave(journey, app.client_id, kind, deleted=False)
    answer = journey.submit(app)
    assert (answer.status_code, answer.json()["code"]) == (HTTPStatus.CONFLICT, "secret_under_another_key")
    assert ANOTHER_KEY in answer.json()["detail"]
    assert secret(journey, app.client_id, kind)["KmsKeyId"] == ANOTHER_KEY
    assert journey.admin.get(f"/credentials/{app.client_id}").status_code == HTTPStatus.NOT_FOUND


@pytest.fixture(scope="module")
def heir() -> Iterator[Journey]:
    """A stack of its own that is given a key, has had another, and has readers in this account."""
    parameters = {
        "VaultKeyArn": ANOTHER_KEY,
        "FormerVaultKeyArn": FORMER_KEY,
        "TokenReaderPrincipals": f"arn:aws:iam::{ACCOUNT}:root",
    }
    with LocalStack(parameters=parameters) as stack:
        yield Journey(stack)


def test_a_stack_that_is_given_a_key_makes_none_and_uses_it(heir: Journey) -> None:
    resources = heir.stack.cloud.client("cloudformation").list_stack_resources(StackName=STACK_NAME)
    types = {resource["ResourceType"] for resource in resources["StackResourceSummaries"]}
    assert "AWS::DynamoDB::Table" in types
    assert not {kind for kind in types if kind.startswith("AWS::KMS::")}
    assert heir.stack.outputs["KmsKeyArn"] == ANOTHER_KEY
    app = heir.create_app()
    leave(heir, app.client_id, "client", deleted=False)
    assert heir.submit(app).status_code == HTTPStatus.CREATED
    assert secret(heir, app.client_id, "client")["KmsKeyId"] == ANOTHER_KEY


def test_a_reader_assumes_the_role_and_reads_tokens_only(heir: Journey) -> None:
    app = heir.create_app("custom_connection", organisations=["Rapid Auto"])
    assert heir.submit(app, integration_type="custom_connection").status_code == HTTPStatus.CREATED
    role = heir.stack.outputs["TokenReaderRoleArn"]
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    reader = heir.stack.create_user(
        "reader", policy_document=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    session = heir.stack.aws("sts", reader.credentials).assume_role(RoleArn=role, RoleSessionName="test")
    given = session["Credentials"]
    client = boto3.client(
        "secretsmanager",
        endpoint_url=heir.stack.description.aws_endpoint_url,
        region_name=heir.stack.description.region,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    prefix = f"{heir.stack.description.secret_prefix}/{app.client_id}"
    assert json.loads(client.get_secret_value(SecretId=f"{prefix}/tokens")["SecretString"])["token"]
    with pytest.raises(ClientError, match="AccessDenied"):
        client.get_secret_value(SecretId=f"{prefix}/client")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_secret_value(SecretId=f"{prefix}/tokens", SecretString="x")
