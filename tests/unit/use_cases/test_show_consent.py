"""What the page of a consent says: to whom, and whether it is true at that moment."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, World
from tests.fakes.xero import DEMO_COMPANY, ELECTRO_LAND
from xero_connector.domain.consent import (
    AUTHORIZATION_REQUEST_KEPT,
    AUTHORIZATION_REQUEST_LIFETIME,
    BrowserBinding,
    RequestPhase,
    digest,
    new_token,
)
from xero_connector.domain.errors import ConsentRefused, StoreUnavailable
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.services.exchange_code import Connected

BOTH = (DEMO_COMPANY, ELECTRO_LAND)
SHOWN = Connected(BOTH, tenants_pending=False, repeated=True)
ARRIVED = Connected((), tenants_pending=True, repeated=True, stored=False)


class Visit:
    """One browser with one consent: at its callback, and at its page."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.browser, self.state = world.open_link()
        self.code = new_token()
        world.xero.codes.add(self.code)

    def call_back(self, **answer: str | None) -> Connected:
        return self.world.call_back(self.browser, self.state, **(answer or {"code": self.code}))

    def fail(self) -> ConsentRefused:
        with pytest.raises(ConsentRefused) as refused:
            self.call_back()
        return refused.value

    def look(self) -> Connected:
        return look(self.world, self.state, self.browser)

    def told(self) -> ConsentRefused:
        """What the page says if it is not that Xero is connected."""
        with pytest.raises(ConsentRefused) as refused:
            self.look()
        assert refused.value.consent_id is None
        assert refused.value.ticket == self.browser.ticket
        return refused.value

    @property
    def phase(self) -> RequestPhase:
        return self.world.consents.requests[digest(self.state)].phase


def look(world: World, state: str, browser: BrowserBinding | None) -> Connected:
    return world.app.show_consent(digest(state), bindings=lambda _: browser)


def refusal(call: Callable[[], object]) -> ConsentRefused:
    with pytest.raises(ConsentRefused) as refused:
        call()
    return refused.value


