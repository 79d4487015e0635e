"""Callers reach the alias of a function: what is deployed has to become a version, or it reaches nobody."""

from typing import Any

import pytest

from tests.template.transformed import Deployed, nodes, packaged, source, transform

FUNCTIONS = {"CredentialApi", "OAuthCallback", "SetupPage", "TokenRefresh"}


def versions(template: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The version that each alias points at: its logical id and its description.

    CloudFormation replaces a version whose description changes (AWS, "AWS::Lambda::Version").
    """
    resources = template["Resources"]
    found = {}
    for name in FUNCTIONS:
        (version, _) = resources[f"{name}Aliaslive"]["Properties"]["FunctionVersion"]["Fn::GetAtt"]
        found[name] = (version, resources[version]["Properties"]["Description"]["Ref"])
    return found


def has_changed(before: dict[str, Any], after: dict[str, Any]) -> bool:
    old, new = versions(before), versions(after)
    return all(old[name] != new[name] for name in FUNCTIONS)


def parameters_of_the_functions() -> set[str]:
    """Every parameter that the environment of a function is made of."""
    functions = [
        source()["Globals"]["Function"],
        *(source()["Resources"][name]["Properties"] for name in FUNCTIONS),
    ]
    found = {
        part["Ref"]
        for one in functions
        for part in nodes(one["Environment"])
        if isinstance(part, dict) and "Ref" in part
    }
    return found & set(source()["Parameters"])


@pytest.mark.parametrize("name", sorted(parameters_of_the_functions()))
def test_a_parameter_that_the_functions_read_makes_new_versions(name: str) -> None:
    before, after = (transform(packaged(), {name: value}) for value in ("1", "2"))
    assert has_changed(before, after)


def test_another_layer_makes_new_versions() -> None:
    before, after = (transform(packaged(layer=key), {}) for key in ("one", "two"))
    assert has_changed(before, after)


def test_another_setting_of_a_function_makes_new_versions() -> None:
    changed = packaged()
    changed["Globals"]["Function"]["EphemeralStorage"] = {"Size": 1024}
    assert has_changed(transform(packaged(), {}), transform(changed, {}))


def test_the_same_again_makes_none() -> None:
    assert versions(transform(packaged(), {})) == versions(transform(packaged(), {}))


def test_the_layer_says_what_it_is_and_not_what_it_was_made_for() -> None:
    (layer,) = Deployed.of({}).of_type("AWS::Lambda::LayerVersion").values()
    assert layer["Description"] == "The code that the functions share, and their dependencies"


def test_everything_calls_the_alias() -> None:
    deployed = Deployed.of({})
    (schedule,) = deployed.of_type("AWS::Scheduler::Schedule").values()
    assert schedule["Target"]["Arn"] == {"Ref": "TokenRefreshAliaslive"}
    (tick,) = (
        statement
        for statement in deployed.resources["TickRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        if statement["Action"] == ["lambda:InvokeFunction"]
    )
    assert tick["Resource"] == schedule["Target"]["Arn"]
    (failures,) = deployed.of_type("AWS::Lambda::EventInvokeConfig").values()
    assert failures["Qualifier"] == "live"
    permitted = {
        permission["FunctionName"]["Ref"] for permission in deployed.of_type("AWS::Lambda::Permission").values()
    }
    assert permitted == {"CredentialApiAliaslive", "OAuthCallbackAliaslive", "SetupPageAliaslive"}
    called = {
        part["Fn::Sub"][0]
        for part in nodes(deployed.resources["Api"]["Properties"]["Body"])
        if isinstance(part, dict) and "Fn::Sub" in part
    }
    assert called
    assert all(address.endswith("Aliaslive}/invocations") for address in called)


def test_a_gradual_deployment_shifts_each_alias_and_goes_back_on_the_alarm_of_its_function() -> None:
    deployed = Deployed.of({"GradualDeployment": "enabled"})
    groups = deployed.of_type("AWS::CodeDeploy::DeploymentGroup")
    assert {name: group["AlarmConfiguration"]["Alarms"] for name, group in groups.items()} == {
        f"{name}DeploymentGroup": [{"Name": {"Ref": f"{name}Errors"}}] for name in FUNCTIONS
    }
    assert {group["DeploymentConfigName"] for group in groups.values()} == {
        "CodeDeployDefault.LambdaLinear10PercentEvery1Minute"
    }
    assert all(
        "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"] for group in groups.values()
    )
    for name in FUNCTIONS:
        assert "CodeDeployLambdaAliasUpdate" in deployed.resources[f"{name}Aliaslive"]["UpdatePolicy"]


def test_without_it_there_is_no_code_deploy() -> None:
    types = {resource["Type"] for resource in Deployed.of({}).resources.values()}
    assert not [kind for kind in types if kind.startswith("AWS::CodeDeploy::")]


@pytest.mark.parametrize(("parameters", "reserved"), [({}, None), ({"RefreshConcurrency": "2"}, "2")])
def test_concurrency_is_reserved_for_the_refresh_alone_and_only_if_asked_for(
    parameters: dict[str, str], reserved: str | None
) -> None:
    functions = Deployed.of(parameters).of_type("AWS::Lambda::Function")
    found = {name: one.get("ReservedConcurrentExecutions") for name, one in functions.items()}
    assert found == {"CredentialApi": None, "OAuthCallback": None, "SetupPage": None, "TokenRefresh": reserved}
