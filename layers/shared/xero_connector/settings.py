"""The settings of a function, from its environment; an error names the missing variable."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from xero_connector.domain.errors import ConfigurationError
from xero_connector.domain.scopes import FORBIDDEN_SCOPE, REQUIRED_SCOPES, is_scope

CALLBACK_PATH = "/oAuth2CallBack"
STAGE_PATH = "/v1"
"""Comes before the path at API Gateway's own host names only."""
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
# The last part begins with a letter: an IP address has no certificate, and Xero's firewall refuses it.
_HTTPS = rf"https://(?P<host>(?:{_NAME}\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?)"
_HTTPS_OR_IP = rf"https://(?:{_NAME}\.)*{_NAME}"
_LOCAL = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*localhost"
_PORT = r"(?::(?P<port>[1-9][0-9]{0,4}))?"
_LARGEST_PORT = 65_535
_CALLBACK = re.compile(rf"(?:{_HTTPS}|http://(?P<local>{_LOCAL})){_PORT}(?P<path>/.*)?")
_ORIGIN = re.compile(rf"(?:{_HTTPS_OR_IP}|http://(?:127\.0\.0\.1|{_LOCAL})){_PORT}")
_PAGE = re.compile(rf"(?:{_HTTPS_OR_IP}|http://{_LOCAL}){_PORT}(?:/[A-Za-z0-9._~/?=&%-]*)?")
_LONGEST_NUMBER = 6
"""Digits: a larger number of days is in no calendar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One deployment's settings; `redirect_uri` goes byte for byte into both calls to Xero."""

    table_name: str
    due_shards: int
    token_writes_per_second: int
    secret_prefix: str
    kms_key_arn: str
    former_kms_key_arn: str | None
    stack_name: str
    event_bus_name: str
    redirect_uri: str
    xero_login_url: str
    xero_identity_url: str
    xero_api_url: str
    scopes: tuple[str, ...]
    pkce: bool
    connect_link_lifetime: timedelta
    console_url: str | None

    @property
    def public_url(self) -> str:
        """The base address of the public pages: the redirect URI without its path."""
        return self.redirect_uri.removesuffix(CALLBACK_PATH)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings, or raise `ConfigurationError`."""
        return cls(
            table_name=_required(env, "TABLE_NAME"),
            due_shards=_number(env, "DUE_SHARDS"),
            token_writes_per_second=_number(env, "TOKEN_WRITES_PER_SECOND"),
            secret_prefix=_required(env, "SECRET_PREFIX"),
            kms_key_arn=_required(env, "KMS_KEY_ARN"),
            # Empty where the deployment has never had another key.
            former_kms_key_arn=env.get("FORMER_KMS_KEY_ARN") or None,
            stack_name=_required(env, "STACK_NAME"),
            event_bus_name=_required(env, "EVENT_BUS_NAME"),
            redirect_uri=_redirect_uri(env),
            xero_login_url=_origin(env, "XERO_LOGIN_URL"),
            xero_identity_url=_origin(env, "XERO_IDENTITY_URL"),
            xero_api_url=_origin(env, "XERO_API_URL"),
            scopes=_scopes(env),
            pkce=_switch(env, "PKCE"),
            connect_link_lifetime=timedelta(days=_number(env, "CONNECT_LINK_DAYS")),
            console_url=_console_url(env),
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise ConfigurationError(
            f"The environment variable {name} is not set.",
            code="setting_missing",
            hint="Deploy the template without changes: it sets every variable.",
        )
    return value


def _redirect_uri(env: Mapping[str, str]) -> str:
    uri = _required(env, "REDIRECT_URI")
    match = _CALLBACK.fullmatch(uri)
    host = (match["host"] or match["local"]).lower() if match else ""
    expected = STAGE_PATH + CALLBACK_PATH if ".execute-api." in host else CALLBACK_PATH
    if not match or not _is_port(match) or match["path"] != expected:
        raise _invalid(
            f"REDIRECT_URI is not an https address (http for localhost names only) with the path {expected}.",
            "Set the template parameter RedirectUri to the address that is registered at Xero. "
            f"{STAGE_PATH} comes before the path only at API Gateway's own host names.",
        )
    return uri


def _origin(env: Mapping[str, str], name: str) -> str:
    origin = _required(env, name)
    match = _ORIGIN.fullmatch(origin)
    if not match or not _is_port(match):
        raise _invalid(
            f"{name} is not an https origin (http for loopback only).",
            "Correct the template parameter behind it: scheme, host and port only, without a slash at the end.",
        )
    return origin


def _console_url(env: Mapping[str, str]) -> str | None:
    # It may be empty: without a console, the pages have no link to it.
    url = env.get("CONSOLE_URL")
    if not url:
        return None
    match = _PAGE.fullmatch(url)
    if not match or not _is_port(match):
        raise _invalid(
            "CONSOLE_URL is not an https address (http for localhost names only).",
            "Correct the template parameter ConsoleUrl, or leave it empty.",
        )
    return url


def _is_port(match: re.Match[str]) -> bool:
    return int(match["port"] or 1) <= _LARGEST_PORT


def _scopes(env: Mapping[str, str]) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(_required(env, "SCOPES").split()))
    if not all(map(is_scope, scopes)):
        raise _invalid(
            "SCOPES contains something that is not a scope name.",
            "Spell the scopes in the template parameter Scopes as Xero does, with spaces between them.",
        )
    missing = sorted(REQUIRED_SCOPES.keys() - set(scopes))
    if missing:
        raise _invalid(
            f"{' and '.join(missing)} is missing from SCOPES.", "Add it to the template parameter Scopes."
        )
    if FORBIDDEN_SCOPE in scopes:
        raise _invalid(
            f"SCOPES contains {FORBIDDEN_SCOPE}, with which Xero refuses every consent.",
            "Remove it from the template parameter Scopes.",
        )
    return scopes


def _invalid(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, code="setting_invalid", hint=hint)


def _switch(env: Mapping[str, str], name: str) -> bool:
    value = _required(env, name)
    if value not in {"enabled", "disabled"}:
        raise _invalid(
            f"The environment variable {name} is neither enabled nor disabled.",
            "Correct the template parameter behind it.",
        )
    return value == "enabled"


def _number(env: Mapping[str, str], name: str) -> int:
    value = _required(env, name)
    if not (value.isascii() and value.isdecimal() and len(value) <= _LONGEST_NUMBER and int(value) > 0):
        raise _invalid(
            f"The environment variable {name} is not a whole number from 1 to {10**_LONGEST_NUMBER - 1:,}.",
            "Correct the template parameter behind it.",
        )
    return int(value)
