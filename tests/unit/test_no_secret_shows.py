"""Whatever carries a secret may land in a log line, a traceback or a debugger: none of it shows the secret."""

from typing import TYPE_CHECKING

import pytest

from tests.fakes.builders import a_credential, a_token, a_tokens_secret
from tests.fakes.interruptions import step_in
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, NOON, World
from xero_connector.domain.consent import BrowserBinding
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import ConnectorError
from xero_connector.domain.submission import Submission
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.domain.tokens import ClientPair, StoredTokens, TokenAnswer
from xero_connector.services.issue_connect_link import ConnectLink
from xero_connector.use_cases.complete_consent import Callback
from xero_connector.use_cases.start_consent import StartedConsent
from xero_connector.use_cases.submit_credential import Submitted

if TYPE_CHECKING:
    from collections.abc import Callable

S = "s3cr3t"
PAIR = ClientPair("id", S)
TOKEN = a_token(access_token=S, refresh_token=S)
BROWSER = BrowserBinding(S, S)
LINK = ConnectLink(f"https://x.test/connect/{S}", NOON)
ANSWER = TokenAnswer(token=TOKEN, obtained_at=NOON, id_token=S)
TOKENS_SECRET = a_tokens_secret(token=TOKEN)


@pytest.mark.parametrize(
    "carrier",
    [
        PAIR,
        TOKEN,
        ANSWER,
        TOKENS_SECRET,
        StoredTokens(TOKENS_SECRET, "arn"),
        BROWSER,
        Callback(state=S, code=S, error=None, error_description=None, bindings=lambda _: BROWSER),
        LINK,
        StartedConsent(f"https://login.xero.test/?state={S}", BROWSER),
        Submission(pair=PAIR, label=None, integration_type=IntegrationType.WEB_APP, scopes=None),
        Submitted(a_credential(), LINK),
    ],
    ids=lambda carrier: type(carrier).__name__,
)
def test_a_repr_shows_no_secret(carrier: object) -> None:
    assert S not in f"{carrier!r} {carrier!s} {[carrier]} {(carrier,)}"


def everything_kept_or_told(world: World) -> str:
    """All that the registry, the consents, the logs and the metrics hold."""
    return repr(
        [
            world.registry.rows,
            world.registry.reservations,
            world.consents.tickets,
            world.consents.requests,
            world.observer.events,
            world.observer.counts,
        ]
    )


def test_a_whole_life_leaves_no_secret_outside_the_vault() -> None:
    world = World()
    errors: list[ConnectorError] = []
    world.submit()
    browser, state = world.open_link()
    link = world.app.create_connect_link(CLIENT_ID, by=ADMIN)
    world.xero.codes.add("the-code")
    world.call_back(browser, state, code="the-code")
    for kind in FailureKind:
        world.xero.failures.append(kind)
        world.sweep_when_due()
        if world.credential().due_at is None:
            break
    world.consent()
    world.xero.failures.append(FailureKind.INVALID_CLIENT)
    attempts: list[Callable[[], object]] = [
        lambda: world.app.replace_client_secret(CLIENT_ID, "another-secret", by=ADMIN),
        lambda: world.app.refresh_now("unknown", by=ADMIN),
        world.submit,
    ]
    for attempt in attempts:
        with pytest.raises(ConnectorError) as caught:
            attempt()
        errors.append(caught.value)
    step_in(world.vault, "delete_tokens", before=world.xero.failures.clear)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    told = everything_kept_or_told(world) + repr([(error, error.detail, error.hint) for error in errors])
    ticket = link.connect_url.rsplit("/", 1)[1]
    secrets = [CLIENT_SECRET, "another-secret", "access-", "refresh-", "the-code", state, ticket]
    secrets += [browser.binding, browser.ticket, browser.code_verifier(state), browser.nonce(state)]
    assert [secret for secret in secrets if secret in told] == []
