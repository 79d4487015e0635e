"""Alarms, dashboard and rules of the deployed stack.

MiniStack knows neither composite alarms nor metric math, so that this deployment has no groups. It does not read
metrics out of logs: `tests/alarms` does.
"""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from local.stack import LocalStack
from local.stack.local_stack import STACK_NAME

pytestmark = pytest.mark.stack


def test_the_alarms_are_there_with_their_periods(local_stack: LocalStack) -> None:
    alarms = local_stack.aws("cloudwatch").describe_alarms()["MetricAlarms"]
    by_metric = {(alarm["Namespace"], alarm["MetricName"]): alarm for alarm in alarms}
    running_out = by_metric["OneEnterprise/XeroConnector", "TokensShort"]
    assert running_out["Dimensions"] == [{"Name": "service", "Value": "token_refresh"}]
    looked_at = ("Period", "DatapointsToAlarm", "EvaluationPeriods", "Threshold")
    assert [running_out[name] for name in looked_at] == [120, 3, 5, 3.0]
    server_errors = by_metric["AWS/ApiGateway", "5XXError"]
    (api,) = local_stack.aws("apigateway").get_rest_apis()["items"]
    assert {"Name": "ApiName", "Value": api["name"]} in server_errors["Dimensions"]


def test_the_dashboard_is_there_and_whole(local_stack: LocalStack) -> None:
    cloudwatch = local_stack.aws("cloudwatch")
    body = cloudwatch.get_dashboard(DashboardName=local_stack.outputs["DashboardName"])["DashboardBody"]
    assert "${" not in body
    (alarms,) = [one["properties"]["alarms"] for one in json.loads(body)["widgets"] if one["type"] == "alarm"]
    assert set(alarms) == {alarm["AlarmArn"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}


def change_to_prod(cloudformation: Any) -> None:  # noqa: ANN401 - boto3's clients have no common type
    """Ask for the deployed stack with one parameter changed, and wait for what comes of it."""
    (stack,) = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    names = {one["ParameterKey"] for one in stack["Parameters"]} - {"Environment"}
    change_set = {"StackName": STACK_NAME, "ChangeSetName": f"prod-{time.time_ns()}"}
    cloudformation.create_change_set(
        **change_set,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": "Environment", "ParameterValue": "prod"},
            *({"ParameterKey": name, "UsePreviousValue": True} for name in names),
        ],
    )
    cloudformation.get_waiter("change_set_create_complete").wait(**change_set)


def test_prod_without_anybody_who_receives_the_alarms_is_refused(local_stack: LocalStack) -> None:
    with pytest.raises((ClientError, WaiterError), match="somebody must receive the alarms"):
        change_to_prod(local_stack.aws("cloudformation"))
