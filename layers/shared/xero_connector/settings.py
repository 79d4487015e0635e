"""What a function is told by its environment; a missing name is an error that says the name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from xero_connector.domain.errors import ConfigurationError
from xero_connector.domain.submission import FORBIDDEN_SCOPE, REQUIRED_SCOPES

CALLBACK_PATH = "/oAuth2CallBack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One deployment's settings; `redirect_uri` goes byte for byte into both calls to Xero."""

    table_name: str
    due_shards: int
    token_writes_per_second: int
    secret_prefix: str
    kms_key_arn: str
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
        """The base that people's browsers meet: the redirect URI without its path."""
        return self.redirect_uri.removesuffix(CALLBACK_PATH)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings, or raise `ConfigurationError`."""
        redirect_uri = _required(env, "REDIRECT_URI")
        if not redirect_uri.endswith(CALLBACK_PATH):
            raise ConfigurationError(
                f"REDIRECT_URI does not end with {CALLBACK_PATH}.",
                code="setting_invalid",
                hint="Set the template parameter RedirectUri to the address that is registered at Xero.",
            )
        scopes = tuple(_required(env, "SCOPES").split())
        missing = sorted(REQUIRED_SCOPES.keys() - set(scopes))
        if missing:
            raise ConfigurationError(
                f"SCOPES lacks {' and '.join(missing)}.",
                code="setting_invalid",
                hint="Add it to the template parameter Scopes.",
            )
        if FORBIDDEN_SCOPE in scopes:
            raise ConfigurationError(
                f"SCOPES holds {FORBIDDEN_SCOPE}, with which Xero refuses every consent.",
                code="setting_invalid",
                hint="Take it out of the template parameter Scopes.",
            )
        return cls(
            table_name=_required(env, "TABLE_NAME"),
            due_shards=_number(env, "DUE_SHARDS"),
            token_writes_per_second=_number(env, "TOKEN_WRITES_PER_SECOND"),
            secret_prefix=_required(env, "SECRET_PREFIX"),
            kms_key_arn=_required(env, "KMS_KEY_ARN"),
            event_bus_name=_required(env, "EVENT_BUS_NAME"),
            redirect_uri=redirect_uri,
            xero_login_url=_required(env, "XERO_LOGIN_URL"),
            xero_identity_url=_required(env, "XERO_IDENTITY_URL"),
            xero_api_url=_required(env, "XERO_API_URL"),
            scopes=scopes,
            pkce=_switch(env, "PKCE"),
            connect_link_lifetime=timedelta(days=_number(env, "CONNECT_LINK_DAYS")),
            # The one setting that may be empty: no console, no link.
            console_url=env.get("CONSOLE_URL") or None,
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise ConfigurationError(
            f"The environment variable {name} is not set.",
            code="setting_missing",
            hint="Deploy the template as it is: it sets every variable.",
        )
    return value


def _switch(env: Mapping[str, str], name: str) -> bool:
    value = _required(env, name)
    if value not in {"enabled", "disabled"}:
        raise ConfigurationError(
            f"The environment variable {name} is neither enabled nor disabled.",
            code="setting_invalid",
            hint="Correct the template parameter behind it.",
        )
    return value == "enabled"


def _number(env: Mapping[str, str], name: str) -> int:
    value = _required(env, name)
    if not value.isdecimal() or int(value) < 1:
        raise ConfigurationError(
            f"The environment variable {name} is not a whole number above zero.",
            code="setting_invalid",
            hint="Correct the template parameter behind it.",
        )
    return int(value)
