"""What the setup page says at each stage, and what it never does."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from http import HTTPStatus

import pytest
from aws_lambda_powertools.event_handler import Response

from tests.fakes.page_reader import PageReader
from tests.fakes.setup_views import ID, NOON, REDIRECT_URI, SCOPES, TICKET, a_try, a_view, checks, tenants
from xero_connector.domain import setup_refusals
from xero_connector.domain.checks import CheckResult
from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.setup_view import SetupView, Stage, TryProblem
from xero_connector.web.setup_pages import SetupPages

CONSOLE = "https://console.oneenterprise.com/"
WEB_APP, CUSTOM_CONNECTION = IntegrationType.WEB_APP, IntegrationType.CUSTOM_CONNECTION
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202eevil\u2066",
    "x" * 10_000,
    "null\x00byte",
    "lone \ud800 surrogate",
    "{client_id} **bold** `code`",
    "{{ 7 * 7 }}{% raw %}",
    "",
]
REFUSALS = [row for row in vars(setup_refusals).values() if isinstance(row, setup_refusals.Refusal)]


def answer(view: SetupView, chosen: IntegrationType | None = None) -> Response[str]:
    return SetupPages(CONSOLE, "en").page(view, token="form-token", reference="request-1", chosen=chosen)


def read(response: Response[str]) -> PageReader:
    body = str(response.body)
    body.encode()
    return PageReader(body)


def page(view: SetupView, chosen: IntegrationType | None = None) -> PageReader:
    response = answer(view, chosen)
    assert response.status_code == HTTPStatus.OK
    return read(response)


def every_view() -> Iterator[SetupView]:
    for stage in Stage:
        yield a_view(stage)
    for problem in TryProblem:
        yield a_view(last_try=a_try(problem))
        yield a_view(integration_type=WEB_APP, last_try=a_try(problem))
        yield a_view(Stage.SECRET, last_try=a_try(problem))


each_view = pytest.mark.parametrize(
    "view", list(every_view()), ids=lambda view: f"{view.stage}-{getattr(view.last_try, 'problem', '')}"
)


def hrefs(read: PageReader) -> list[str]:
    return [one["href"] for one in read.all("a")]


# Every page


@each_view
def test_every_page_is_well_formed(view: SetupView) -> None:
    shown = page(view)
    assert len(shown.all("h1")) == len(shown.all("main")) == len(shown.all("title")) == 1
    assert shown.one("h1").text in shown.one("title").text
    ids = [one["id"] for one in shown.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    for one in shown.elements:
        named = one.attributes.get("aria-describedby", "") + " " + one.attributes.get("aria-labelledby", "")
        assert set(named.split()) <= set(ids)
        assert "style" not in one.attributes
        assert not [name for name in one.attributes if name.startswith("on")]
        assert one.attributes.get("action") is None
    for target in hrefs(shown):
        assert target.startswith(
            ("#", "?integration_type=", "https://developer.xero.com", CONSOLE, "../connect/")
        ) or (target == "")
        assert not target.startswith("#") or target[1:] in ids
    labelled = {one["for"] for one in shown.all("label")}
    for field in [*shown.all("input"), *shown.all("textarea")]:
        kind = field.attributes.get("type")
        assert kind == "hidden" or "aria-label" in field.attributes or field["id"] in labelled


@each_view
def test_a_page_allows_what_it_holds_and_nothing_else(view: SetupView) -> None:
    response = answer(view)
    policy = response.headers["Content-Security-Policy"]
    assert isinstance(policy, str)
    shown = read(response)
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        inline = shown.one(kind).text
        assert f"{kind}-src 'sha256-{b64encode(sha256(inline.encode()).digest()).decode()}';" in policy
    assert ("form-action 'self'" in policy) == bool(shown.all("form"))
    assert ("connect-src 'self'" in policy) == (view.stage in {Stage.WAITING, Stage.CONNECTING, Stage.RESUMING})
    assert "base-uri 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    for name, value in {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Content-Language": "en",
        "Vary": "Accept-Language",
    }.items():
        assert response.headers[name] == value
    assert "max-age" in str(response.headers["Strict-Transport-Security"])


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda text: repr(text)[:20])
@pytest.mark.parametrize("stage", Stage)
def test_what_people_or_xero_chose_marks_up_nothing(stage: Stage, hostile: str) -> None:
    tried = a_try(TryProblem.SECRET_WRONG, client_id=hostile)
    rest = {"label": hostile, "client_id": hostile, "tenants": tenants(hostile, "Electro Land"), "last_try": tried}
    shown, usual = page(a_view(stage, **rest)), page(a_view(stage, **{**rest, "label": "x", "client_id": "x"}))
    for tag in ("script", "img", "strong", "code"):
        assert len(shown.all(tag)) <= len(usual.all(tag))
    assert "49" not in shown.text
    assert "x" * 1_000 not in shown.html
    assert "\x00" not in shown.html
    for one in shown.all("li"):
        assert "\u202e" not in one.text or shown.all("bdi")


@pytest.mark.parametrize("problem", TryProblem)
def test_the_secret_field_is_never_filled(problem: TryProblem) -> None:
    field = page(a_view(last_try=a_try(problem))).by_id("client_secret")
    assert "value" not in field.attributes
    assert (field["type"], field["autocomplete"]) == ("password", "off")


# The guide and the form


def test_the_form_has_the_fields_that_are_read_and_posts_to_its_own_address() -> None:
    shown = page(a_view())
    form = shown.one("form")
    assert form["method"] == "post"
    assert "action" not in form.attributes
    names = {one["name"] for one in shown.all("input") if "name" in one.attributes}
    assert names == {"client_id", "client_secret", "integration_type", "token"}
    assert shown.one("input", name="token")["value"] == "form-token"


def test_the_redirect_uri_is_shown_letter_by_letter() -> None:
    assert REDIRECT_URI in [one.text for one in page(a_view()).all("textarea")]


def test_a_web_app_is_the_usual_choice() -> None:
    shown = page(a_view())
    assert shown.one("a", **{"aria-current": "true"})["href"] == "?integration_type=web_app"
    assert "checked" in shown.by_id("type-web_app").attributes
    assert "checked" not in shown.by_id("type-custom_connection").attributes


def test_the_address_chooses_the_guide_of_a_custom_connection() -> None:
    shown = page(a_view(), CUSTOM_CONNECTION)
    assert "checked" in shown.by_id("type-custom_connection").attributes
    ticked = next(one.text for one in shown.all("textarea") if "accounting" in one.text).splitlines()
    assert ticked == [scope for scope in SCOPES if scope.startswith("accounting.")]
    assert REDIRECT_URI not in shown.text
    assert "Save and connect" in shown.text


@pytest.mark.parametrize("chosen", [None, WEB_APP, CUSTOM_CONNECTION])
def test_a_link_for_one_type_offers_no_choice(chosen: IntegrationType | None) -> None:
    shown = page(a_view(integration_type=WEB_APP), chosen)
    assert shown.one("input", name="integration_type").attributes["type"] == "hidden"
    assert shown.one("input", name="integration_type")["value"] == "web_app"
    assert "?integration_type=custom_connection" not in hrefs(shown)
    assert "Redirect URI" in shown.text


def test_who_has_an_app_already_jumps_to_its_client_id() -> None:
    shown = page(a_view())
    (jump,) = [one for one in shown.all("a") if one.text == "I have an app already"]
    step = jump["href"].removeprefix("#step-")
    assert f"Step {step}: Copy the client ID" in " ".join(shown.one("nav").text.split())


def test_every_step_can_be_ticked_off_and_has_a_drawing() -> None:
    shown = page(a_view())
    steps = shown.all("li", **{"class": "step"})
    assert len(steps) == len(shown.all("input", type="checkbox")) == len(shown.all("svg", **{"class": "drawing"}))
    assert len(shown.one("nav").text.split("Step ")) - 1 == len(steps)


def test_a_step_says_no_control_of_xero_s_that_its_drawing_lacks() -> None:
    for drawing in page(a_view()).all("svg", **{"class": "drawing"}):
        assert drawing["aria-hidden"] == "true"
        assert len(drawing.text.split()) > 1


# After a try


@pytest.mark.parametrize(
    ("problem", "fields"),
    [
        (TryProblem.MISSING_CLIENT_ID, ["client_id"]),
        (TryProblem.MALFORMED_CLIENT_ID, ["client_id"]),
        (TryProblem.CLIENT_ID_UNKNOWN, ["client_id"]),
        (TryProblem.CREDENTIAL_EXISTS, ["client_id"]),
        (TryProblem.MOBILE_APP, ["client_id"]),
        (TryProblem.MISSING_CLIENT_SECRET, ["client_secret"]),
        (TryProblem.MALFORMED_CLIENT_SECRET, ["client_secret"]),
        (TryProblem.SECRET_WRONG, ["client_secret"]),
        (TryProblem.PAIR_REFUSED, ["client_id", "client_secret"]),
        (TryProblem.MISSING_INTEGRATION_TYPE, ["integration_type"]),
        (TryProblem.CUSTOM_CONNECTION, ["integration_type"]),
        (TryProblem.WEB_APP, ["integration_type"]),
        (TryProblem.IN_PROGRESS, []),
        (TryProblem.APP_BUSY, []),
        (TryProblem.FORM_EXPIRED, []),
        (TryProblem.TOO_MANY_TRIES, []),
        (TryProblem.TOO_MANY_REFUSALS, []),
        (TryProblem.XERO_UNAVAILABLE, []),
        (TryProblem.UNAVAILABLE, []),
    ],
)
def test_a_problem_stands_beside_its_field_and_on_top(problem: TryProblem, fields: list[str]) -> None:
    shown = page(a_view(last_try=a_try(problem)))
    wrong = sorted(one["id"] for one in shown.elements if one.attributes.get("aria-invalid") == "true")
    assert wrong == sorted(fields)
    for field in fields:
        assert f"{field}-problem" in shown.by_id(field)["aria-describedby"].split()
        assert shown.by_id(f"{field}-problem").text
    summary = shown.one("section", role="alert")
    assert (summary["tabindex"], "autofocus" in summary.attributes) == ("-1", True)
    assert "This did not work yet" in summary.text
    assert len(summary.text.split()) > 8
    assert shown.one("title").text.startswith("Error: ")
    assert bool(fields) == any(href.removeprefix("#") in fields for href in hrefs(shown))


def test_what_was_typed_stays_except_for_the_secret() -> None:
    tried = a_try(TryProblem.SECRET_WRONG, client_id="typed <wrong>", integration_type=CUSTOM_CONNECTION)
    shown = page(a_view(last_try=tried))
    assert shown.by_id("client_id")["value"] == "typed <wrong>"
    assert "checked" in shown.by_id("type-custom_connection").attributes


@pytest.mark.parametrize(
    ("problem", "entered", "preset"),
    [
        (TryProblem.CUSTOM_CONNECTION, WEB_APP, CUSTOM_CONNECTION),
        (TryProblem.WEB_APP, CUSTOM_CONNECTION, WEB_APP),
        (TryProblem.MOBILE_APP, CUSTOM_CONNECTION, WEB_APP),
    ],
)
def test_the_right_type_is_chosen_for_the_next_try(
    problem: TryProblem, entered: IntegrationType, preset: IntegrationType
) -> None:
    shown = page(a_view(last_try=a_try(problem, integration_type=entered)))
    assert [
        one["value"] for one in shown.all("input", name="integration_type") if "checked" in one.attributes
    ] == [preset]


def test_a_link_for_one_type_says_what_to_do_about_the_other() -> None:
    shown = page(a_view(integration_type=WEB_APP, last_try=a_try(TryProblem.CUSTOM_CONNECTION)))
    assert "ask your administrator for a link" in shown.one("section", role="alert").text
    assert "corrected for you" not in shown.text


def test_after_too_many_tries_the_page_says_when_to_come_back() -> None:
    summary = page(a_view(last_try=a_try(TryProblem.TOO_MANY_TRIES)))
    moments = [one for one in summary.all("time") if one["datetime"] == "2026-12-07T12:00:00Z"]
    assert NOON.hour == 12
    assert "2026-12-07, 12:00 UTC" in {one.text for one in moments}


@pytest.mark.parametrize("problem", TryProblem)
def test_the_secret_is_asked_for_again_where_that_can_help_at_once(problem: TryProblem) -> None:
    summary = page(a_view(last_try=a_try(problem))).one("section", role="alert").text
    no_use = {"mobile_app", "credential_exists", "in_progress", "too_many_tries", "too_many_refusals"}
    assert ("Enter the secret again" in summary) == (problem not in no_use)


def test_a_wrong_redirect_uri_is_shown_again_with_what_to_press() -> None:
    tried = a_try(TryProblem.SECRET_WRONG, redirect_uri=CheckResult.FAIL)
    shown = page(a_view(last_try=tried))
    assert "The redirect URI is not right yet" in shown.text
    assert [one.text for one in shown.all("textarea")].count(REDIRECT_URI) == 2


@pytest.mark.parametrize("result", [None, CheckResult.PASS, CheckResult.UNKNOWN])
def test_what_was_not_found_wrong_is_not_complained_about(result: CheckResult | None) -> None:
    shown = page(a_view(last_try=a_try(TryProblem.SECRET_WRONG, redirect_uri=result, scopes=result)))
    assert "not right yet" not in shown.text
    assert "does not allow all permissions" not in shown.text


def test_retired_scopes_are_named_with_what_they_became() -> None:
    tried = a_try(TryProblem.SECRET_WRONG, scopes=CheckResult.FAIL)
    shown = page(a_view(scopes=(*SCOPES, "accounting.transactions"), last_try=tried))
    assert "accounting.transactions became accounting.invoices, accounting.payments" in shown.text
    assert "Tell your administrator" in shown.text


def test_a_custom_connection_s_scopes_are_ticked_by_the_customer() -> None:
    tried = a_try(TryProblem.SECRET_WRONG, scopes=CheckResult.FAIL, integration_type=CUSTOM_CONNECTION)
    shown = page(a_view(last_try=tried))
    assert "Tick all of them in the app's Configuration" in shown.text


# A new secret


def test_a_refused_secret_is_all_that_is_asked_for() -> None:
    shown = page(a_view(Stage.SECRET))
    names = {one["name"] for one in shown.all("input") if "name" in one.attributes}
    assert names == {"client_secret", "token"}
    assert ID in shown.text
    assert "Generate another secret" in shown.text


# The other stages


@pytest.mark.parametrize(
    ("stage", "seconds"), [(Stage.WAITING, "60"), (Stage.CONNECTING, "30"), (Stage.RESUMING, "30")]
)
def test_a_page_that_waits_looks_again_by_itself(stage: Stage, seconds: str) -> None:
    shown = page(a_view(stage))
    assert shown.one("meta", **{"http-equiv": "refresh"})["content"] == seconds
    assert shown.one("main")["data-polls"] == seconds
    assert "You can close it" in shown.text
    assert "" in hrefs(shown)


@pytest.mark.parametrize("stage", sorted(set(Stage) - {Stage.WAITING, Stage.CONNECTING, Stage.RESUMING}))
def test_no_other_page_does(stage: Stage) -> None:
    shown = page(a_view(stage))
    assert shown.all("meta", **{"http-equiv": "refresh"}) == []
    assert "data-polls" not in shown.one("main").attributes


@pytest.mark.parametrize("stage", [Stage.CONSENT, Stage.REAUTHORIZE])
def test_a_proven_pair_leads_on_to_consent(stage: Stage) -> None:
    shown = page(a_view(stage))
    (button,) = [one for one in shown.all("a") if one["href"] == f"../connect/{TICKET}"]
    assert button["class"] == "button main"
    assert "may connect apps" in shown.text
    assert "belong together" in shown.text
    assert "A sentence for admins" not in shown.text


@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.CONNECTING, Stage.CONSENT, Stage.REAUTHORIZE])
def test_whose_pair_was_kept_can_be_seen_by_another_person_with_the_same_link(stage: Stage) -> None:
    assert f"Client Identifier: {ID}" in page(a_view(stage)).text


@pytest.mark.parametrize("stage", [Stage.CONSENT, Stage.REAUTHORIZE])
def test_what_would_end_on_xero_s_error_page_is_corrected_first(stage: Stage) -> None:
    found = checks(redirect_uri=CheckResult.FAIL)
    shown = page(a_view(stage, checks=found))
    assert "orrect this first" in shown.one("h1").text
    (button,) = [one for one in shown.all("a") if one["href"] == f"../connect/{TICKET}"]
    assert (button["class"], button.text) == ("button", "Go on to Xero anyway")
    assert REDIRECT_URI in [one.text for one in shown.all("textarea")]
    assert shown.text.index("not right yet") < shown.text.index("What Xero said")


def test_what_is_to_be_corrected_comes_first_among_the_checks() -> None:
    found = page(a_view(Stage.CONSENT, checks=checks(scopes=CheckResult.FAIL, pair=CheckResult.UNKNOWN)))
    results = [one["class"] for one in found.all("li") if "class" in one.attributes]
    assert results == ["fail", "pass", "unknown"]


def test_a_connected_page_names_the_organisations_and_leads_to_the_console() -> None:
    shown = page(a_view(Stage.CONNECTED))
    assert re.findall(r"<li>.*?<bdi>(.*?)</bdi></li>", shown.html) == ["Electro Land", "Demo Company (UK)"]
    assert CONSOLE in hrefs(shown)


def test_organisations_that_are_not_listed_yet_are_announced() -> None:
    shown = page(a_view(Stage.CONNECTED, tenants=(), tenants_pending=True))
    assert "within half an hour" in shown.text


def test_a_connection_without_an_organisation_says_so() -> None:
    assert page(a_view(Stage.CONNECTED, tenants=())).one("h1").text == "No organisation was chosen"


def test_a_pair_that_xero_never_accepted_may_be_of_another_app() -> None:
    shown = page(a_view(Stage.SECRET, never_accepted=True))
    assert "ask your administrator for a new link" in shown.text
    assert "no longer accepts" not in shown.text
    assert "new link" not in page(a_view(Stage.SECRET)).text


def test_a_pair_that_xero_refused_for_good_is_not_called_disconnected() -> None:
    shown = page(a_view(Stage.REFUSED))
    assert shown.all("form") == []
    assert "disconnected" not in shown.text
    assert "ask your administrator for a new link" in shown.text.lower()


def test_a_connection_that_has_ended_offers_no_form() -> None:
    shown = page(a_view(Stage.ENDED))
    assert shown.all("form") == []
    assert "disconnected" in shown.text


# Refusals


@pytest.mark.parametrize("posted", [False, True])
def test_what_cannot_be_shown_for_now_looks_again_unless_it_was_posted_to(posted: bool) -> None:  # noqa: FBT001 - a case
    refusal = setup_refusals.store_unavailable()
    shown = read(SetupPages(None, "en").refused(refusal, reference="request-1", posted=posted))
    assert ("data-polls" in shown.one("main").attributes) != posted


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.key)
def test_every_refusal_says_what_happened_and_what_to_do(row: setup_refusals.Refusal) -> None:
    response = SetupPages(None, "en").refused(row(), reference="request-1")
    assert response.status_code == row.status
    shown = read(response)
    assert "What to do" in shown.text
    assert f"Reference: {row.code} / request-1" in shown.text
    assert row.detail not in shown.text or row.key.startswith("setup_link")
    assert shown.all("form") == []
    assert ("" in hrefs(shown)) == (row.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
