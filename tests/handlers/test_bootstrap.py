"""The functions as `bootstrap` puts them together, with moto's AWS and the simulator's Xero.

Moto checks no permission and reads what was written at once; the local stack and the strict doubles do not.
"""

import importlib
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
from moto import mock_aws

from local.xero_simulator.apps import DEFAULT_REDIRECT_URI, IntegrationType
from local.xero_simulator.server import XeroSimulator
from local.xero_simulator.user import XeroUser
from tests.fakes.registry_table import create_registry_table
from tests.handlers.conftest import Event, complaints, sample_event
from xero_connector import bootstrap
from xero_connector.domain.errors import ConfigurationError
from xero_connector.domain.tokens import TokensSecret

PREFIX = "oneenterprise/xero"


@pytest.fixture(scope="module")
def simulator() -> Iterator[XeroSimulator]:
    with XeroSimulator() as running:
        yield running


@pytest.fixture
def environment(simulator: XeroSimulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with what the template creates, and the variables that the template sets."""
    with mock_aws():
        create_registry_table(boto3.client("dynamodb"), "registry")
        boto3.client("events").create_event_bus(Name="events")
        key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        variables = {
            "TABLE_NAME": "registry",
            "DUE_SHARDS": "4",
            "TOKEN_WRITES_PER_SECOND": "40",
            "SECRET_PREFIX": PREFIX,
            "KMS_KEY_ARN": key,
            "FORMER_KMS_KEY_ARN": "",
            "STACK_NAME": "xero-connector",
            "EVENT_BUS_NAME": "events",
            "XERO_LOGIN_URL": simulator.url,
            "XERO_IDENTITY_URL": simulator.url,
            "XERO_API_URL": simulator.url,
            "SCOPES": "offline_access openid accounting.contacts",
            "PKCE": "enabled",
            "REDIRECT_URI": DEFAULT_REDIRECT_URI,
            "CONNECT_LINK_DAYS": "7",
            "POWERTOOLS_METRICS_NAMESPACE": "OneEnterprise/XeroConnector",
            "POWERTOOLS_SERVICE_NAME": "test",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        start_afresh()
        yield
        start_afresh()


def start_afresh() -> None:
    """Do what a new execution environment does: everything is put together at the first invocation."""
    bootstrap.application.cache_clear()
    bootstrap.observer.cache_clear()


def invoke(function: str, event: Event) -> dict[str, Any]:
    handler = importlib.import_module(f"functions.{function}.handler")
    context = SimpleNamespace(
        function_name=function,
        memory_limit_in_mb=512,
        invoked_function_arn=f"arn:aws:lambda:eu-west-1:123456789012:function:{function}",
        aws_request_id="request-1",
        get_remaining_time_in_millis=lambda: 28_000,
    )
    answer: dict[str, Any] = handler.lambda_handler(event, context)
    if "httpMethod" in event:
        assert complaints(event, answer) == []
    return answer


def stored_tokens(client_id: str) -> TokensSecret:
    stored = boto3.client("secretsmanager").get_secret_value(SecretId=f"{PREFIX}/{client_id}/tokens")
    return TokensSecret.from_json(stored["SecretString"])


def submit(
    simulator: XeroSimulator, integration_type: IntegrationType = IntegrationType.WEB_APP
) -> tuple[str, dict[str, Any]]:
    """Register an app in Xero and submit its pair; returns its client ID and the answer."""
    app = simulator.identity_server.register_app(integration_type)
    event = sample_event("credential_api/submit")
    event["body"] = json.dumps(
        {
            "client_id": app.client_id,
            "client_secret": app.client_secret,
            "integration_type": integration_type,
        }
    )
    answer = invoke("credential_api", event)
    assert answer["statusCode"] == 201, answer["body"]
    return app.client_id, json.loads(answer["body"])


def consent(connect_url: str) -> dict[str, Any]:
    """Walk a user from a connect link to the page of the consent."""
    event = sample_event("oauth_callback/connect")
    event["pathParameters"]["ticket"] = connect_url.rsplit("/", 1)[1]
    event["path"] = urlsplit(connect_url).path
    opened = invoke("oauth_callback", event)
    assert opened["statusCode"] == 302
    with requests.Session() as session:
        location = XeroUser(session).consent(opened["multiValueHeaders"]["Location"][0])
    event = sample_event("oauth_callback/callback")
    event["multiValueQueryStringParameters"] = parse_qs(urlsplit(location).query)
    event["queryStringParameters"] = {
        name: values[-1] for name, values in event["multiValueQueryStringParameters"].items()
    }
    cookie = opened["multiValueHeaders"]["Set-Cookie"][0].split(";")[0]
    event["headers"]["Cookie"], event["multiValueHeaders"]["Cookie"] = cookie, [cookie]
    called_back = invoke("oauth_callback", event)
    assert called_back["statusCode"] == 303
    page = sample_event("oauth_callback/consent")
    page["path"] = f"/{called_back['multiValueHeaders']['Location'][0]}"
    page["headers"]["Cookie"], page["multiValueHeaders"]["Cookie"] = cookie, [cookie]
    return invoke("oauth_callback", page)


def refresh(client_id: str) -> dict[str, Any]:
    event = sample_event("credential_api/refresh")
    event["path"] = f"/credentials/{client_id}/refresh"
    event["pathParameters"]["client_id"] = client_id
    return invoke("credential_api", event)


@pytest.mark.usefixtures("environment")
def test_from_the_submission_to_the_refresh(simulator: XeroSimulator) -> None:
    client_id, submitted = submit(simulator)
    page = consent(submitted["connect_url"])
    assert page["statusCode"] == 200
    assert "Demo Company" in page["body"]
    first = stored_tokens(client_id)
    assert first.tenants
    assert refresh(client_id)["statusCode"] == 200
    second = stored_tokens(client_id)
    assert second.token.refresh_token != first.token.refresh_token
    assert simulator.identity_server.verify_access_token(second.token.access_token)


@pytest.mark.usefixtures("environment")
def test_a_custom_connection_is_connected_at_once(simulator: XeroSimulator) -> None:
    client_id, submitted = submit(simulator, IntegrationType.CUSTOM_CONNECTION)
    assert submitted["status"] == "connected"
    assert stored_tokens(client_id).token.access_token


@pytest.mark.usefixtures("environment")
def test_the_schedule_finds_nothing_to_do_in_an_empty_registry() -> None:
    assert invoke("token_refresh", sample_event("token_refresh/tick")) == {}


@pytest.mark.usefixtures("environment")
def test_a_setting_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KMS_KEY_ARN")
    with pytest.raises(ConfigurationError, match="KMS_KEY_ARN"):
        invoke("token_refresh", sample_event("token_refresh/tick"))
