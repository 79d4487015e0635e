"""The dashboard shows what there is: metrics that the code writes, or that AWS documents."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.alarms.aws_metrics import DOCUMENTED
from tests.alarms.cloudformation import Stack, source
from tests.alarms.fleet import OURS
from tests.unit.test_documentation import FILLED_IN, metrics_of_the_source
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind

type Widget = dict[str, Any]

FILLINGS = {
    "Credentials": {str(status) for status in Status},
    "RefreshFailed": {str(kind) for kind in FailureKind},
    "Submissions": {"proven", "pending", "refused", "conflict", "failed"},
    "Callbacks": {"connected", "repeated", "refused", "failed"},
    "XeroLatency": {"token", "connections", "authorize", "keys"},
}
SERVICES = {"credential_api", "oauth_callback", "setup_page", "token_refresh"}


def dashboard(**parameters: str) -> dict[str, Any]:
    (found,) = Stack(**parameters).resources("AWS::CloudWatch::Dashboard").values()
    return dict(found)


def widgets() -> list[Widget]:
    found: list[Widget] = json.loads(dashboard()["DashboardBody"])["widgets"]
    return found


def metrics() -> Iterator[tuple[str, str, dict[str, str]]]:
    for widget in widgets():
        for metric in widget["properties"].get("metrics", []):
            namespace, name, *rest = [one for one in metric if isinstance(one, str)]
            yield namespace, name, dict(zip(rest[::2], rest[1::2], strict=True))


def test_each_metric_of_ours_is_one_that_the_code_writes() -> None:
    known = {name for name, _ in metrics_of_the_source()}
    ours = [(name, dimensions) for namespace, name, dimensions in metrics() if namespace == OURS]
    assert ours
    for name, dimensions in ours:
        stem, dot, filling = name.partition(".")
        assert (f"{stem}.{FILLED_IN}" if dot else name) in known, name
        assert not dot or filling in FILLINGS[stem], name
        assert dimensions.keys() == {"service"}
        assert dimensions["service"] in SERVICES


@pytest.mark.parametrize(("stem", "fillings"), [item for item in FILLINGS.items() if item[0] != "XeroLatency"])
def test_whatever_an_outcome_can_be_is_shown(stem: str, fillings: set[str]) -> None:
    shown = {name.partition(".")[2] for _, name, _ in metrics() if name.startswith(f"{stem}.")}
    assert shown == fillings


def test_each_metric_of_aws_is_one_that_aws_documents() -> None:
    for namespace, name, dimensions in metrics():
        if namespace != OURS:
            assert (namespace, name, frozenset(dimensions)) in DOCUMENTED


def test_each_metric_of_aws_is_of_something_that_is_deployed() -> None:
    kinds = {
        "FunctionName": "AWS::Serverless::Function",
        "QueueName": "AWS::SQS::Queue",
        "TableName": "AWS::DynamoDB::Table",
    }
    for _, _, dimensions in metrics():
        for dimension, value in dimensions.items():
            if dimension in kinds:
                assert source()["Resources"][value]["Type"] == kinds[dimension]
    indexes = source()["Resources"]["Registry"]["Properties"]["GlobalSecondaryIndexes"]
    shown = {dimensions.get("GlobalSecondaryIndexName") for _, _, dimensions in metrics()} - {None}
    assert shown == {index["IndexName"] for index in indexes}


def test_every_alarm_that_is_always_there_is_shown() -> None:
    (shown,) = [widget["properties"]["alarms"] for widget in widgets() if widget["type"] == "alarm"]
    assert set(shown) == set(Stack(AlarmGroups="disabled").resources("AWS::CloudWatch::Alarm"))


def test_several_stacks_and_regions_have_dashboards_of_their_own() -> None:
    assert dashboard()["DashboardName"] == "xero-connector-eu-west-1"
    assert "eu-west-1" in dashboard()["DashboardBody"]
    assert not re.search(r"\$\{", dashboard()["DashboardBody"])


def test_no_widget_shows_more_than_cloudwatch_draws() -> None:
    """CloudWatch quotas: 500 metrics a graph, 2,500 a dashboard."""
    graphs = [len(widget["properties"].get("metrics", [])) for widget in widgets()]
    assert max(graphs) <= 500
    assert sum(graphs) <= 2500
