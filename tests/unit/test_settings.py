import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from xero_connector.domain.errors import ConfigurationError
from xero_connector.settings import STAGE_PATH, Settings

ROOT = Path(__file__).parents[2]

ENVIRONMENT = {
    "TABLE_NAME": "registry",
    "DUE_SHARDS": "4",
    "TOKEN_WRITES_PER_SECOND": "40",
    "SECRET_PREFIX": "oneenterprise/xero",
    "EVENT_BUS_NAME": "events",
    "KMS_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/1",
    "FORMER_KMS_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/0",
    "STACK_NAME": "xero-connector",
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
        due_shards=4,
        token_writes_per_second=40,
        secret_prefix="oneenterprise/xero",
        event_bus_name="events",
        kms_key_arn="arn:aws:kms:eu-west-1:123456789012:key/1",
        former_kms_key_arn="arn:aws:kms:eu-west-1:123456789012:key/0",
        stack_name="xero-connector",
        redirect_uri="https://cloudmanager.oneenterprise.com/oAuth2CallBack",
        xero_login_url="https://login.xero.com",
        xero_identity_url="https://identity.xero.com",
        xero_api_url="https://api.xero.com",
        scopes=("offline_access", "openid", "accounting.contacts"),
        pkce=True,
        connect_link_lifetime=timedelta(days=7),
        console_url="https://console.oneenterprise.com",
    )


@pytest.mark.parametrize("name", sorted(set(ENVIRONMENT) - {"CONSOLE_URL", "FORMER_KMS_KEY_ARN"}))
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
@pytest.mark.parametrize(
    "value", ["0", "-1", "1.5", "seven", " 7", "0x7", "1e3", "٣", "\uff17", "²", "1000000", "9" * 5_000]
)
def test_a_number_that_is_none(name: str, value: str) -> None:
    error = problem(**{name: value})
    assert error.code == "setting_invalid"
    assert name in error.detail


GOOD_REDIRECT_URIS = {
    "https://cloudmanager.oneenterprise.com/oAuth2CallBack": "https://cloudmanager.oneenterprise.com",
    "https://CloudManager.oneenterprise.com:8443/oAuth2CallBack": "https://CloudManager.oneenterprise.com:8443",
    "https://xn--bcher-kva.example/oAuth2CallBack": "https://xn--bcher-kva.example",
    "https://localhost/oAuth2CallBack": "https://localhost",
    "http://localhost:4566/oAuth2CallBack": "http://localhost:4566",
    "http://xero.localhost:4566/oAuth2CallBack": "http://xero.localhost:4566",
    "https://a1.execute-api.eu-west-1.amazonaws.com/v1/oAuth2CallBack": (
        "https://a1.execute-api.eu-west-1.amazonaws.com/v1"
    ),
    "http://a1.execute-api.localhost:4566/v1/oAuth2CallBack": "http://a1.execute-api.localhost:4566/v1",
}
BAD_REDIRECT_URIS = [
    # Another path: API Gateway has one route, and nothing before it but the stage at its own host names.
    "https://cloudmanager.oneenterprise.com/oauth2callback",
    "https://cloudmanager.oneenterprise.com/oAuth2CallBack/",
    "https://cloudmanager.oneenterprise.com/xero/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com/v1/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com//oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com/%6FAuth2CallBack",
    "https://cloudmanager.oneenterprise.com/./oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com",
    "https://cloudmanager.oneenterprise.com/",
    "https://a1.execute-api.eu-west-1.amazonaws.com/oAuth2CallBack",
    "https://a1.execute-api.eu-west-1.amazonaws.com/prod/oAuth2CallBack",
    "https://a1.execute-api.eu-west-1.amazonaws.com/v1/v1/oAuth2CallBack",
    "https://a1.execute-api.eu-west-1.amazonaws.com/v1/xero/oAuth2CallBack",
    "https://example.com/a.execute-api.b/v1/oAuth2CallBack",
    # More than a path.
    "https://cloudmanager.oneenterprise.com/oAuth2CallBack?region=eu",
    "https://cloudmanager.oneenterprise.com/oAuth2CallBack?",
    "https://cloudmanager.oneenterprise.com/oAuth2CallBack#",
    "https://cloudmanager.oneenterprise.com/?/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com/#/oAuth2CallBack",
    "https://user@cloudmanager.oneenterprise.com/oAuth2CallBack",
    "https://user:word@cloudmanager.oneenterprise.com/oAuth2CallBack",
    # Another scheme.
    "HTTPS://cloudmanager.oneenterprise.com/oAuth2CallBack",
    "http://cloudmanager.oneenterprise.com/oAuth2CallBack",
    "http://notlocalhost/oAuth2CallBack",
    "http://localhost.example.com/oAuth2CallBack",
    "http://127.0.0.1:4566/oAuth2CallBack",
    "ftp://localhost/oAuth2CallBack",
    "//cloudmanager.oneenterprise.com/oAuth2CallBack",
    "/oAuth2CallBack",
    # Another host or port.
    "https:///oAuth2CallBack",
    "https://192.0.2.1/oAuth2CallBack",
    "https://[2001:db8::1]/oAuth2CallBack",
    "https://*.oneenterprise.com/oAuth2CallBack",
    "https://cloudmanager..com/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com./oAuth2CallBack",
    "https://-cloudmanager.com/oAuth2CallBack",
    "https://bücher.example/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com:/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com:0/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com:0443/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com:123456/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com:eight/oAuth2CallBack",
    # Blanks.
    " https://cloudmanager.oneenterprise.com/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com/oAuth2CallBack\n",
    "https://cloud manager.oneenterprise.com/oAuth2CallBack",
    "https://cloudmanager.oneenterprise.com/\noAuth2CallBack",
]


