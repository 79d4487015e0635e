"""What `sam deploy` put there, asked of the running stack."""

import json

import pytest
from botocore.exceptions import ClientError

from local.stack import LocalStack
from local.stack.cloud import Principal
from local.stack.local_stack import CHECKOUT, STACK_NAME

pytestmark = pytest.mark.stack

ADMIN_ROUTES = [
    ("POST", "/credentials"),
    ("GET", "/credentials"),
    ("GET", "/credentials/0123456789ABCDEF0123456789ABCDEF"),
    ("GET", "/credentials/0123456789ABCDEF0123456789ABCDEF/history"),
    ("POST", "/credentials/0123456789ABCDEF0123456789ABCDEF/connect-link"),
    ("POST", "/credentials/0123456789ABCDEF0123456789ABCDEF/validation"),
    ("PUT", "/credentials/0123456789ABCDEF0123456789ABCDEF/secret"),
    ("POST", "/credentials/0123456789ABCDEF0123456789ABCDEF/refresh"),
    ("DELETE", "/credentials/0123456789ABCDEF0123456789ABCDEF"),
]
SUBMITTED = {"client_secret": "not-a-real-one"}


@pytest.fixture(scope="module")
def stranger(local_stack: LocalStack) -> Principal:
    return local_stack.create_user("stranger")


@pytest.fixture(scope="module")
def administrator(local_stack: LocalStack) -> Principal:
    return local_stack.create_user("administrator", policy_arns=[local_stack.outputs["AdminPolicyArn"]])


@pytest.fixture(scope="module")
def integration(local_stack: LocalStack) -> Principal:
    return local_stack.create_user("integration", policy_arns=[local_stack.outputs["TokenReaderPolicyArn"]])


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_an_admin_route_refuses_the_unsigned(local_stack: LocalStack, method: str, path: str) -> None:
    assert local_stack.admin_as(None).request(method, path, SUBMITTED).status_code == 403


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_an_admin_route_refuses_a_stranger(
    local_stack: LocalStack, stranger: Principal, method: str, path: str
) -> None:
    assert local_stack.admin_as(stranger.credentials).request(method, path, SUBMITTED).status_code == 403


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
def test_the_admin_policy_opens_every_admin_route(
    local_stack: LocalStack, administrator: Principal, method: str, path: str
) -> None:
    answer = local_stack.admin_as(administrator.credentials).request(method, path, SUBMITTED)
    assert answer.status_code not in {403, 500, 502, 504}, answer.text


@pytest.mark.parametrize("path", ["/connect/no-such-ticket", "/oAuth2CallBack", "/consent/no-such-consent"])
def test_a_public_page_needs_no_signature(local_stack: LocalStack, path: str) -> None:
    address = local_stack.description.callback_url.removesuffix("/oAuth2CallBack") + path
    answer = local_stack.browser().get(address, timeout=30)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.status_code not in {403, 500, 502, 504}, answer.text


def test_the_redirect_uri_is_case_sensitive(local_stack: LocalStack) -> None:
    address = local_stack.description.callback_url.replace("oAuth2CallBack", "oauth2callback")
    assert local_stack.browser().get(address, timeout=30).status_code == 403


def test_the_outputs_tell_what_to_register_and_where_to_read(local_stack: LocalStack) -> None:
    assert local_stack.outputs["RedirectUri"] == local_stack.description.callback_url
    assert local_stack.outputs["SecretNamePattern"] == "oneenterprise/xero/{client_id}/tokens"


def test_the_schedule_covers_every_shard_every_minute(local_stack: LocalStack) -> None:
    scheduler = local_stack.aws("scheduler")
    (summary,) = scheduler.list_schedules()["Schedules"]
    schedule = scheduler.get_schedule(Name=summary["Name"])
    assert schedule["State"] == "ENABLED"
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert json.loads(schedule["Target"]["Input"]) == {"shards": [str(shard) for shard in range(4)]}


def test_the_schedule_calls_the_alias_and_the_alias_a_version(local_stack: LocalStack) -> None:
    scheduler, functions = local_stack.aws("scheduler"), local_stack.aws("lambda")
    (summary,) = scheduler.list_schedules()["Schedules"]
    called = scheduler.get_schedule(Name=summary["Name"])["Target"]["Arn"]
    name = local_stack.description.functions.token_refresh
    assert called == functions.get_alias(FunctionName=name, Name="live")["AliasArn"]
    assert functions.get_function_configuration(FunctionName=called)["Version"] == "1"


def test_the_limits_of_the_public_pages_hang_on_the_stage_and_it_is_not_traced(local_stack: LocalStack) -> None:
    stage = local_stack.aws("apigateway").get_stage(restApiId=local_stack.outputs["ApiId"], stageName="v1")
    limits = {method: setting["throttlingRateLimit"] for method, setting in stage["methodSettings"].items()}
    # The local cloud keeps the slash that encodes the root, AWS does not show it.
    assert {method.removeprefix("/"): limit for method, limit in limits.items()} == {
        "*/*": 20,
        "~1connect~1{ticket}/GET": 50,
        "~1oAuth2CallBack/GET": 50,
        "~1consent~1{consent_id}/GET": 50,
        "~1setup~1{ticket}/GET": 50,
        "~1setup~1{ticket}/POST": 10,
    }
    assert not stage["tracingEnabled"]


def test_a_protected_stack_is_not_deleted(local_stack: LocalStack) -> None:
    cloudformation = local_stack.aws("cloudformation")
    policy = (CHECKOUT / "stack-policy.json").read_text()
    cloudformation.set_stack_policy(StackName=STACK_NAME, StackPolicyBody=policy)
    cloudformation.update_termination_protection(StackName=STACK_NAME, EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        cloudformation.delete_stack(StackName=STACK_NAME)


def test_the_registry_is_kept_from_deletion(local_stack: LocalStack) -> None:
    table = local_stack.aws("dynamodb").describe_table(TableName=local_stack.description.table_name)["Table"]
    assert table["DeletionProtectionEnabled"]
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {"due", "credentials"}


def test_an_integration_reads_tokens_and_nothing_else(local_stack: LocalStack, integration: Principal) -> None:
    ours, theirs = local_stack.aws("secretsmanager"), local_stack.aws("secretsmanager", integration.credentials)
    for name in ("tokens", "client"):
        ours.create_secret(Name=f"oneenterprise/xero/DEPLOYMENTTEST/{name}", SecretString=name)
    try:
        found = theirs.get_secret_value(SecretId="oneenterprise/xero/DEPLOYMENTTEST/tokens")
        assert found["SecretString"] == "tokens"
        with pytest.raises(ClientError, match="AccessDenied"):
            theirs.get_secret_value(SecretId="oneenterprise/xero/DEPLOYMENTTEST/client")
        with pytest.raises(ClientError, match="AccessDenied"):
            theirs.put_secret_value(SecretId="oneenterprise/xero/DEPLOYMENTTEST/tokens", SecretString="x")
    finally:
        for name in ("tokens", "client"):
            ours.delete_secret(
                SecretId=f"oneenterprise/xero/DEPLOYMENTTEST/{name}", ForceDeleteWithoutRecovery=True
            )
