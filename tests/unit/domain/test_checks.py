"""What the checks say about an app at Xero, and which finding may replace which."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.world import NOON
from xero_connector.domain import checks
from xero_connector.domain.checks import UNCHECKED, AuthorizeFinding, Check, CheckResult
from xero_connector.domain.scopes import GRANULAR_SCOPES

REDIRECT_URI = "https://cloudmanager.oneenterprise.com/oAuth2CallBack"
SCOPES = ("offline_access", "openid", "profile", "email", "accounting.contacts", "accounting.settings")
PASS, FAIL, UNKNOWN = CheckResult.PASS, CheckResult.FAIL, CheckResult.UNKNOWN


def redirect_uri_check(finding: AuthorizeFinding) -> Check:
    return checks.redirect_uri_check(finding, REDIRECT_URI, NOON)


def scopes_check(finding: AuthorizeFinding, *scopes: str) -> Check:
    return checks.scopes_check(finding, scopes or SCOPES, NOON)


def granted_scopes_check(requested: str, granted: str) -> Check:
    return checks.granted_scopes_check(requested.split(), granted.split(), NOON)


# What the authorize endpoint answers, and what that says

FINDINGS = [
    (AuthorizeFinding.ACCEPTED, PASS, PASS),
    (AuthorizeFinding.CLIENT_UNKNOWN, UNKNOWN, UNKNOWN),
    (AuthorizeFinding.REDIRECT_URI_REFUSED, FAIL, UNKNOWN),
    (AuthorizeFinding.REDIRECT_URI_CASE, FAIL, UNKNOWN),
    (AuthorizeFinding.SCOPE_UNKNOWN, PASS, FAIL),
    (AuthorizeFinding.SCOPE_NOT_ALLOWED, PASS, FAIL),
    (AuthorizeFinding.INCONCLUSIVE, UNKNOWN, UNKNOWN),
]


def test_the_table_has_every_finding() -> None:
    assert [finding for finding, _, _ in FINDINGS] == list(AuthorizeFinding)


@pytest.mark.parametrize(("finding", "redirect_uri", "scopes"), FINDINGS)
def test_each_finding_has_its_results(
    finding: AuthorizeFinding, redirect_uri: CheckResult, scopes: CheckResult
) -> None:
    assert redirect_uri_check(finding).result is redirect_uri
    assert scopes_check(finding).result is scopes


@pytest.mark.parametrize("finding", AuthorizeFinding)
def test_a_check_says_when_it_was_made(finding: AuthorizeFinding) -> None:
    assert redirect_uri_check(finding).checked_at == NOON
    assert scopes_check(finding).checked_at == NOON


@pytest.mark.parametrize("finding", [AuthorizeFinding.REDIRECT_URI_REFUSED, AuthorizeFinding.REDIRECT_URI_CASE])
def test_a_refused_redirect_uri_is_named_letter_by_letter(finding: AuthorizeFinding) -> None:
    detail = redirect_uri_check(finding).detail
    assert detail.endswith(f": {REDIRECT_URI}")
    assert "press Save" in detail
    assert "capital" in detail


def test_a_redirect_uri_in_other_letters_and_one_that_is_not_registered_are_distinguished() -> None:
    refused = redirect_uri_check(AuthorizeFinding.REDIRECT_URI_REFUSED).detail
    in_other_letters = redirect_uri_check(AuthorizeFinding.REDIRECT_URI_CASE).detail
    assert "not registered" in refused
    assert "differs only in capital and small letters" in in_other_letters
    assert "not registered" not in in_other_letters


def test_an_unknown_client_id_says_why_the_rest_is_unknown() -> None:
    for check in (redirect_uri_check, scopes_check):
        assert "does not know the client ID" in check(AuthorizeFinding.CLIENT_UNKNOWN).detail


def test_an_inconclusive_answer_leaves_it_to_the_first_consent() -> None:
    for check in (redirect_uri_check, scopes_check):
        detail = check(AuthorizeFinding.INCONCLUSIVE).detail
        assert "no definite answer" in detail
        assert "first consent" in detail


@pytest.mark.parametrize("finding", [AuthorizeFinding.REDIRECT_URI_REFUSED, AuthorizeFinding.REDIRECT_URI_CASE])
def test_scopes_wait_for_the_redirect_uri(finding: AuthorizeFinding) -> None:
    assert "only if the redirect URI is correct" in scopes_check(finding).detail


# Refused scopes

REFUSED = [AuthorizeFinding.SCOPE_UNKNOWN, AuthorizeFinding.SCOPE_NOT_ALLOWED]


@pytest.mark.parametrize("finding", REFUSED)
def test_refused_scopes_are_named_without_those_that_every_app_has(finding: AuthorizeFinding) -> None:
    detail = scopes_check(finding).detail
    assert "at least one of these scopes: accounting.contacts accounting.settings. " in detail
    assert "Xero's portal" in detail


@pytest.mark.parametrize("finding", REFUSED)
@pytest.mark.parametrize("retired", GRANULAR_SCOPES)
def test_a_retired_scope_is_named_with_what_replaces_it(finding: AuthorizeFinding, retired: str) -> None:
    detail = scopes_check(finding, "openid", "accounting.contacts", retired).detail
    assert f"not enabled: {retired}. " in detail
    assert f"Use {' '.join(GRANULAR_SCOPES[retired])} instead" in detail
    assert "2 March 2026" in detail
    assert "accounting.contacts" not in detail


def test_several_retired_scopes_are_named_together() -> None:
    detail = scopes_check(
        AuthorizeFinding.SCOPE_UNKNOWN, "accounting.transactions", "accounting.transactions.read"
    ).detail
    assert "not enabled: accounting.transactions accounting.transactions.read. " in detail
    assert "accounting.manualjournals accounting.invoices.read" in detail


def test_a_replacement_is_named_once() -> None:
    detail = scopes_check(
        AuthorizeFinding.SCOPE_UNKNOWN, "accounting.reports.read", "accounting.reports.read"
    ).detail
    assert detail.count("accounting.reports.aged.read") == 1


def test_no_replacement_is_retired_itself() -> None:
    assert not {scope for instead in GRANULAR_SCOPES.values() for scope in instead} & GRANULAR_SCOPES.keys()


@pytest.mark.parametrize("retired", [scope for scope in GRANULAR_SCOPES if scope.endswith(".read")])
def test_a_scope_that_only_reads_is_replaced_by_scopes_that_only_read(retired: str) -> None:
    assert all(scope.endswith(".read") for scope in GRANULAR_SCOPES[retired])


# Granted scopes


@pytest.mark.parametrize("granted", ["openid accounting.contacts", "accounting.contacts files openid"])
def test_all_that_was_asked_for_and_more_is_a_pass(granted: str) -> None:
    check = granted_scopes_check("openid accounting.contacts", granted)
    assert (check.result, check.checked_at) == (PASS, NOON)


def test_what_was_not_granted_is_named_in_alphabetical_order() -> None:
    check = granted_scopes_check("openid files accounting.contacts", "openid")
    assert (check.result, check.checked_at) == (FAIL, NOON)
    assert check.detail.startswith("Xero did not grant: accounting.contacts files. Enable them")


def test_a_retired_scope_that_was_not_granted_is_named_with_what_replaces_it() -> None:
    check = granted_scopes_check("openid accounting.reports.read", "openid")
    assert check.detail.startswith("Xero did not grant: accounting.reports.read. These scopes are not enabled")
    assert "Enable them" not in check.detail


def test_a_retired_scope_that_was_granted_needs_no_replacement() -> None:
    check = granted_scopes_check("accounting.transactions accounting.contacts", "accounting.transactions")
    assert "2 March 2026" not in check.detail
    assert "did not grant: accounting.contacts. " in check.detail


# Refusals after a pair was proven


def test_a_pair_that_xero_refuses_now_fails_with_the_way_to_a_new_secret() -> None:
    check = checks.refused_pair_check(NOON)
    assert (check.result, check.checked_at) == (FAIL, NOON)
    assert "now refuses this client ID and client secret" in check.detail
    assert "generate a secret, press Save, then paste it" in check.detail
    assert "a few minutes" in check.detail


def test_a_redirect_uri_that_only_the_token_endpoint_refuses_fails_and_is_named() -> None:
    check = checks.redirect_uri_refused_check(REDIRECT_URI, NOON)
    assert (check.result, check.checked_at) == (FAIL, NOON)
    assert "gave consent at Xero" in check.detail
    assert check.detail.endswith(f": {REDIRECT_URI}")


# What was found before, and what is found now


def a_new_check(result: CheckResult) -> Check:
    return Check(result, f"now: {result}", NOON)


def an_old_check(result: CheckResult) -> Check:
    return Check(result, f"before: {result}", None)


@pytest.mark.parametrize("name", ["redirect_uri", "scopes"])
@pytest.mark.parametrize("before", CheckResult)
@pytest.mark.parametrize("now", CheckResult)
def test_an_advisory_unknown_replaces_nothing_definite(name: str, before: CheckResult, now: CheckResult) -> None:
    merged = checks.merged({name: an_old_check(before)}, {name: a_new_check(now)})
    kept = now is UNKNOWN and before is not UNKNOWN
    assert merged == {name: an_old_check(before) if kept else a_new_check(now)}


@pytest.mark.parametrize("before", CheckResult)
@pytest.mark.parametrize("now", CheckResult)
def test_the_newest_finding_about_the_pair_always_counts(before: CheckResult, now: CheckResult) -> None:
    assert checks.merged({"pair": an_old_check(before)}, {"pair": a_new_check(now)}) == {"pair": a_new_check(now)}


def test_what_was_not_looked_at_stays() -> None:
    merged = checks.merged(UNCHECKED, {"scopes": a_new_check(FAIL)})
    assert merged == {**UNCHECKED, "scopes": a_new_check(FAIL)}


@pytest.mark.parametrize("now", CheckResult)
def test_a_check_that_was_never_made_takes_any_finding(now: CheckResult) -> None:
    assert checks.merged({}, {"scopes": a_new_check(now)}) == {"scopes": a_new_check(now)}


def test_merging_changes_neither_side() -> None:
    before, now = {"scopes": an_old_check(PASS)}, {"scopes": a_new_check(FAIL)}
    checks.merged(before, now)
    assert before == {"scopes": an_old_check(PASS)}
    assert now == {"scopes": a_new_check(FAIL)}


@pytest.mark.parametrize("name", ["pair", "redirect_uri", "scopes"])
def test_before_a_proof_each_check_is_unknown_and_has_no_time(name: str) -> None:
    check = UNCHECKED[name]
    assert (check.result, check.checked_at) == (UNKNOWN, None)
    assert check.detail.startswith("Not checked yet")


def test_the_same_again_is_news_after_a_day() -> None:
    before = Check(CheckResult.PASS, "Good.", NOON)
    for hours, news in ((0, False), (23, False), (24, True)):
        now = NOON + timedelta(hours=hours)
        assert checks.is_news(replace(before, checked_at=now), before, now) is news
    assert checks.is_news(Check(CheckResult.PASS, "Better.", NOON), before, NOON)
    assert checks.is_news(Check(CheckResult.FAIL, "Good.", NOON), before, NOON)
    assert checks.is_news(before, Check(CheckResult.PASS, "Good."), NOON)
