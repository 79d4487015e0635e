"""What stays when a stack goes, and what may never be replaced."""

import json
import re
from typing import Any

from tests.template.transformed import STACK_NAME, TEMPLATE, Deployed

EVERYTHING = {"ApiLogsRole": "create", "AlarmEmail": "ops@example.com"}
KEPT = {
    "VaultKey": "RetainExceptOnCreate",
    "Registry": "Retain",
    "ApiLogsAccount": "Retain",
    "ApiLogsAccountRole": "Retain",
}
# What a failed first deployment may leave: it is not paid for while it is empty or unused.
COSTS_NOTHING = {"AWS::DynamoDB::Table", "AWS::ApiGateway::Account", "AWS::IAM::Role"}


def kept(attribute: str) -> dict[str, str]:
    resources = Deployed.of(EVERYTHING).resources.items()
    return {
        name: resource[attribute]
        for name, resource in resources
        if resource.get(attribute, "Delete") != "Delete" and not resource["Type"].startswith("AWS::Lambda::")
    }


def test_the_key_the_registry_and_the_log_role_of_the_account_outlive_the_stack() -> None:
    assert kept("DeletionPolicy") == KEPT
    assert kept("UpdateReplacePolicy") == dict.fromkeys(KEPT, "Retain")


def test_a_failed_first_deployment_leaves_nothing_that_costs() -> None:
    deployed = Deployed.of(EVERYTHING)
    left = {name for name, policy in kept("DeletionPolicy").items() if policy == "Retain"}
    assert {deployed.resources[name]["Type"] for name in left} == COSTS_NOTHING
    assert deployed.resources["Registry"]["Properties"]["BillingMode"] == "PAY_PER_REQUEST"


def statements() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((TEMPLATE.parent / "stack-policy.json").read_text())["Statement"]
    return found


def test_the_stack_policy_lets_nobody_replace_or_delete_what_cannot_be_made_again() -> None:
    allowed, denied = statements()
    assert (allowed["Effect"], allowed["Action"], allowed["Resource"]) == ("Allow", "Update:*", "*")
    assert (denied["Effect"], denied["Action"]) == ("Deny", ["Update:Replace", "Update:Delete"])
    protected = {name.removeprefix("LogicalResourceId/") for name in denied["Resource"]}
    assert protected == {"Registry", "VaultKey", "EventBus"}
    assert protected <= set(Deployed.of({}).resources)


def test_where_another_key_takes_the_stack_s_own_out_operators_are_told_to_lift_the_stack_policy() -> None:
    other = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
    (_, denied), without = statements(), Deployed.of({"VaultKeyArn": other}).resources
    assert "VaultKey" not in without
    assert "LogicalResourceId/VaultKey" in denied["Resource"]
    operations = (TEMPLATE.parent / "docs" / "operations.md").read_text()
    told = operations.split("### The key\n")[1].split("\n## ")[0]
    lifted, set_again = re.findall(
        r"set-stack-policy .*?--stack-policy-body (\S.*?)$", told, re.DOTALL | re.MULTILINE
    ) or 2 * [""]
    (everything,) = json.loads(lifted.strip("'"))["Statement"]
    assert everything == statements()[0]
    assert set_again == "file://stack-policy.json"


def test_the_layer_is_named_after_its_stack() -> None:
    (layer,) = Deployed.of({}).of_type("AWS::Lambda::LayerVersion").values()
    assert layer["LayerName"] == f"{STACK_NAME}-shared"
