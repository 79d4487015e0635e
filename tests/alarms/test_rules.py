"""What CloudFormation refuses before it does anything."""

import re
import tomllib

import pytest

from tests.alarms.cloudformation import ROOT, Stack, source

NOBODY = "With Environment=prod somebody must receive the alarms: set AlarmEmail or AlarmTopicArn"
TOGETHER = "DomainName, CertificateArn and HostedZoneId are set together or not at all"
EMAIL = {"AlarmEmail": "ops@example.com"}
TOPIC = {"AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:ops"}
DOMAIN = {
    "DomainName": "cloudmanager.oneenterprise.com",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    "HostedZoneId": "Z0",
}


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
@pytest.mark.parametrize("target", [{}, EMAIL, TOPIC, EMAIL | TOPIC])
def test_only_prod_is_refused_and_only_where_nobody_receives_the_alarms(
    environment: str, target: dict[str, str]
) -> None:
    refusals = Stack(Environment=environment, **target).refusals()
    assert [refusal.startswith(NOBODY) for refusal in refusals] == [True] * (environment == "prod" and not target)


@pytest.mark.parametrize("left_out", [[], ["DomainName"], ["CertificateArn"], ["HostedZoneId"], list(DOMAIN)])
def test_a_domain_is_whole_or_refused(left_out: list[str]) -> None:
    given = {name: value for name, value in DOMAIN.items() if name not in left_out}
    assert Stack(**given).refusals() == [TOGETHER] * (len(left_out) == 1)


def parameters_of(environment: str) -> dict[str, str]:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    overrides: list[str] = config[environment]["global"]["parameters"]["parameter_overrides"]
    return dict(one.split("=", 1) for one in overrides)


def test_prod_as_it_is_shipped_is_refused_until_somebody_is_named() -> None:
    assert parameters_of("prod")["Environment"] == "prod"
    (refusal,) = Stack(**parameters_of("prod")).refusals()
    assert refusal.startswith(NOBODY)
    assert Stack(**parameters_of("prod") | EMAIL).refusals() == []


@pytest.mark.parametrize("environment", ["default", "staging"])
def test_the_other_environments_can_be_deployed_as_they_are_shipped(environment: str) -> None:
    assert Stack(**parameters_of(environment)).refusals() == []


def test_the_line_to_fill_in_is_there() -> None:
    lines = (ROOT / "samconfig.toml").read_text().splitlines()
    assert sum(line.strip().startswith('# "AlarmEmail=') for line in lines) == 1


@pytest.mark.parametrize(
    ("topic", "taken"),
    [
        ("", True),
        ("arn:aws:sns:eu-west-1:123456789012:ops", True),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:ops_alarms-1", True),
        ("arn:aws-cn:sns:cn-north-1:123456789012:ops", True),
        ("arn:aws:sns:eu-west-1:123456789012:ops.fifo", False),
        ("arn:aws:sqs:eu-west-1:123456789012:ops", False),
        ("ops", False),
    ],
)
def test_the_topic_is_one_that_an_alarm_can_publish_to(topic: str, *, taken: bool) -> None:
    pattern = source()["Parameters"]["AlarmTopicArn"]["AllowedPattern"]
    assert (re.fullmatch(pattern, topic) is not None) is taken