def break_the_vault(world: World, patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("PutSecretValue", "ThrottlingException")

    patch.setattr(world.vault, "put_tokens", refuse)


@pytest.fixture
def visit(world: World) -> Visit:
    world.submit()
    return Visit(world)


# Who sees it, and for how long


def test_the_page_shows_what_the_callback_connected(visit: Visit) -> None:
    visit.call_back()
    assert visit.look() == SHOWN


def test_the_page_looks_the_cookie_up_by_the_request_s_own_ticket(world: World, visit: Visit) -> None:
    visit.call_back()
    asked: list[str] = []

    def bindings(ticket_hash: str) -> BrowserBinding:
        asked.append(ticket_hash)
        return visit.browser

    world.app.show_consent(digest(visit.state), bindings=bindings)
    assert asked == [digest(visit.browser.ticket)]


@pytest.mark.parametrize("other", [None, BrowserBinding("ticket", new_token()), BrowserBinding("ticket", "")])
@pytest.mark.parametrize("connects", [True, False])
def test_another_browser_learns_nothing(
    world: World,
    visit: Visit,
    other: BrowserBinding | None,
    connects: bool,  # noqa: FBT001 - a parameter
) -> None:
    if connects:
        visit.call_back()
    refused = refusal(lambda: look(world, visit.state, other))
    assert refused.code == "wrong_browser"
    assert refused.ticket is None
    assert not refused.can_retry
    assert refused.key == "shown_elsewhere"


def test_the_browser_of_another_consent_of_the_same_credential_learns_nothing(world: World, visit: Visit) -> None:
    visit.call_back()
    other = Visit(world)
    assert refusal(lambda: look(world, visit.state, other.browser)).code == "wrong_browser"


@pytest.mark.parametrize(
    "consent_id", ["", "x", "0" * 63, "0" * 65, "0" * 64, "A" * 64, "é" * 64, "\ud800" * 64, "0" * 100_000]
)
def test_a_page_of_no_consent(world: World, visit: Visit, consent_id: str) -> None:
    visit.call_back()
    refused = refusal(lambda: world.app.show_consent(consent_id, bindings=lambda _: visit.browser))
    assert (refused.code, refused.ticket, refused.can_retry) == ("consent_unknown", None, False)


def test_a_state_is_no_name_of_a_page(world: World, visit: Visit) -> None:
    visit.call_back()
    refused = refusal(lambda: world.app.show_consent(visit.state, bindings=lambda _: visit.browser))
    assert refused.code == "consent_unknown"


def test_a_page_lasts_for_a_week_after_the_callback(world: World, visit: Visit) -> None:
    assert timedelta(days=7) == AUTHORIZATION_REQUEST_KEPT - AUTHORIZATION_REQUEST_LIFETIME
    visit.call_back()
    for _ in range(7):
        world.advance(86_400)
        assert visit.look() == SHOWN


def test_a_page_that_is_gone_says_what_it_does_not_know(world: World, visit: Visit) -> None:
    visit.call_back()
    world.consents.requests.clear()
    refused = refusal(visit.look)
    assert refused.code == "consent_unknown"
    assert "not known" in refused.detail
    assert refused.key == "consent_unknown"


def test_looking_changes_nothing_and_asks_xero_nothing(world: World, visit: Visit) -> None:
    visit.call_back()
    calls, rows = list(world.xero.calls), dict(world.registry.rows)
    requests, tickets = dict(world.consents.requests), dict(world.consents.tickets)
    for _ in range(3):
        visit.look()
        refusal(lambda: look(world, visit.state, None))
    assert (world.xero.calls, world.registry.rows) == (calls, rows)
    assert (world.consents.requests, world.consents.tickets) == (requests, tickets)


# What came later


def test_organisations_that_were_pending_are_named_once_they_are_listed(world: World, visit: Visit) -> None:
    world.xero.connections_down = True
    visit.call_back()
    assert visit.look() == Connected((), tenants_pending=True, repeated=True)
    world.xero.connections_down = False
    world.sweep_when_due()
    assert visit.look() == SHOWN


def test_an_answer_that_waits_for_the_vault_has_arrived_and_is_connected_later(
    world: World, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as outage:
        break_the_vault(world, outage)
        assert not visit.call_back().stored
        assert visit.look() == ARRIVED
        world.advance(3600)
        assert visit.look() == ARRIVED
    world.sweep_when_due()
    assert visit.phase is RequestPhase.CLAIMED
    assert visit.look() == SHOWN


def test_organisations_that_came_and_went_are_told_as_they_are_now(world: World, visit: Visit) -> None:
    visit.call_back()
    for tenants in ((ELECTRO_LAND,), BOTH):
        world.registry.save(world.credential().reaching(tenants))
        assert visit.look() == replace(SHOWN, tenants=tenants)


def test_where_all_organisations_were_removed_since_none_was_never_chosen(world: World, visit: Visit) -> None:
    visit.call_back()
    world.registry.save(world.credential().reaching(()))
    told = visit.told()
    assert (told.code, told.can_retry) == ("organisations_removed", True)
    world.registry.save(replace(world.credential(), tenants_pending=True))
    assert visit.look() == Connected((), tenants_pending=True, repeated=True)


def test_a_consent_for_no_organisation_stays_one(world: World, visit: Visit) -> None:
    world.xero.organisations = ()
    visit.call_back()
    assert visit.look() == Connected((), tenants_pending=False, repeated=True)


def test_a_degraded_connection_is_one(world: World, visit: Visit) -> None:
    visit.call_back()
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    world.sweep_when_due()
    assert world.credential().status is Status.DEGRADED
    assert visit.look() == SHOWN


@pytest.mark.parametrize("life", ["the same", "the next"])
def test_a_disconnected_credential_is_not_told_as_connected(world: World, visit: Visit, life: str) -> None:
    visit.call_back()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    if life == "the next":
        world.advance(1)
        world.connect()
    told = visit.told()
    assert (told.code, told.can_retry) == ("connection_ended", False)


def test_a_disconnect_under_way_is_told_too(world: World, visit: Visit) -> None:
    visit.call_back()
    world.registry.save(replace(world.credential(), status=Status.DISCONNECTING))
    assert visit.told().code == "connection_ended"


def test_a_disconnect_ends_an_answer_that_waits(
    world: World, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_the_vault(world, monkeypatch)
    visit.call_back()
    world.registry.save(replace(world.credential(), status=Status.DISCONNECTING))
    world.advance(61)
    assert visit.told().code == "consent_unfinished"


def test_a_credential_that_is_gone_is_not_told_as_connected(world: World, visit: Visit) -> None:
    visit.call_back()
    del world.registry.rows[CLIENT_ID]
    assert visit.told().code == "connection_ended"


def test_a_grant_that_died_since_asks_for_another_consent(world: World, visit: Visit) -> None:
    visit.call_back()
    world.xero.dead.add("refresh-1")
    while world.credential().status is not Status.REAUTHORIZATION_REQUIRED:
        world.sweep_when_due()
    told = visit.told()
    assert (told.code, told.can_retry) == ("connection_lost", True)


def test_a_pair_that_xero_refuses_since_needs_no_consent(world: World, visit: Visit) -> None:
    visit.call_back()
    world.xero.secrets[CLIENT_ID] = "another"
    world.sweep_when_due()
    assert world.credential().status is Status.CLIENT_REJECTED
    told = visit.told()
    assert (told.code, told.can_retry) == ("connection_interrupted", False)


@pytest.mark.parametrize("status", sorted({*Status} - {Status.DISCONNECTING, Status.DISCONNECTED}))
def test_what_a_later_consent_replaced_was_connected(world: World, visit: Visit, status: Status) -> None:
    visit.call_back()
    world.xero.user = "user-2"
    world.xero.organisations_of["user-2"] = (ELECTRO_LAND,)
    later = Visit(world)
    later.call_back()
    assert later.look() == Connected((ELECTRO_LAND,), tenants_pending=False, repeated=True)
    world.registry.save(replace(world.credential(), status=status))
    # Those of the later one are another person's.
    assert visit.look() == Connected(BOTH, tenants_pending=False, repeated=True, replaced=True)


def test_a_replaced_consent_is_ended_by_a_disconnect_like_the_other(world: World, visit: Visit) -> None:
    visit.call_back()
    Visit(world).call_back()
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    assert visit.told().code == "connection_ended"


# What was not completed


def test_a_consent_that_is_still_at_xero_is_not_completed(world: World, visit: Visit) -> None:
    told = visit.told()
    assert (told.code, told.can_retry) == ("consent_unfinished", True)
    world.advance(20 * 3600)
    assert visit.told().detail == told.detail


def test_a_consent_that_is_being_completed_is_busy(world: World, visit: Visit) -> None:
    codes: list[str] = []
    step_in(world.xero, "exchange_code", before=lambda: codes.append(visit.told().code))
    visit.call_back()
    assert codes == ["busy"]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FailureKind.INVALID_GRANT, "code_refused"),
        (FailureKind.UNAUTHORIZED_CLIENT, "redirect_uri_refused"),
        (FailureKind.UNAVAILABLE, "xero_unavailable"),
    ],
)
def test_the_page_tells_why_a_code_brought_nothing(
    world: World, visit: Visit, kind: FailureKind, code: str
) -> None:
    world.xero.failures.append(kind)
    failed = visit.fail()
    for _ in range(2):
        told = visit.told()
        assert (told.code, told.status, told.key) == (code, failed.status, failed.key)
        assert (told.detail, told.can_retry) == (failed.detail, True)
        world.advance(20 * 3600)


