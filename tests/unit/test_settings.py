from datetime import timedelta

import pytest

from xero_connector.domain.errors import ConfigurationError
from xero_connector.settings import Settings

ENVIRONMENT = {
    "TABLE_NAME": "registry",
    "DUE_SHARDS": "8",
    "TOKEN_WRITES_PER_SECOND": "40",
    "SECRET_PREFIX": "oneenterprise/xero",
    "EVENT_BUS_NAME": "events",
    "KMS_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/1",
    "REDIRECT_URI": "https://cloudmanager.oneenterprise.com/oAuth2CallBack",
    "XERO_LOGIN_URL": "https://login.xero.com",
    "XERO_IDENTITY_URL": "https://identity.xero.com",
    "XERO_API_URL": "https://api.xero.com",
    "SCOPES": "offline_access openid  accounting.contacts",
    "PKCE": "enabled",
    "CONNECT_LINK_DAYS": "7",
    "CONSOLE_URL": "https://console.oneenterprise.com",
}


def problem(**changes: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({**ENVIRONMENT, **changes})
    assert caught.value.hint
    return caught.value


def test_everything_that_the_template_sets() -> None:
    settings = Settings.from_env(ENVIRONMENT)
    assert settings == Settings(
        table_name="registry",
        due_shards=8,
        token_writes_per_second=40,
        secret_prefix="oneenterprise/xero",
        event_bus_name="events",
        kms_key_arn="arn:aws:kms:eu-west-1:123456789012:key/1",
        redirect_uri="https://cloudmanager.oneenterprise.com/oAuth2CallBack",
        xero_login_url="https://login.xero.com",
        xero_identity_url="https://identity.xero.com",
        xero_api_url="https://api.xero.com",
        scopes=("offline_access", "openid", "accounting.contacts"),
        pkce=True,
        connect_link_lifetime=timedelta(days=7),
        console_url="https://console.oneenterprise.com",
    )


@pytest.mark.parametrize("name", sorted(set(ENVIRONMENT) - {"CONSOLE_URL"}))
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_missing_name_says_which_it_is(name: str, how: str) -> None:
    environment = {**ENVIRONMENT, name: ""}
    if how == "missing":
        del environment[name]
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(environment)
    assert caught.value.code == "setting_missing"
    assert f" {name} " in caught.value.detail


def test_nothing_at_all() -> None:
    with pytest.raises(ConfigurationError):
        Settings.from_env({})


@pytest.mark.parametrize("console_url", [{}, {"CONSOLE_URL": ""}])
def test_without_a_console_there_is_no_way_back_to_it(console_url: dict[str, str]) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "CONSOLE_URL"}
    assert Settings.from_env({**environment, **console_url}).console_url is None


@pytest.mark.parametrize("name", ["DUE_SHARDS", "TOKEN_WRITES_PER_SECOND", "CONNECT_LINK_DAYS"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "seven", " 7", "0x7", "1e3"])
def test_a_number_that_is_none(name: str, value: str) -> None:
    error = problem(**{name: value})
    assert error.code == "setting_invalid"
    assert name in error.detail


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://cloudmanager.oneenterprise.com/oauth2callback",
        "https://cloudmanager.oneenterprise.com/oAuth2CallBack/",
        "https://cloudmanager.oneenterprise.com",
    ],
)
def test_a_redirect_uri_of_another_path(redirect_uri: str) -> None:
    error = problem(REDIRECT_URI=redirect_uri)
    assert error.code == "setting_invalid"
    assert "REDIRECT_URI" in error.detail


@pytest.mark.parametrize(
    ("redirect_uri", "public_url"),
    [
        ("https://cloudmanager.oneenterprise.com/oAuth2CallBack", "https://cloudmanager.oneenterprise.com"),
        ("https://x.execute-api.test/prod/oAuth2CallBack", "https://x.execute-api.test/prod"),
    ],
)
def test_links_lead_to_where_the_callback_is(redirect_uri: str, public_url: str) -> None:
    assert Settings.from_env({**ENVIRONMENT, "REDIRECT_URI": redirect_uri}).public_url == public_url


def test_pkce_can_be_switched_off() -> None:
    assert not Settings.from_env({**ENVIRONMENT, "PKCE": "disabled"}).pkce


def test_a_scope_with_which_xero_refuses_every_consent() -> None:
    error = problem(SCOPES="offline_access openid app.connections")
    assert error.code == "setting_invalid"
    assert "app.connections" in error.detail
