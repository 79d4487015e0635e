"""The stage: its limits meet the methods that they are for, and it writes nothing down that is secret."""

import re
from collections.abc import Mapping
from typing import Any

from tests.template.transformed import Deployed

PAGES = {
    ("/connect/{ticket}", "GET"),
    ("/oAuth2CallBack", "GET"),
    ("/consent/{consent_id}", "GET"),
    ("/setup/{ticket}", "GET"),
}
FORM = ("/setup/{ticket}", "POST")


def only(kind: str) -> Mapping[str, Any]:
    (found,) = Deployed.of({}).of_type(kind).values()
    return found


def methods() -> set[tuple[str, str]]:
    paths = only("AWS::ApiGateway::RestApi")["Body"]["paths"]
    return {(path, method.upper()) for path, item in paths.items() for method in item}


def settings() -> dict[tuple[str, str], Mapping[str, Any]]:
    """The settings of the stage by path and method, each path decoded as API Gateway decodes it.

    The first slash stands for the root; every other is written as ~1 (AWS, "MethodSetting").
    """
    found = {}
    for setting in only("AWS::ApiGateway::Stage")["MethodSettings"]:
        encoded = setting["ResourcePath"]
        assert re.fullmatch(r"/(\*|[^/]*)", encoded), encoded
        path = encoded if encoded == "/*" else encoded.removeprefix("/").replace("~1", "/").replace("~0", "~")
        found[path, setting["HttpMethod"]] = setting
    return found


def test_every_setting_of_the_stage_is_for_a_method_that_exists() -> None:
    assert set(settings()) - {("/*", "*")} <= methods()


def test_the_public_pages_have_limits_of_their_own_and_all_else_has_the_general_one() -> None:
    assert methods() >= {*PAGES, FORM}
    limits = {method: setting["ThrottlingRateLimit"] for method, setting in settings().items()}
    assert limits == {("/*", "*"): 20, **dict.fromkeys(PAGES, 50), FORM: 10}


def test_the_api_writes_no_segment_into_traces() -> None:
    # It would hold the full URL: connect tickets, codes and states.
    assert only("AWS::ApiGateway::Stage")["TracingEnabled"] is False


def test_the_access_log_holds_the_route_and_neither_path_nor_query() -> None:
    written = set(re.findall(r"\$context\.([\w.]+)", only("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"]))
    assert written == {
        *("requestId", "requestTime", "resourcePath", "httpMethod", "status", "error.responseType"),
        *("identity.userArn", "identity.sourceIp", "identity.userAgent"),
        *("responseLatency", "integration.status"),
    }


def test_no_method_logs_bodies_or_pays_for_detailed_metrics() -> None:
    assert {setting["DataTraceEnabled"] for setting in settings().values()} == {False}
    assert {setting["MetricsEnabled"] for setting in settings().values()} == {False}


def test_a_function_behind_the_api_ends_before_the_api_gives_up_even_after_a_cold_start() -> None:
    functions = Deployed.of({}).of_type("AWS::Lambda::Function")
    behind = {name: properties["Timeout"] for name, properties in functions.items() if name != "TokenRefresh"}
    # API Gateway waits 29 s (AWS, "Quotas for REST APIs"); that leaves a cold start four.
    assert behind == {"CredentialApi": 25, "OAuthCallback": 25, "SetupPage": 25}
