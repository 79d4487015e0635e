"""Whatever a deployer chooses, in whatever region: CloudFormation can deploy it."""

import json
import re

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from tests.template.transformed import REGIONS, Deployed, nodes, packaged, pairs, source, transform

DOMAIN = {
    "DomainName": "xero.example.com",
    "CertificateArn": f"arn:aws:acm:us-east-1:123456789012:certificate/{'0' * 8}",
    "HostedZoneId": "Z0123456789ABCDEFGHIJ",
}
WEB_ACL = f"arn:aws:wafv2:us-east-1:123456789012:regional/webacl/pages/{'0' * 8}-0000-0000-0000-{'0' * 12}"
VAULT_KEY = f"arn:aws:kms:us-east-1:123456789012:key/{'0' * 8}-0000-0000-0000-{'0' * 12}"
CHOICES: dict[str, list[dict[str, str]]] = {
    "domain": [{}, DOMAIN],
    "firewall": [{}, {"WebAclArn": WEB_ACL}],
    "alarms": [
        {},
        {"Environment": "prod", "AlarmEmail": "ops@example.com"},
        {"AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms", "AlarmGroups": "disabled"},
    ],
    "key": [{}, {"VaultKeyArn": VAULT_KEY, "FormerVaultKeyArn": VAULT_KEY}],
    "readers": [{}, {"TokenReaderPrincipals": "arn:aws:iam::210987654321:role/integration"}],
    "schedule": [{"RefreshSchedule": "rate(1 minute)"}, {"RefreshSchedule": "rate(3 minutes)"}],
    "schedules": [{"RefreshSchedules": number} for number in ("1", "2", "4")],
    "logs": [{"ApiLogsRole": role} for role in ("existing", "create")],
    "concurrency": [{}, {"RefreshConcurrency": "2"}],
    "updates": [{"GradualDeployment": mode} for mode in ("disabled", "enabled")],
}
ALL = pairs(CHOICES)
# The processor is a choice too, but no condition hangs on it.
EXTREMES = [
    {name: text for options in CHOICES.values() for name, text in options[end].items()}
    | {"Architecture": architecture}
    for end, architecture in ((0, "arm64"), (-1, "x86_64"))
]
# What only the transform reads is used nowhere in what it makes.
USED_BY_THE_TRANSFORM = ["W2001", "W7001"]


def choice(parameters: dict[str, str]) -> str:
    return ",".join(value[:12] for value in parameters.values())


@pytest.mark.parametrize("parameters", EXTREMES, ids=choice)
def test_cfn_lint_finds_nothing_in_the_transformed_template(parameters: dict[str, str]) -> None:
    # It goes through both values of every condition by itself.
    found = lint(
        json.dumps(transform(packaged(), parameters)),
        config=ManualArgs(regions=list(REGIONS), ignore_checks=USED_BY_THE_TRANSFORM),
    )
    assert [(match.rule.id, match.message, match.path) for match in found] == []


def everywhere() -> list[tuple[dict[str, str], str]]:
    """All sets in one region; the first and the last choices in the others."""
    first, *others = REGIONS
    return [(parameters, first) for parameters in ALL] + [
        (parameters, region) for parameters in EXTREMES for region in others
    ]


@pytest.mark.parametrize(
    ("parameters", "region"), everywhere(), ids=lambda one: one if isinstance(one, str) else choice(one)
)
def test_a_deployment_refers_to_nothing_that_is_left_out(parameters: dict[str, str], region: str) -> None:
    deployed = Deployed.of(parameters, region)
    there = set(deployed.resources) | {"AWS::StackId"}
    assert deployed.references() - there == set()


@pytest.mark.parametrize("parameters", EXTREMES, ids=choice)
@pytest.mark.parametrize("region", REGIONS)
def test_every_arn_and_host_name_is_one_of_the_partition(parameters: dict[str, str], region: str) -> None:
    partition, suffix = REGIONS[region]
    # What a deployer gives is of a partition already.
    ours = {name: text for name, text in parameters.items() if not text.startswith("arn:")}
    deployed = Deployed.of(ours, region)
    strings = [one for one in nodes([deployed.resources, deployed.outputs]) if isinstance(one, str)]
    arns = [found for one in strings for found in re.findall(r"arn:([a-z-]+):", one)]
    assert arns
    assert set(arns) == {partition}
    assert f".{region}.{suffix}/" in str(deployed.outputs["ApiUrl"])
    via = [
        one["kms:ViaService"]
        for one in nodes(deployed.resources)
        if isinstance(one, dict) and "kms:ViaService" in one
    ]
    assert via
    assert all(f"secretsmanager.{region}.{suffix}" in names for names in via)


def test_every_choice_of_the_template_is_one_of_the_choices_here() -> None:
    chosen = {name for one in ALL for name in one}
    of_conditions = {
        part["Ref"]
        for condition in source()["Conditions"].values()
        for part in nodes(condition)
        if isinstance(part, dict) and "Ref" in part
    }
    assert of_conditions <= chosen
