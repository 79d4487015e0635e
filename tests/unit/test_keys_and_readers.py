"""The key of the vault and its readers: what the template takes, and what policies the documentation prints."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTIONS_FOR_OTHERS = {
    "events:PutEvents",
    "kms:Decrypt",
    "kms:DescribeKey",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "sts:AssumeRole",
}
"""Nothing that writes to the vault, and nothing that hands on rights."""


class _Tagged(yaml.SafeLoader):
    """Reads CloudFormation's tags as one-key mappings, as in JSON."""


def _tagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {tag: value}


_Tagged.add_multi_constructor("!", _tagged)
TEMPLATE: Mapping[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Tagged)  # noqa: S506 - a SafeLoader


@pytest.mark.parametrize("name", ["VaultKeyArn", "FormerVaultKeyArn"])
def test_a_key_is_named_by_its_arn_in_any_partition_or_left_out(name: str) -> None:
    pattern = re.compile(TEMPLATE["Parameters"][name]["AllowedPattern"])
    key = "12345678-90ab-cdef-1234-567890abcdef"
    for good in (
        "",
        f"arn:aws:kms:eu-west-1:123456789012:key/{key}",
        f"arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/{key}",
        f"arn:aws-cn:kms:cn-north-1:123456789012:key/{key}",
        "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234567890abcdef1234567890abcdef",
    ):
        assert pattern.fullmatch(good), good
    for bad in (
        key,
        "alias/vault",
        "arn:aws:kms:eu-west-1:123456789012:alias/vault",
        "arn:aws:kms:eu-west-1:123456789012:key/*",
        f"arn:aws:kms:eu-west-1:123456789012:key/{key} ",
    ):
        assert not pattern.fullmatch(bad), bad


def _places(node: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the way to everything that names the key that the stack may make."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            if [name, value] in (["GetAtt", "VaultKey.Arn"], ["Ref", "VaultKey"]):
                yield path
            yield from _places(value, (*path, str(name)))
    elif isinstance(node, list):
        for value in node:
            yield from _places(value, path)


def test_a_key_that_may_not_be_made_is_named_under_its_condition_only() -> None:
    found = list(_places(TEMPLATE))
    assert found
    assert TEMPLATE["Resources"]["VaultKeyAlias"]["Condition"] == "MakesVaultKey"
    for place in found:
        assert "If" in place or place[:2] == ("Resources", "VaultKeyAlias"), place


def test_whoever_uses_the_key_may_use_the_former_one_too() -> None:
    # The setup page uses the key through Secrets Manager only: it seals nothing.
    uses = {"CredentialApiRole": 2, "OAuthCallbackRole": 2, "SetupPageRole": 1, "TokenRefreshRole": 2}
    for role, ways in uses.items():
        (policy,) = TEMPLATE["Resources"][role]["Properties"]["Policies"]
        statements = [one for one in policy["PolicyDocument"]["Statement"] if "kms:Decrypt" in one["Action"]]
        assert len(statements) == ways
        for statement in statements:
            assert "FormerVaultKeyArn" in json.dumps(statement["Resource"])
            assert set(statement["Action"]) == {"kms:GenerateDataKey", "kms:Decrypt"}
            assert statement["Condition"]
    (reading,) = [
        one
        for one in TEMPLATE["Resources"]["TokenReaderPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        if "kms:Decrypt" in one["Action"]
    ]
    assert "FormerVaultKeyArn" in json.dumps(reading["Resource"])


def test_the_key_outlives_the_stack_and_its_own_replacement() -> None:
    key = TEMPLATE["Resources"]["VaultKey"]
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def printed_policies() -> list[dict[str, Any]]:
    text = (ROOT / "docs/other-accounts-and-regions.md").read_text()
    blocks = re.findall(r"^( *)```json\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [json.loads(block) for _, block in blocks]


def test_the_policies_that_are_printed_are_policies_and_give_no_more_than_they_must() -> None:
    policies = printed_policies()
    assert len(policies) == 4
    for policy in policies:
        if "Statement" in policy:
            assert set(policy) == {"Version", "Statement"}
            assert policy["Version"] == "2012-10-17"
        for statement in policy.get("Statement", [policy]):
            assert statement.keys() <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
            assert statement["Effect"] == "Allow"
            actions = statement["Action"]
            assert ({actions} if isinstance(actions, str) else set(actions)) <= ACTIONS_FOR_OTHERS
            # A policy on a resource names who may; one of a principal names what.
            assert ("Principal" in statement) == (statement["Resource"] == "*")
            assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