def test_a_failed_consent_stays_failed_when_the_next_one_connects(world: World, visit: Visit) -> None:
    world.xero.failures.append(FailureKind.INVALID_GRANT)
    visit.fail()
    Visit(world).call_back()
    told = visit.told()
    assert told.key == told.code == "code_refused"


@pytest.mark.parametrize("error", ["access_denied", "server_error"])
def test_a_consent_that_xero_ended_has_ended(visit: Visit, error: str) -> None:
    assert refusal(lambda: visit.call_back(error=error)).consent_id is None
    assert visit.told().code == "state_used"


def test_a_request_that_an_earlier_release_ended_has_ended(world: World, visit: Visit) -> None:
    world.consents.save_request(world.consents.requests[digest(visit.state)].failed())
    assert visit.told().code == "state_used"


# A process that dies


@pytest.mark.parametrize(
    ("part", "method", "when", "first", "at_last"),
    [
        # Nothing was presented: a reload of the callback goes on.
        ("xero", "load_keys", "before", "consent_unfinished", "connected"),
        # The only copy of the answer died with the process.
        ("xero", "exchange_code", "after", "consent_unfinished", "code_refused"),
        # Stored, and not committed: a reload of the callback adopts it.
        ("vault", "put_tokens", "after", "consent_unfinished", "connected"),
        # Committed, and the request not completed: the page knows already.
        ("consents", "save_request", "before", "connected", "connected"),
        # The request is completed, and the answer to the browser is lost.
        ("consents", "save_request", "after", "connected", "connected"),
    ],
)
def test_a_callback_that_dies_leaves_a_page_that_tells_the_truth(  # noqa: PLR0917 - one table
    world: World, visit: Visit, part: str, method: str, when: str, first: str, at_last: str
) -> None:
    # The first write of the request claims it, the second ends it.
    step_in(getattr(world, part), method, skip=int(part == "consents"), **{when: die})
    with pytest.raises(ProcessDied):
        visit.call_back()
    world.advance(61)
    assert saying(visit) == first
    exchanges = world.xero.calls.count("exchange_code")
    if at_last == "connected":
        visit.call_back()
        assert visit.look().tenants == BOTH
    else:
        assert visit.fail().consent_id == digest(visit.state)
    assert saying(visit) == at_last
    assert world.xero.calls.count("exchange_code") - exchanges == int(method in {"load_keys", "exchange_code"})


