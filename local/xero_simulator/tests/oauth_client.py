"""A scripted OAuth client, as plain as can be: it checks nothing, so that tests see what the simulator says."""

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import requests

from local.xero_simulator.user import XeroUser

REDIRECT_URI = "https://cloudmanager.oneenterprise.com/oAuth2CallBack"
SCOPE = "offline_access openid profile email accounting.invoices accounting.contacts"
TIMEOUT = 10


def challenge_of(code_verifier: str) -> str:
    digest = hashlib.sha256(code_verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@dataclass
class OAuthClient:
    url: str
    client_id: str
    client_secret: str | None

    def authorize_url(self, **changes: str | None) -> str:
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT_URI,
            "scope": SCOPE,
            "state": "the state",
            **changes,
        }
        given = {name: value for name, value in parameters.items() if value is not None}
        return f"{self.url}/identity/connect/authorize?{urlencode(given, quote_via=quote)}"

    def authorize(self, **changes: str | None) -> requests.Response:
        return requests.get(self.authorize_url(**changes), allow_redirects=False, timeout=TIMEOUT)

    def code(self, user: XeroUser, *, organisations: list[str] | None = None, **changes: str | None) -> str:
        return query_of(user.consent(self.authorize_url(**changes), organisations=organisations))["code"]

    def post_token(self, **form: str) -> requests.Response:
        return requests.post(f"{self.url}/connect/token", data=form, auth=self.basic, timeout=TIMEOUT)

    def exchange(self, code: str, **changes: str) -> requests.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, **changes}
        return self.post_token(**form)

    def refresh(self, refresh_token: str) -> requests.Response:
        return self.post_token(grant_type="refresh_token", refresh_token=refresh_token)

    def tokens(self, user: XeroUser, *, organisations: list[str] | None = None) -> dict[str, str]:
        response = self.exchange(self.code(user, organisations=organisations))
        response.raise_for_status()
        return dict(response.json())

    def revoke(self, token: str, **form: str) -> requests.Response:
        return requests.post(
            f"{self.url}/connect/revocation", data={"token": token, **form}, auth=self.basic, timeout=TIMEOUT
        )

    def connections(self, access_token: str, **query: str) -> requests.Response:
        return requests.get(f"{self.url}/connections", params=query, headers=bearer(access_token), timeout=TIMEOUT)

    def disconnect(self, access_token: str, connection_id: str) -> requests.Response:
        return requests.delete(
            f"{self.url}/connections/{connection_id}", headers=bearer(access_token), timeout=TIMEOUT
        )

    @property
    def basic(self) -> tuple[str, str]:
        return (self.client_id, self.client_secret or "")


def bearer(access_token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token}"}


def refusal(response: requests.Response) -> str:
    """Return the error code of a refusal of the token or revocation endpoint."""
    assert response.status_code == 400
    document = response.json()
    assert list(document) == ["error"]
    return str(document["error"])
