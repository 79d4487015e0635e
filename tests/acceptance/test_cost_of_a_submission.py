"""What a submission may cost: at most four requests to Xero, and no token for a user's app."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from local.xero_simulator.apps import DEFAULT_API_SCOPES, DEFAULT_REDIRECT_URI
from local.xero_simulator.refresh_tokens import Grant
from local.xero_simulator.token_signer import TokenSigner
from tests.acceptance.actors import Admin, Json
from tests.acceptance.apps import (
    NOT_REGISTERED,
    REFUSED_SECRET,
    SIGN_IN,
    STRANDED,
    App,
    stranger,
    with_deleted_secret,
    with_wrong_secret,
)
from tests.acceptance.outages import FAULTS, Impatience, Outage
from tests.fakes.simulated_world import SimulatedWorld
from xero_connector.domain.tokens import ClientPair


class Submission(NamedTuple):
    """A pair to submit, what goes with it, and the outage to submit it in: endpoint, fault, requests before."""

    app: App
    fields: Json
    weather: tuple[tuple[str, Outage, int], ...] = ()

    @property
    def custom(self) -> bool:
        return "integration_type" in self.fields


def _app(integration_type: str = "web_app", **options: object) -> App:
    return lambda world: world.register(integration_type, **options)


_AS_CUSTOM = {"integration_type": "custom_connection"}
_TWO_WRONGS: Json = {"redirect_uris": ["https://elsewhere.example/"], "case_sensitive_redirect_uris": True}
SUBMISSIONS: Mapping[str, Submission] = {
    "good web app": Submission(_app(), {}),
    "wrong secret": Submission(with_wrong_secret, {}),
    "deleted secret": Submission(with_deleted_secret, {}),
    "unknown id": Submission(stranger, {}),
    "wrong secret and bad redirect URI": Submission(
        lambda world: ClientPair(world.register(**_TWO_WRONGS).client_id, REFUSED_SECRET), {}
    ),
    "web app as a custom connection": Submission(_app(), _AS_CUSTOM),
    "custom connection": Submission(_app("custom_connection"), _AS_CUSTOM),
    "custom connection with a scope not granted": Submission(
        _app("custom_connection"), {**_AS_CUSTOM, "scopes": ["accounting.contacts", NOT_REGISTERED]}
    ),
    "custom connection with a wrong secret": Submission(
        lambda world: ClientPair(world.register("custom_connection").client_id, REFUSED_SECRET), _AS_CUSTOM
    ),
    "custom connection as a web app": Submission(_app("custom_connection"), {}),
    "mobile app": Submission(_app("mobile_app"), {}),
    "mobile app as a custom connection": Submission(_app("mobile_app"), _AS_CUSTOM),
    "case of the redirect URI": Submission(
        _app(redirect_uris=[DEFAULT_REDIRECT_URI.lower()], case_sensitive_redirect_uris=True), {}
    ),
    "app.connections": Submission(_app(), {"scopes": [*SIGN_IN, "app.connections"]}),
    "scope not registered on a granular app": Submission(_app(), {"scopes": [*SIGN_IN, NOT_REGISTERED]}),
    **{
        name: Submission(_app(**row.options), {} if row.scopes is None else {"scopes": row.scopes})
        for name, row in STRANDED.items()
    },
    **{
        f"{name} at the {place}": Submission(_app(), {}, ((endpoint, outage, after),))
        for name, outage in FAULTS.items()
        for place, endpoint, after in (
            ("pair", "token", 0),
            ("negative control", "token", 1),
            ("authorize endpoint", "authorize", 0),
        )
    },
    **{
        f"{name} at a custom connection's {place}": Submission(
            _app("custom_connection"),
            {**_AS_CUSTOM, "scopes": ["accounting.contacts", NOT_REGISTERED]},
            ((endpoint, FAULTS[name], after),),
        )
        for name in ("500", "429", "hung up", "answer lost", "403 with an HTML page")
        for place, endpoint, after in (
            ("pair", "token", 0),
            ("tokens", "token", 1),
            ("second try", "token", 2),
            ("organisations", "connections", 0),
        )
    },
}
OF_A_SUBMISSION = {"/identity/connect/authorize", "/identity/error", "/connect/token", "/connections"}


@pytest.fixture
def minted(monkeypatch: pytest.MonkeyPatch) -> list[Grant]:
    """The grant of each access token that Xero has issued."""
    grants: list[Grant] = []
    mint = TokenSigner.access_token

    def noting(signer: TokenSigner, grant: Grant, now: Any) -> str:  # noqa: ANN401 - handed on as it is
        grants.append(grant)
        return mint(signer, grant, now)

    monkeypatch.setattr(TokenSigner, "access_token", noting)
    return grants


@pytest.fixture
def sent(world: SimulatedWorld, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What went over the wire to Xero, also where the simulator's journal does not have it yet."""
    urls: list[str] = []
    send = HTTPAdapter.send

    def noting(adapter: HTTPAdapter, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # noqa: ANN401 - handed on as it is
        if request.url and not request.url.startswith(f"{world.simulator.url}/_simulator/"):
            urls.append(request.url)
        return send(adapter, request, **how)

    monkeypatch.setattr(HTTPAdapter, "send", noting)
    return urls


@pytest.mark.parametrize("submission", SUBMISSIONS.values(), ids=SUBMISSIONS.keys())
def test_a_submission_asks_xero_at_most_four_times_and_mints_no_token_for_a_user_s_app(
    world: SimulatedWorld,
    admin: Admin,
    impatience: Impatience,
    minted: list[Grant],
    *,
    sent: list[str],
    submission: Submission,
) -> None:
    pair = submission.app(world)
    for endpoint, outage, after in submission.weather:
        impatience(outage)
        world.break_down(endpoint, outage.document, after=after)
    admin.submit(pair, **submission.fields)
    asked = world.simulator.journal.entries
    assert len(asked) <= len(sent) <= 4, sent
    assert {urlsplit(url).path for url in sent} <= OF_A_SUBMISSION
    assert {entry["path"] for entry in asked} <= OF_A_SUBMISSION
    assert not world.simulator.faults.pending
    if submission.custom and submission.app is not SUBMISSIONS["web app as a custom connection"].app:
        # Its own tokens are what a Custom connection is submitted for; no user's consent is in them.
        assert all(grant.session is None and grant.client_id == pair.client_id for grant in minted)
        return
    assert minted == []
    by_the_weather = [outage.document.get("status") for _, outage, _ in submission.weather]
    by_the_weather += [HTTPStatus.FORBIDDEN, None] if submission.weather else []
    for entry in asked:
        if entry["path"] == "/connect/token":
            assert entry.get("grant_type") == "authorization_code"
            assert entry["status"] in {HTTPStatus.BAD_REQUEST, *by_the_weather}


@pytest.mark.parametrize("integration_type", ["web_app", "mobile_app"])
def test_no_probe_of_a_stored_pair_mints_a_token_either(
    world: SimulatedWorld, admin: Admin, minted: list[Grant], integration_type: str
) -> None:
    pair = world.register()
    admin.submit(pair)
    admin.validate(pair.client_id)
    admin.replace_secret(pair.client_id, REFUSED_SECRET)
    secret = world.control(f"apps/{pair.client_id}/secret")["client_secret"]
    admin.replace_secret(pair.client_id, secret)
    other = world.register(integration_type, scopes=DEFAULT_API_SCOPES)
    admin.submit(other)
    asked = [entry for entry in world.simulator.journal.entries if entry["path"] == "/connect/token"]
    assert {(entry.get("grant_type"), entry["status"]) for entry in asked} == {("authorization_code", 400)}
    assert minted == []