def test_what_a_dead_callback_stored_is_connected_by_the_schedule_and_the_page_says_so(
    world: World, visit: Visit
) -> None:
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        visit.call_back()
    world.sweep_when_due()
    assert visit.phase is RequestPhase.CLAIMED
    assert visit.look() == SHOWN


def test_a_failure_that_dies_before_it_is_written_down_is_told_by_a_reload(world: World, visit: Visit) -> None:
    world.xero.failures.append(FailureKind.INVALID_GRANT)
    step_in(world.consents, "save_request", skip=1, before=die)
    with pytest.raises(ProcessDied):
        visit.call_back()
    world.xero.codes.discard(visit.code)
    world.advance(61)
    assert saying(visit) == "consent_unfinished"
    assert visit.fail().code == "code_refused"
    assert saying(visit) == "code_refused"


def test_a_grant_found_after_its_code_was_refused_is_told_as_connected(world: World, visit: Visit) -> None:
    # The vault shows a version later than it was written: the reload cannot see what the first callback stored.
    step_in(world.vault, "put_tokens", after=die)
    with pytest.raises(ProcessDied):
        visit.call_back()
    versions = world.vault.versions[world.vault.tokens_secret_name(CLIENT_ID)]
    world.vault.unseen.update(versions)
    world.advance(61)
    assert visit.fail().code == "code_refused"
    assert visit.told().key == "code_refused"
    world.vault.unseen.clear()
    world.sweep_when_due()
    assert visit.phase is RequestPhase.FAILED
    assert visit.look() == SHOWN


def saying(visit: Visit) -> str:
    try:
        visit.look()
    except ConsentRefused as refused:
        return refused.code
    return "connected"