@pytest.mark.parametrize(
    "redirect_uri", [*BAD_REDIRECT_URIS, "https://cloudmanager.oneenterprise.com:65536/oAuth2CallBack"]
)
def test_a_redirect_uri_that_this_api_cannot_serve_is_refused(redirect_uri: str) -> None:
    error = problem(REDIRECT_URI=redirect_uri)
    assert error.code == "setting_invalid"
    assert "REDIRECT_URI" in error.detail


@pytest.mark.parametrize(("redirect_uri", "public_url"), GOOD_REDIRECT_URIS.items())
def test_links_lead_to_where_the_callback_is(redirect_uri: str, public_url: str) -> None:
    assert Settings.from_env({**ENVIRONMENT, "REDIRECT_URI": redirect_uri}).public_url == public_url


class _Template(yaml.SafeLoader):
    """Reads a template of CloudFormation, without what its short forms stand for."""


_Template.add_multi_constructor("!", lambda *_: None)
TEMPLATE = yaml.load((ROOT / "template.yaml").read_text(), _Template)  # noqa: S506 - a SafeLoader


def test_the_template_accepts_the_same_redirect_uris() -> None:
    pattern = re.compile(TEMPLATE["Parameters"]["RedirectUri"]["AllowedPattern"])
    assert [uri for uri in GOOD_REDIRECT_URIS if not pattern.fullmatch(uri)] == []
    assert [uri for uri in BAD_REDIRECT_URIS if pattern.fullmatch(uri)] == []


def test_the_stage_is_the_template_s() -> None:
    assert f"/{TEMPLATE['Resources']['Api']['Properties']['StageName']}" == STAGE_PATH


@pytest.mark.parametrize("name", ["XERO_LOGIN_URL", "XERO_IDENTITY_URL", "XERO_API_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "https://identity.xero.com/",
        "https://identity.xero.com/connect",
        "https://identity.xero.com?",
        "https://identity.xero.com#",
        "https://user@identity.xero.com",
        "HTTPS://identity.xero.com",
        "http://identity.xero.com",
        "https://identity.xero.com:70000",
        "https://identity.xero.com:",
        "https://",
        "identity.xero.com",
        "https://identity.xero.com\n",
        " https://identity.xero.com",
    ],
)
def test_an_address_of_xero_that_is_no_origin_is_refused(name: str, url: str) -> None:
    error = problem(**{name: url})
    assert error.code == "setting_invalid"
    assert name in error.detail


@pytest.mark.parametrize("url", ["https://xero.test:8443", "http://127.0.0.1:4566", "http://xero.localhost:1"])
def test_a_simulator_may_stand_in_for_xero(url: str) -> None:
    assert Settings.from_env({**ENVIRONMENT, "XERO_IDENTITY_URL": url}).xero_identity_url == url


BAD_CONSOLES = [
    "javascript:alert(1)",
    "http://console.test",
    "https://",
    'https://a.test/"><b>',
    "https://u@a.test",
    "/",
]
GOOD_CONSOLES = ["http://localhost:3000/", "https://a.test/xero?tab=1", "https://a.test"]


@pytest.mark.parametrize("url", BAD_CONSOLES)
def test_a_console_that_no_page_may_link_to_is_refused(url: str) -> None:
    assert "CONSOLE_URL" in problem(CONSOLE_URL=url).detail


@pytest.mark.parametrize("url", GOOD_CONSOLES)
def test_a_console_may_have_a_path_and_a_query(url: str) -> None:
    assert Settings.from_env({**ENVIRONMENT, "CONSOLE_URL": url}).console_url == url


def test_the_template_accepts_the_same_consoles_and_none() -> None:
    pattern = re.compile(TEMPLATE["Parameters"]["ConsoleUrl"]["AllowedPattern"])
    assert [url for url in ["", *GOOD_CONSOLES] if not pattern.fullmatch(url)] == []
    assert [url for url in BAD_CONSOLES if pattern.fullmatch(url)] == []


def test_the_template_sets_what_is_read_and_nothing_else() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert {name for name in variables if not name.startswith("POWERTOOLS_")} == set(ENVIRONMENT)


def test_the_console_is_the_template_s_parameter() -> None:
    assert "\n        CONSOLE_URL: !Ref ConsoleUrl\n" in (ROOT / "template.yaml").read_text()


@pytest.mark.parametrize("blank", ["  ", "\n", "\t", "\r\n ", "\u00a0"])
def test_scopes_may_have_any_blanks_between_and_around_them(blank: str) -> None:
    scopes = blank.join(["", "offline_access", "openid", "accounting.contacts", "openid", ""])
    found = Settings.from_env({**ENVIRONMENT, "SCOPES": scopes}).scopes
    assert found == ("offline_access", "openid", "accounting.contacts")


@pytest.mark.parametrize("scope", ['a"b', "a\\b", "ключ", "a\u200bb", "x" * 101])
def test_a_scope_that_is_none(scope: str) -> None:
    assert "SCOPES" in problem(SCOPES=f"offline_access openid {scope}").detail


def test_pkce_can_be_switched_off() -> None:
    assert not Settings.from_env({**ENVIRONMENT, "PKCE": "disabled"}).pkce


def test_a_scope_with_which_xero_refuses_every_consent() -> None:
    error = problem(SCOPES="offline_access openid app.connections")
    assert error.code == "setting_invalid"
    assert "app.connections" in error.detail
