"""The whole application over in-memory stores, with the real adapters: Xero is the simulator, over HTTP."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, override

import requests

from local.xero_simulator.server import XeroSimulator
from tests.fakes.world import SETTINGS, World
from xero_connector.adapters.authlib_authorize_endpoint import LIMITS, AuthlibAuthorizeEndpoint
from xero_connector.adapters.authlib_token_endpoint import (
    REVOCATION_LIMITS,
    TOKEN_LIMITS,
    AuthlibTokenEndpoint,
)
from xero_connector.adapters.joserfc_id_tokens import JoserfcIdTokens
from xero_connector.adapters.requests_xero_connections import RequestsXeroConnections
from xero_connector.application import Application
from xero_connector.domain.tokens import ClientPair

_TIMEOUT = 10
_NO_SECRET = "whatever-an-admin-makes-up-for-an-app-without-one"


class SimulatedWorld(World):
    """A deployment that goes by the simulator's clock; the simulator has just been reset, its base is `NOON`."""

    def __init__(self, simulator: XeroSimulator) -> None:
        self.simulator = simulator
        super().__init__()
        self.deploy()

    @property
    @override
    def now(self) -> datetime:
        return self.simulator.clock()

    @now.setter
    def now(self, moment: datetime) -> None:
        self.simulator.clock.advance(moment - self.simulator.clock())

    def deploy(
        self,
        *,
        redirect_uri: str = SETTINGS.redirect_uri,
        pkce: bool = True,
        scopes: tuple[str, ...] = SETTINGS.scopes,
        within: timedelta | None = None,
    ) -> None:
        """Put the application together, anew and over the same stores if there was one before.

        `within` is how long it waits for an answer, None for as long as a deployment does.
        """
        xero = self.simulator.url
        settings = replace(
            SETTINGS,
            redirect_uri=redirect_uri,
            pkce=pkce,
            scopes=scopes,
            xero_login_url=xero,
            xero_identity_url=xero,
            xero_api_url=xero,
        )
        self.ports = replace(
            self.ports,
            token_endpoint=AuthlibTokenEndpoint(
                identity_url=xero,
                redirect_uri=redirect_uri,
                pkce=pkce,
                clock=self.clock,
                token_limits=TOKEN_LIMITS.at_most(within),
                revocation_limits=REVOCATION_LIMITS.at_most(within),
            ),
            id_tokens=JoserfcIdTokens(xero, self.clock),
            authorize=AuthlibAuthorizeEndpoint(
                login_url=xero, redirect_uri=redirect_uri, pkce=pkce, limits=LIMITS.at_most(within)
            ),
            connections=RequestsXeroConnections(api_url=xero),
        )
        self.app = Application(self.ports, settings)

    def register(self, integration_type: str = "web_app", **options: object) -> ClientPair:
        """Create an app in Xero's portal; a mobile app has no secret, so that any will do."""
        app = self.control("apps", {"integration_type": integration_type, **options})
        return ClientPair(app["client_id"], app["client_secret"] or _NO_SECRET)

    def control(self, path: str, body: object = None, *, method: str = "POST") -> Any:  # noqa: ANN401 - any JSON
        """Ask something of the simulator's control API."""
        answer = requests.request(method, f"{self.simulator.url}/_simulator/{path}", json=body, timeout=_TIMEOUT)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def break_down(self, endpoint: str, fault: dict[str, Any], *, after: int = 0) -> None:
        """Play a fault to one request at an endpoint, once `after` others have gone well."""
        if after:
            self.control("faults", {"endpoint": endpoint, "kind": "delay", "seconds": 0, "times": after})
        self.control("faults", {"endpoint": endpoint, **fault})

    def ask_xero(self, pair: ClientPair, path: str = "token", **request: Any) -> requests.Response:  # noqa: ANN401 - what requests takes
        """Post to Xero's identity server past the application, as another program with the pair would."""
        return requests.post(
            f"{self.simulator.url}/connect/{path}",
            auth=(pair.client_id, pair.client_secret),
            timeout=_TIMEOUT,
            **request,
        )

    def refresh_token(self, client_id: str) -> str:
        """The refresh token that consumers could read now."""
        refresh_token = self.vault.current_tokens(client_id).token.refresh_token
        assert refresh_token is not None
        return refresh_token
