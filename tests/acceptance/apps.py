"""The apps of Xero's portal whose pairs are submitted: good ones, and what can be wrong with one."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from local.xero_simulator.apps import DEFAULT_REDIRECT_URI
from tests.acceptance.actors import Json
from tests.fakes.simulated_world import SimulatedWorld
from xero_connector.domain.tokens import ClientPair

type App = Callable[[SimulatedWorld], ClientPair]

SIGN_IN = ["offline_access", "openid"]
NOT_REGISTERED = "accounting.banktransactions"
REFUSED_SECRET = "a-secret-that-this-app-does-not-have"
NEW_SECRET = "a-secret-that-was-shown-but-not-saved-yet"


def stranger(_: SimulatedWorld) -> ClientPair:
    return ClientPair("F" * 32, REFUSED_SECRET)


def with_wrong_secret(world: SimulatedWorld) -> ClientPair:
    return ClientPair(world.register().client_id, REFUSED_SECRET)


def with_deleted_secret(world: SimulatedWorld) -> ClientPair:
    pair = world.register()
    delete_secret(world, pair)
    return pair


def disabled(world: SimulatedWorld) -> ClientPair:
    pair = world.register()
    disable_apps(world)
    return pair


def delete_secret(world: SimulatedWorld, pair: ClientPair) -> None:
    world.control(f"apps/{pair.client_id}/secret", method="DELETE")


def disable_apps(world: SimulatedWorld) -> None:
    # Xero does not say whether an app is disabled or never existed.
    world.simulator.identity_server.reset()


UNKNOWN_ID = ("does not know this client ID, or the app is disabled", "Copy the client ID again")
WRONG_SECRET = ("knows this client ID, but refuses the client secret", "press Save")


class Stranded(NamedTuple):
    """How an app is registered, what its pair is submitted with, and what comes of that."""

    page: str
    options: Json
    scopes: list[str] | None
    results: Json
    check: str
    words: tuple[str, ...]


REDIRECT_URI_BAD = {"pair": "pass", "redirect_uri": "fail", "scopes": "unknown"}
SCOPES_BAD = {"pair": "pass", "redirect_uri": "pass", "scopes": "fail"}
STRANDED: Mapping[str, Stranded] = {
    "unregistered redirect URI": Stranded(
        "unauthorized_client : Invalid redirect_uri",
        {"redirect_uris": ["https://elsewhere.example/oAuth2CallBack"]},
        None,
        REDIRECT_URI_BAD,
        "redirect_uri",
        ("not registered", "exactly this redirect URI", DEFAULT_REDIRECT_URI),
    ),
    "unknown scope": Stranded(
        "invalid_scope",
        {},
        [*SIGN_IN, "accounting.contacts", "accounting.everything"],
        SCOPES_BAD,
        "scopes",
        ("at least one of these scopes", "accounting.everything"),
    ),
    "retired scope on a granular app": Stranded(
        "invalid_scope",
        {},
        [*SIGN_IN, "accounting.transactions", "accounting.reports.read"],
        SCOPES_BAD,
        "scopes",
        (
            "not enabled: accounting.transactions accounting.reports.read",
            "2 March 2026",
            "accounting.invoices accounting.payments accounting.banktransactions",
            "accounting.reports.profitandloss.read",
        ),
    ),
    "scope exists, app not allowed": Stranded(
        "unauthorized_client : Invalid scope for client",
        {"granular_scopes": False},
        [*SIGN_IN, "accounting.contacts", NOT_REGISTERED],
        SCOPES_BAD,
        "scopes",
        ("at least one of these scopes", NOT_REGISTERED, "Xero's portal"),
    ),
    "retired scope not registered on an older app": Stranded(
        "unauthorized_client : Invalid scope for client",
        {"granular_scopes": False},
        [*SIGN_IN, "accounting.transactions"],
        SCOPES_BAD,
        "scopes",
        ("not enabled: accounting.transactions", "accounting.invoices"),
    ),
}
