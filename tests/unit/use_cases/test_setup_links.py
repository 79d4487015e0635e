"""Setup links, as admins make and follow them and as customers use them."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.builders import a_credential
from tests.fakes.interruptions import ProcessDied, die, step_in
from tests.fakes.world import ADMIN, CLIENT_ID, CLIENT_SECRET, NOON, SETTINGS, World
from xero_connector.domain.checks import AuthorizeFinding, CheckResult
from xero_connector.domain.consent import new_token
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import (
    Conflict,
    ConsentRefused,
    MalformedRequest,
    NotFound,
    RevisionConflict,
    SetupRefused,
    StoreUnavailable,
)
from xero_connector.domain.history import Action
from xero_connector.domain.setup_link import (
    CLAIM_LIFETIME,
    FAILING_AFTER,
    MOST_REFUSALS,
    MOST_TRIES,
    MOST_TRIES_OF_AN_ADDRESS,
    TRIES_WINDOW,
    LinkState,
    SetupLink,
    setup_link_id,
)
from xero_connector.domain.setup_view import Purpose, SetupView, Stage, Try, TryProblem
from xero_connector.domain.status import Status
from xero_connector.domain.token_endpoint import FailureKind
from xero_connector.use_cases.create_setup_link import SetupLinkWish
from xero_connector.use_cases.hand_over_pair import Sender, SetupForm

A_WEEK = timedelta(days=7)
NEW_SECRET = "another-horse-battery-staple"


@dataclass(slots=True)
class Customer:
    """A customer with a setup link, in one browser at one address."""

    world: World
    url: str = field(repr=False)
    browser: str = "browser-1"
    address: str = "address-1"
    has_current_form: bool = True

    @property
    def ticket(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def link(self) -> SetupLink:
        return self.world.setup_links.links[setup_link_id(self.ticket)]

    def opens(self) -> SetupView:
        return self.world.app.open_setup_link(self.ticket, browser_hash=self.browser)

    def sends(
        self, client_id: str = CLIENT_ID, client_secret: str = CLIENT_SECRET, integration_type: str = "web_app"
    ) -> SetupView:
        """Send the form, and follow the redirect to the page."""
        form = SetupForm(client_id=client_id, client_secret=client_secret, integration_type=integration_type)
        sender = Sender(
            browser_hash=self.browser, address_hash=self.address, has_current_form=self.has_current_form
        )
        self.world.advance(0)
        self.world.app.hand_over_pair(self.ticket, form, sender)
        self.world.advance(0)
        return self.opens()

    def consents(self, view: SetupView) -> None:
        assert view.connect_ticket is not None
        started = self.world.app.start_consent(view.connect_ticket, binding=None)
        code = new_token()
        self.world.xero.codes.add(code)
        self.world.call_back(started.browser, started.authorization_url.rsplit("state=", 1)[1], code=code)


def customer(world: World, **wish: Any) -> Customer:  # noqa: ANN401 - any field
    asked = SetupLinkWish(label="Electro Land", integration_type=None, scopes=None, lifetime=A_WEEK)
    return Customer(world, world.app.create_setup_link(replace(asked, **wish), by=ADMIN).setup_url)


def healing(world: World, client_id: str = CLIENT_ID) -> Customer:
    issued = world.app.create_healing_link(client_id, lifetime=A_WEEK, by=ADMIN)
    return Customer(world, issued.setup_url)


def problem(view: SetupView) -> TryProblem:
    assert view.last_try is not None
    return view.last_try.problem


def known_to_xero(world: World, secret: str = CLIENT_SECRET) -> None:
    world.xero.secrets[CLIENT_ID] = secret


def events(world: World, event_type: str) -> list[dict[str, Any]]:
    return [dict(event.detail) for event in world.event_bus.published if event.event_type == event_type]


def make_rejected(world: World) -> None:
    """Have Xero refuse the secret that it accepted."""
    world.xero.secrets[CLIENT_ID] = "deleted-at-xero"
    world.advance(21 * 60)
    world.sweep()
    while world.credential().status is not Status.CLIENT_REJECTED:
        world.sweep_when_due()


def lose_grant(world: World) -> None:
    world.xero.dead.update(world.xero.owner_of)
    world.advance(21 * 60)
    world.sweep()
    while world.credential().status is not Status.REAUTHORIZATION_REQUIRED:
        world.sweep_when_due()


# A new link


def test_a_new_link_is_open_and_its_address_is_told_once(world: World) -> None:
    known_to_xero(world)
    wish = SetupLinkWish(label="Electro Land", integration_type=None, scopes=None, lifetime=timedelta(days=3))
    issued = world.app.create_setup_link(wish, by=ADMIN)
    base, ticket = issued.setup_url.rsplit("/", 1)
    assert base == "https://cloudmanager.oneenterprise.com/setup"
    link = issued.link
    assert (link.purpose, link.label, link.client_id, link.created_by) == (
        Purpose.NEW_CREDENTIAL,
        "Electro Land",
        None,
        ADMIN,
    )
    assert link.expires_at == NOON + timedelta(days=3)
    assert link.state(NOON) is LinkState.OPEN
    assert world.app.list_setup_links.one(link.setup_link_id) == link
    assert ticket not in repr(issued)
    assert ticket not in repr(world.setup_links.links)


def test_opening_shows_the_guide_and_consumes_nothing(world: World) -> None:
    visitor = customer(world)
    first, second = visitor.opens(), replace(visitor, browser="a-scanner").opens()
    assert first == second
    assert first.stage is Stage.PAIR
    assert (first.label, first.integration_type) == ("Electro Land", None)
    assert first.redirect_uri == SETTINGS.redirect_uri
    assert visitor.link.state(NOON) is LinkState.OPENED
    assert world.consents.tickets == {}
    assert world.xero.calls == []


def test_a_page_that_loads_itself_again_and_again_writes_seldom(world: World) -> None:
    visitor = customer(world)
    for _ in range(10):
        visitor.opens()
        world.advance(20)
    assert visitor.link.revision == 1
    world.advance(300)
    visitor.opens()
    assert visitor.link.last_opened_at == world.now


@pytest.mark.parametrize("ticket", ["", "x", "a" * 43, "é" * 43, "a" * 10_000])
def test_a_link_that_was_never_made(world: World, ticket: str) -> None:
    with pytest.raises(SetupRefused) as refused:
        Customer(world, f"https://x/setup/{ticket}").opens()
    assert refused.value.code == "setup_link_unknown"


def test_an_id_is_no_ticket(world: World) -> None:
    visitor = customer(world)
    with pytest.raises(SetupRefused, match="does not exist"):
        Customer(world, f"https://x/setup/{visitor.link.setup_link_id}").opens()


def test_the_scopes_are_the_deployment_s_unless_the_link_names_some(world: World) -> None:
    assert customer(world).opens().scopes == SETTINGS.scopes
    named = ("offline_access", "openid", "accounting.settings")
    assert customer(world, scopes=named).opens().scopes == named


def test_a_custom_connection_asks_for_none_of_a_user_s_scopes(world: World) -> None:
    known_to_xero(world)
    world.xero.custom_connections.add(CLIENT_ID)
    named = ("offline_access", "openid", "accounting.contacts")
    customer(world, scopes=named).sends(integration_type="custom_connection")
    assert world.credential().requested_scopes == ("accounting.contacts",)


# A pair that is accepted


def test_a_good_pair_leads_on_to_consent_and_to_the_connection_in_one_sitting(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    proven = visitor.sends()
    assert proven.stage is Stage.CONSENT
    assert proven.client_id == CLIENT_ID
    assert proven.checks["pair"].result is CheckResult.PASS
    assert proven.last_try is None
    visitor.consents(proven)
    connected = visitor.opens()
    assert connected.stage is Stage.CONNECTED
    assert [tenant.tenant_name for tenant in connected.tenants] == ["Demo Company (UK)", "Electro Land"]
    credential = world.credential()
    assert (credential.label, credential.created_by) == ("Electro Land", ADMIN)
    assert credential.setup_link_id == visitor.link.setup_link_id
    assert visitor.link.state(world.now) is LinkState.USED


def test_the_link_says_that_it_was_used_with_the_credential_in_one_write(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    visitor.sends()
    (used,) = events(world, "SetupLinkUsed")
    assert (used["client_id"], used["setup_link_id"]) == (CLIENT_ID, visitor.link.setup_link_id)
    trail = world.app.read_history(CLIENT_ID, limit=10, next_token=None).items
    actor = f"setup_link:{visitor.link.setup_link_id}"
    assert {(entry.action, entry.by) for entry in trail} == {
        (Action.SUBMITTED, actor),
        (Action.SETUP_LINK_USED, actor),
        (Action.VALIDATED, "connector"),
        (Action.CONNECT_LINK_CREATED, actor),
    }


def test_the_same_connect_ticket_is_shown_each_time_and_made_once(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    first = visitor.sends()
    world.advance(3600)
    assert visitor.opens().connect_ticket == first.connect_ticket
    assert replace(visitor, browser="another").opens().connect_ticket == first.connect_ticket
    assert len(world.consents.tickets) == 1


def test_the_way_to_consent_lasts_a_week_from_the_pair_even_where_the_link_ends_before(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    visitor.opens()
    world.advance(timedelta(days=6, hours=23).total_seconds())
    view = visitor.sends()
    world.advance(timedelta(days=6).total_seconds())
    assert visitor.opens().stage is Stage.CONSENT
    visitor.consents(view)
    world.advance(timedelta(days=30).total_seconds())
    assert visitor.opens().stage is Stage.CONNECTED


def test_the_page_says_how_long_the_way_to_consent_lasts(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    assert visitor.opens().expires_at == NOON + A_WEEK
    world.advance(timedelta(days=6).total_seconds())
    assert visitor.sends().expires_at == NOON + timedelta(days=6) + A_WEEK


def test_where_the_way_to_consent_has_ended_the_page_says_so(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    visitor.sends()
    world.advance(timedelta(days=8).total_seconds())
    with pytest.raises(SetupRefused) as refused:
        visitor.opens()
    assert refused.value.code == "setup_link_expired"


def test_a_custom_connection_is_connected_by_the_schedule(world: World) -> None:
    known_to_xero(world)
    world.xero.custom_connections.add(CLIENT_ID)
    visitor = customer(world)
    assert visitor.sends(integration_type="custom_connection").stage is Stage.CONNECTING
    assert world.credential().requested_scopes == ()
    world.sweep()
    view = visitor.opens()
    assert view.stage is Stage.CONNECTED
    assert view.tenants != ()


def test_what_the_page_does_reads_no_secret_and_writes_no_tokens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the setup page has no right to this")

    world.connect()
    make_rejected(world)
    for forbidden in ("get_client_pair", "get_tokens", "put_tokens", "delete_tokens"):
        monkeypatch.setattr(world.vault, forbidden, refuse)
    known_to_xero(world, NEW_SECRET)
    healed = healing(world)
    assert healed.opens().stage is Stage.SECRET
    healed.sends(client_secret=NEW_SECRET)
    world.xero.secrets["B" * 32] = CLIENT_SECRET
    world.xero.custom_connections.add("B" * 32)
    assert customer(world).sends("B" * 32, integration_type="custom_connection").stage is Stage.CONNECTING
    world.xero.secrets["C" * 32] = CLIENT_SECRET
    assert customer(world).sends("C" * 32).stage is Stage.CONSENT


def test_while_xero_gives_no_answer_the_pair_is_kept_and_the_page_waits(world: World) -> None:
    known_to_xero(world)
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    visitor = customer(world)
    assert visitor.sends().stage is Stage.WAITING
    assert visitor.link.state(world.now) is LinkState.USED
    world.sweep_when_due()
    assert visitor.opens().stage is Stage.CONSENT


def test_a_pair_that_was_kept_and_is_refused_later_can_be_corrected_by_the_same_link(world: World) -> None:
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    visitor = customer(world)
    world.xero.secrets[CLIENT_ID] = NEW_SECRET
    assert visitor.sends().stage is Stage.WAITING
    world.sweep_when_due()
    refused = visitor.opens()
    assert (refused.stage, refused.client_id) == (Stage.SECRET, CLIENT_ID)
    assert visitor.sends(client_id="", client_secret=NEW_SECRET).stage is Stage.CONSENT
    assert world.credential().client_secret_number == 2


def test_a_pair_that_was_kept_and_is_refused_for_good_is_said_to_be_refused(world: World) -> None:
    world.xero.failures.append(FailureKind.UNAVAILABLE)
    visitor = customer(world)
    assert not visitor.sends().never_accepted
    while world.credential().status is not Status.REJECTED:
        world.sweep_when_due()
        view = visitor.opens()
        assert (view.stage, view.never_accepted) == (Stage.SECRET, True)
    world.sweep_when_due()
    assert visitor.opens().stage is Stage.REFUSED


# A pair that is refused


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (AuthorizeFinding.CLIENT_UNKNOWN, TryProblem.CLIENT_ID_UNKNOWN),
        (AuthorizeFinding.ACCEPTED, TryProblem.SECRET_WRONG),
        (AuthorizeFinding.REDIRECT_URI_REFUSED, TryProblem.SECRET_WRONG),
        (AuthorizeFinding.INCONCLUSIVE, TryProblem.PAIR_REFUSED),
    ],
)
def test_a_wrong_id_is_told_from_a_wrong_secret(
    world: World, finding: AuthorizeFinding, expected: TryProblem
) -> None:
    known_to_xero(world, "another")
    world.xero.finding = finding
    visitor = customer(world)
    view = visitor.sends()
    assert (view.stage, problem(view)) == (Stage.PAIR, expected)
    assert view.last_try is not None
    assert view.last_try.client_id == CLIENT_ID
    assert CLIENT_SECRET not in repr(view)
    assert (visitor.link.refusals, visitor.link.client_id) == (1, None)
    assert world.registry.rows == {}
    assert world.vault.versions == {}


def test_what_the_probe_found_is_shown_beside(world: World) -> None:
    known_to_xero(world, "another")
    world.xero.finding = AuthorizeFinding.REDIRECT_URI_REFUSED
    shown = customer(world).sends().last_try
    assert shown is not None
    assert (shown.redirect_uri, shown.scopes) == (CheckResult.FAIL, CheckResult.UNKNOWN)


@pytest.mark.parametrize(
    ("is_custom", "checks_secrets", "entered", "expected"),
    [
        (True, True, "web_app", TryProblem.CUSTOM_CONNECTION),
        (False, True, "custom_connection", TryProblem.WEB_APP),
        (False, False, "web_app", TryProblem.MOBILE_APP),
    ],
)
def test_the_wrong_type_of_app(
    world: World, *, is_custom: bool, checks_secrets: bool, entered: str, expected: TryProblem
) -> None:
    known_to_xero(world)
    world.xero.checks_secrets = checks_secrets
    if is_custom:
        world.xero.custom_connections.add(CLIENT_ID)
    view = customer(world).sends(integration_type=entered)
    assert problem(view) is expected
    assert view.last_try is not None
    assert view.last_try.integration_type == entered


def test_a_link_that_fixes_the_type_does_not_listen_to_the_form(world: World) -> None:
    known_to_xero(world)
    world.xero.custom_connections.add(CLIENT_ID)
    visitor = customer(world, integration_type=IntegrationType.CUSTOM_CONNECTION)
    assert visitor.opens().integration_type is IntegrationType.CUSTOM_CONNECTION
    assert visitor.sends(integration_type="web_app").stage is Stage.CONNECTING


@pytest.mark.parametrize(
    ("client_id", "client_secret", "integration_type", "expected"),
    [
        ("", CLIENT_SECRET, "web_app", TryProblem.MISSING_CLIENT_ID),
        ("   ", "", "web_app", TryProblem.MISSING_CLIENT_ID),
        ("a b", CLIENT_SECRET, "web_app", TryProblem.MALFORMED_CLIENT_ID),
        ("<script>alert(1)</script>", CLIENT_SECRET, "web_app", TryProblem.MALFORMED_CLIENT_ID),
        ("\x00", CLIENT_SECRET, "web_app", TryProblem.MALFORMED_CLIENT_ID),
        ("x" * 10_000, CLIENT_SECRET, "web_app", TryProblem.MALFORMED_CLIENT_ID),
        (CLIENT_ID, "", "web_app", TryProblem.MISSING_CLIENT_SECRET),
        (CLIENT_ID, "a b", "web_app", TryProblem.MALFORMED_CLIENT_SECRET),
        (CLIENT_ID, "x" * 101, "web_app", TryProblem.MALFORMED_CLIENT_SECRET),
        (CLIENT_ID, CLIENT_SECRET, "mobile_app", TryProblem.MISSING_INTEGRATION_TYPE),
    ],
)
def test_what_cannot_be_a_pair_is_not_sent_to_xero(
    world: World, client_id: str, client_secret: str, integration_type: str, expected: TryProblem
) -> None:
    visitor = customer(world)
    view = visitor.sends(client_id, client_secret, integration_type)
    assert problem(view) is expected
    assert view.last_try is not None
    assert len(view.last_try.client_id) <= 200
    assert world.xero.calls == []
    assert (visitor.link.refusals, visitor.link.tries) == (0, 0)


def test_a_form_of_another_browser_is_not_sent_to_xero(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    shown = replace(visitor, has_current_form=False).sends()
    assert (shown.stage, problem(shown)) == (Stage.PAIR, TryProblem.FORM_EXPIRED)
    assert world.xero.calls == []
    assert visitor.sends().stage is Stage.CONSENT


def test_a_form_without_a_type_is_of_a_web_app(world: World) -> None:
    known_to_xero(world)
    assert customer(world).sends(integration_type="").stage is Stage.CONSENT


def test_another_browser_is_not_told_what_this_one_tried(world: World) -> None:
    visitor = customer(world)
    visitor.sends()
    other = replace(visitor, browser="browser-2").opens()
    assert (other.stage, other.last_try) == (Stage.PAIR, None)
    assert visitor.opens().last_try is not None


def test_a_pair_that_is_known_is_not_taken_again(world: World) -> None:
    world.connect()
    visitor = customer(world)
    assert problem(visitor.sends()) is TryProblem.CREDENTIAL_EXISTS
    assert visitor.link.client_id is None
    assert world.credential().setup_link_id is None


def test_three_refusals_in_a_row_are_told_once(world: World) -> None:
    visitor = customer(world)
    for _ in range(FAILING_AFTER + 1):
        visitor.sends()
        world.advance(60)
    (event,) = events(world, "SetupLinkFailing")
    assert (event["setup_link_id"], event["refusals"], event["client_id"]) == (
        visitor.link.setup_link_id,
        FAILING_AFTER,
        None,
    )
    assert event["last_problem"] == "secret_wrong"
    assert visitor.link.state(world.now) is LinkState.FAILING


def test_that_a_link_fails_is_told_later_where_the_bus_is_away(world: World) -> None:
    visitor = customer(world)
    world.event_bus.down = True
    for _ in range(FAILING_AFTER):
        visitor.sends()
    assert events(world, "SetupLinkFailing") == []
    world.event_bus.down = False
    world.advance(60)
    world.sweep()
    assert len(events(world, "SetupLinkFailing")) == 1


def test_a_link_that_failed_and_then_works_is_used(world: World) -> None:
    visitor = customer(world)
    for _ in range(FAILING_AFTER):
        visitor.sends()
    known_to_xero(world)
    assert visitor.sends().stage is Stage.CONSENT
    assert (visitor.link.state(world.now), visitor.link.refusals) == (LinkState.USED, FAILING_AFTER)


# Limits


def test_a_link_cannot_be_used_to_guess(world: World) -> None:
    visitor = customer(world)
    for _ in range(MOST_TRIES):
        visitor.sends()
    asked = len(world.xero.calls)
    view = visitor.sends()
    assert problem(view) is TryProblem.TOO_MANY_TRIES
    assert view.last_try is not None
    assert view.last_try.again_at == NOON + TRIES_WINDOW
    assert len(world.xero.calls) == asked
    world.advance(TRIES_WINDOW.total_seconds())
    known_to_xero(world)
    assert visitor.sends().stage is Stage.CONSENT


def test_a_link_that_takes_nothing_more_names_no_time_to_come_back(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    world.setup_links.links[visitor.link.setup_link_id] = replace(visitor.link, refusals=MOST_REFUSALS)
    view = visitor.sends()
    assert problem(view) is TryProblem.TOO_MANY_REFUSALS
    assert view.last_try is not None
    assert view.last_try.again_at is None
    assert world.xero.calls == []


def test_an_address_cannot_go_from_link_to_link(world: World) -> None:
    for _ in range(MOST_TRIES_OF_AN_ADDRESS // MOST_TRIES):
        visitor = customer(world)
        for _ in range(MOST_TRIES):
            visitor.sends()
    asked = len(world.xero.calls)
    world.advance(50 * 60)
    view = customer(world).sends()
    assert problem(view) is TryProblem.TOO_MANY_TRIES
    assert view.last_try is not None
    assert view.last_try.again_at == NOON + timedelta(hours=1)
    assert len(world.xero.calls) == asked
    elsewhere = replace(customer(world), address="address-2")
    assert problem(elsewhere.sends()) is TryProblem.SECRET_WRONG


# Two at once, and processes that die


def test_one_pair_at_a_time(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    second = replace(visitor, browser="browser-2")
    shown: list[SetupView] = []
    step_in(world.xero, "exchange_code", before=lambda: shown.append(second.sends("B" * 32)))
    assert visitor.sends().stage is Stage.CONSENT
    assert problem(shown[0]) is TryProblem.IN_PROGRESS
    assert set(world.registry.rows) == {CLIENT_ID}
    assert visitor.link.client_id == CLIENT_ID
    after = second.opens()
    assert (after.stage, after.client_id) == (Stage.CONSENT, CLIENT_ID)


def test_a_window_that_is_gone_is_not_said_to_be_at_work(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    step_in(world.xero, "exchange_code", before=die)
    with pytest.raises(ProcessDied):
        visitor.sends()
    assert problem(visitor.sends()) is TryProblem.IN_PROGRESS
    world.advance(CLAIM_LIFETIME.total_seconds())
    assert visitor.opens().last_try is None
    assert visitor.sends().stage is Stage.CONSENT


def test_an_app_that_is_in_other_hands_is_not_called_another_window(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    world.registry.reserve(CLIENT_ID, owner="an admin", now=world.now, until=world.now + timedelta(minutes=1))
    assert problem(visitor.sends()) is TryProblem.APP_BUSY
    world.advance(61)
    assert problem(visitor.opens()) is TryProblem.APP_BUSY
    assert visitor.sends().stage is Stage.CONSENT


def test_a_second_pair_after_the_first_was_accepted_changes_nothing(world: World) -> None:
    known_to_xero(world)
    world.xero.secrets["B" * 32] = CLIENT_SECRET
    visitor = customer(world)
    visitor.sends()
    # From a tab that was open before.
    assert visitor.sends("B" * 32).client_id == CLIENT_ID
    assert set(world.registry.rows) == {CLIENT_ID}


@pytest.mark.parametrize(
    ("fake", "method", "when"),
    [
        ("setup_links", "save", "before"),
        ("setup_links", "save", "after"),
        ("registry", "reserve", "after"),
        ("xero", "exchange_code", "before"),
        ("xero", "probe", "after"),
        ("vault", "put_client_pair", "before"),
        ("vault", "put_client_pair", "after"),
        ("registry", "create", "before"),
        ("registry", "create", "after"),
        ("registry", "unreserve", "before"),
        ("registry", "unreserve", "after"),
    ],
)
def test_a_process_that_dies_leaves_a_link_that_goes_on(world: World, fake: str, method: str, when: str) -> None:
    known_to_xero(world)
    visitor = customer(world)
    visitor.opens()
    if when == "before":
        step_in(getattr(world, fake), method, before=die)
    else:
        step_in(getattr(world, fake), method, after=die)
    with pytest.raises(ProcessDied):
        visitor.sends()
    _check_it_goes_on(world, visitor)


def test_a_process_whose_clock_is_behind_leads_on_all_the_same(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    # The last write of the link is lost, so the next process finds out that the link was used.
    step_in(world.setup_links, "save", before=die, skip=1)
    with pytest.raises(ProcessDied):
        visitor.sends()
    world.advance(-1)
    assert visitor.opens().stage is Stage.CONSENT
    world.advance(60)
    visitor.consents(visitor.opens())
    assert visitor.opens().stage is Stage.CONNECTED


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_at_its_last_write_leaves_a_link_that_was_used(world: World, when: str) -> None:
    known_to_xero(world)
    visitor = customer(world)
    visitor.opens()
    if when == "before":
        step_in(world.setup_links, "save", before=die, skip=1)
    else:
        step_in(world.setup_links, "save", after=die, skip=1)
    with pytest.raises(ProcessDied):
        visitor.sends()
    # An admin sees it too, before the customer comes back.
    one = world.app.list_setup_links.one(visitor.link.setup_link_id)
    assert (one.state(world.now), one.client_id) == (LinkState.USED, CLIENT_ID)
    _check_it_goes_on(world, visitor)


def _check_it_goes_on(world: World, visitor: Customer) -> None:
    world.advance(0)
    visitor.opens()
    world.advance(CLAIM_LIFETIME.total_seconds() + 1)
    view = visitor.opens()
    if view.stage is Stage.PAIR:
        view = visitor.sends()
    assert view.stage is Stage.CONSENT
    assert visitor.link.state(world.now) is LinkState.USED
    world.advance(60)
    world.sweep()
    assert len({event["event_id"] for event in events(world, "SetupLinkUsed")}) == 1


@pytest.mark.parametrize("answers", [1, 2, 3])
def test_a_store_that_is_away_loses_nothing(world: World, answers: int) -> None:
    known_to_xero(world)
    visitor = customer(world)
    visitor.opens()
    create = world.registry.create
    left = iter(range(answers * 20))

    def away(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the fake's
        if next(left, None) is not None:
            raise StoreUnavailable("TransactWriteItems", "InternalServerError")
        return create(*args, **kwargs)

    world.registry.create = away  # type: ignore[method-assign]
    view = visitor.sends()
    assert problem(view) is TryProblem.UNAVAILABLE
    assert visitor.link.refusals == 0
    world.registry.create = create  # type: ignore[method-assign]
    world.advance(61)
    assert visitor.sends().stage is Stage.CONSENT


@pytest.mark.parametrize("comes_back", ["to look", "to send again"])
def test_where_every_answer_was_lost_the_pair_that_was_kept_is_found(world: World, comes_back: str) -> None:
    known_to_xero(world)
    visitor = customer(world)
    create, get = world.registry.create, world.registry.get

    def lost(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the fake's
        with suppress(RevisionConflict):
            create(*args, **kwargs)
        raise StoreUnavailable("TransactWriteItems", "ReadTimeoutError")

    world.registry.create = lost  # type: ignore[method-assign]
    form = SetupForm(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, integration_type="web_app")
    world.app.hand_over_pair(
        visitor.ticket, form, Sender(browser_hash="browser-1", address_hash="a", has_current_form=True)
    )
    world.registry.create = create  # type: ignore[method-assign]
    assert get(CLIENT_ID) is not None
    assert visitor.link.used_at is None
    view = visitor.opens() if comes_back == "to look" else visitor.sends()
    assert view.stage is Stage.CONSENT
    assert (visitor.link.state(world.now), visitor.link.refusals) == (LinkState.USED, 0)


# Withdrawn and expired


def test_a_link_that_is_withdrawn_no_longer_works(world: World) -> None:
    visitor = customer(world)
    withdrawn = world.app.withdraw_setup_link(visitor.link.setup_link_id)
    assert withdrawn.state(NOON) is LinkState.WITHDRAWN
    assert world.app.withdraw_setup_link(visitor.link.setup_link_id) == withdrawn
    for act in (visitor.opens, visitor.sends):
        with pytest.raises(SetupRefused) as refused:
            act()
        assert refused.value.code == "setup_link_withdrawn"
    assert world.xero.calls == []


def test_a_link_is_not_withdrawn_from_under_a_pair(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    refusals: list[str] = []

    def withdraw() -> None:
        with pytest.raises(Conflict) as refused:
            world.app.withdraw_setup_link(visitor.link.setup_link_id)
        refusals.append(refused.value.code)

    step_in(world.xero, "probe", after=withdraw)
    assert visitor.sends().stage is Stage.CONSENT
    assert refusals == ["busy"]


def test_a_used_link_that_is_withdrawn_shows_nothing_more(world: World) -> None:
    known_to_xero(world)
    visitor = customer(world)
    visitor.sends()
    world.app.withdraw_setup_link(visitor.link.setup_link_id)
    with pytest.raises(SetupRefused):
        visitor.opens()
    assert visitor.link.state(world.now) is LinkState.USED


def test_the_way_to_consent_ends_with_the_link_that_is_withdrawn(world: World) -> None:
    world.connect()
    lose_grant(world)
    visitor = healing(world)
    view = visitor.opens()
    assert view.connect_ticket is not None
    world.app.start_consent(view.connect_ticket, binding=None)
    world.app.withdraw_setup_link(visitor.link.setup_link_id)
    with pytest.raises(ConsentRefused) as refused:
        world.app.start_consent(view.connect_ticket, binding=None)
    assert refused.value.code == "ticket_withdrawn"


def test_an_expired_link_takes_nothing(world: World) -> None:
    visitor = customer(world)
    world.advance(A_WEEK.total_seconds())
    for act in (visitor.opens, visitor.sends):
        with pytest.raises(SetupRefused) as refused:
            act()
        assert refused.value.code == "setup_link_expired"
    assert visitor.link.state(world.now) is LinkState.EXPIRED


def test_a_link_that_is_not_there(world: World) -> None:
    for unknown in ("a" * 32, "", "x/y", "a" * 5000):
        with pytest.raises(NotFound):
            world.app.list_setup_links.one(unknown)
        with pytest.raises(NotFound):
            world.app.withdraw_setup_link(unknown)


# The list


def test_links_are_listed_by_state_the_newest_first(world: World) -> None:
    visitors = []
    for number in range(6):
        visitors.append(customer(world, label=f"link {number}"))
        world.advance(1)
    visitors[1].opens()
    world.app.withdraw_setup_link(visitors[2].link.setup_link_id)

    def labels(state: LinkState | None) -> list[str | None]:
        return [link.label for link in world.app.list_setup_links(state=state, limit=10, next_token=None).items]

    assert labels(None) == [f"link {number}" for number in (5, 4, 3, 2, 1, 0)]
    assert labels(LinkState.OPEN) == ["link 5", "link 4", "link 3", "link 0"]
    assert (labels(LinkState.OPENED), labels(LinkState.WITHDRAWN)) == (["link 1"], ["link 2"])
    assert labels(LinkState.USED) == []


def test_a_list_by_state_reads_over_a_bounded_number_of_others(world: World) -> None:
    old = customer(world, label="the one")
    world.advance(1)
    for _ in range(30):
        world.app.withdraw_setup_link(customer(world).link.setup_link_id)
        world.advance(1)
    found: list[str | None] = []
    next_token, pages = None, 0
    while True:
        page = world.app.list_setup_links(state=LinkState.OPEN, limit=2, next_token=next_token)
        found += [link.label for link in page.items]
        pages, next_token = pages + 1, page.next_token
        if next_token is None:
            break
    assert found == ["the one"]
    assert pages > 1
    assert old.link.label == "the one"


def test_a_token_of_another_list_is_refused(world: World) -> None:
    with pytest.raises(MalformedRequest):
        world.app.list_setup_links(state=None, limit=2, next_token="x")


# Links that heal


@pytest.mark.parametrize("status", [Status.VALIDATED, Status.CONNECTED])
def test_what_is_well_has_nothing_to_heal(world: World, status: Status) -> None:
    world.registry.rows[CLIENT_ID] = a_credential(status=status, revision=1)
    with pytest.raises(Conflict) as refused:
        healing(world)
    assert refused.value.code == "nothing_to_heal"
    assert world.setup_links.links == {}


def test_a_refused_secret_is_replaced_and_no_consent_is_needed(world: World) -> None:
    world.connect()
    make_rejected(world)
    visitor = healing(world)
    view = visitor.opens()
    assert (view.stage, view.purpose, view.client_id) == (Stage.SECRET, Purpose.REPLACE_SECRET, CLIENT_ID)
    assert problem(visitor.sends(client_id="ignored", client_secret="wrong")) is TryProblem.SECRET_WRONG
    known_to_xero(world, NEW_SECRET)
    assert visitor.sends(client_id="", client_secret=NEW_SECRET).stage is Stage.RESUMING
    assert visitor.link.state(world.now) is LinkState.USED
    # Nothing asks for a secret again while the schedule has not used this one.
    assert visitor.sends(client_id="", client_secret=NEW_SECRET).stage is Stage.RESUMING
    assert world.credential().client_secret_number == 2
    world.sweep()
    assert visitor.opens().stage is Stage.CONNECTED
    assert len(events(world, "SetupLinkUsed")) == 1


def test_a_new_secret_that_xero_refuses_after_all_is_asked_for_again(world: World) -> None:
    world.connect()
    make_rejected(world)
    visitor = healing(world)
    known_to_xero(world, NEW_SECRET)
    assert visitor.sends(client_secret=NEW_SECRET).stage is Stage.RESUMING
    known_to_xero(world, "yet-another")
    world.advance(1)
    world.sweep()
    assert visitor.opens().stage is Stage.SECRET
    assert visitor.sends(client_secret="yet-another").stage is Stage.RESUMING


def test_a_new_secret_without_an_answer_is_not_kept_and_the_page_says_so(world: World) -> None:
    world.connect()
    make_rejected(world)
    visitor = healing(world)
    world.xero.failures.append(FailureKind.UNANSWERED)
    assert problem(visitor.sends(client_secret=NEW_SECRET)) is TryProblem.XERO_UNAVAILABLE
    assert world.credential().client_secret_number == 1


def test_a_dead_grant_is_led_to_consent(world: World) -> None:
    world.connect()
    lose_grant(world)
    visitor = healing(world)
    view = visitor.opens()
    assert (view.stage, view.purpose) == (Stage.REAUTHORIZE, Purpose.REAUTHORIZE)
    visitor.consents(view)
    assert visitor.opens().stage is Stage.CONNECTED
    assert world.app.list_setup_links.one(visitor.link.setup_link_id).state(world.now) is LinkState.USED


def test_a_link_for_consent_takes_no_secret(world: World) -> None:
    world.connect()
    lose_grant(world)
    visitor = healing(world)
    known_to_xero(world, NEW_SECRET)
    assert visitor.sends(client_secret=NEW_SECRET).stage is Stage.REAUTHORIZE
    assert world.credential().client_secret_number == 1


@pytest.mark.parametrize("event_type", ["ClientRejected", "ReauthorizationRequired"])
def test_the_events_carry_a_link_that_heals(world: World, event_type: str) -> None:
    world.connect()
    (make_rejected if event_type == "ClientRejected" else lose_grant)(world)
    (event,) = events(world, event_type)
    assert event["schema_version"] == "1.1"
    visitor = Customer(world, event["setup_url"])
    assert visitor.opens().stage is (Stage.SECRET if event_type == "ClientRejected" else Stage.REAUTHORIZE)
    assert (visitor.link.created_by, visitor.link.label) == ("connector", "Electro Land")


@pytest.mark.parametrize("trouble", ["down", "answers_lost"])
def test_an_event_that_the_bus_does_not_take_makes_its_links_once(world: World, trouble: str) -> None:
    world.connect()
    setattr(world.event_bus, trouble, True)
    lose_grant(world)
    for _ in range(5):
        world.advance(60)
        world.sweep()
    setattr(world.event_bus, trouble, False)
    world.advance(60)
    world.sweep()
    (link,) = world.setup_links.links
    assert {
        setup_link_id(event["setup_url"].rsplit("/", 1)[1]) for event in events(world, "ReauthorizationRequired")
    } == {link}
    assert len({event["connect_url"] for event in events(world, "ReauthorizationRequired")}) == 1


def test_a_custom_connection_that_lost_its_grant_has_no_link_to_consent(world: World) -> None:
    world.registry.rows[CLIENT_ID] = a_credential(
        status=Status.REAUTHORIZATION_REQUIRED, integration_type=IntegrationType.CUSTOM_CONNECTION, revision=1
    )
    with pytest.raises(Conflict):
        healing(world)


def test_a_link_for_a_credential_that_was_submitted_anew_is_over(world: World) -> None:
    world.connect()
    make_rejected(world)
    visitor = healing(world)
    world.app.disconnect_credential(CLIENT_ID, by=ADMIN)
    while world.credential().status is not Status.DISCONNECTED:
        world.advance(60)
        world.sweep()
    assert visitor.opens().stage is Stage.ENDED
    world.advance(60)
    world.submit(secret=NEW_SECRET)
    assert visitor.opens().stage is Stage.ENDED
    visitor.sends(client_secret=CLIENT_SECRET)
    assert world.credential().client_secret_number == 1


def test_making_a_link_that_heals_is_in_the_trail(world: World) -> None:
    world.connect()
    make_rejected(world)
    healing(world)
    newest = world.app.read_history(CLIENT_ID, limit=1, next_token=None).items[0]
    assert (newest.action, newest.by) == (Action.SETUP_LINK_CREATED, ADMIN)


def test_a_try_shows_no_secret() -> None:
    form = SetupForm(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, integration_type="web_app")
    assert CLIENT_SECRET not in repr(form)
    assert not hasattr(Try(problem=TryProblem.SECRET_WRONG, client_id=CLIENT_ID), "client_secret")


def test_a_page_is_shown_where_its_opening_cannot_be_written_down(world: World) -> None:
    visitor = customer(world)

    def away(*_: object) -> None:
        raise StoreUnavailable("PutItem", "InternalServerError")

    world.setup_links.save = away  # type: ignore[assignment,method-assign]
    assert visitor.opens().stage is Stage.PAIR
    assert visitor.link.last_opened_at is None
    assert [name for name, _ in world.observer.events] == ["setup_link_opening_not_noted"]
