import pytest

from xero_connector.domain import consent_refusals
from xero_connector.domain.errors import ConsentRefused, StoreUnavailable
from xero_connector.domain.tenant import Tenant
from xero_connector.services.exchange_code import Connected
from xero_connector.web.consent_pages import ConsentPages

PAGES = ConsentPages(console_url=None, language="en")


def organisation(name: str) -> Tenant:
    return Tenant(tenant_id="t", tenant_name=name, tenant_type="ORGANISATION", connection_id="c")


def connected(*names: str, pending: bool = False, stored: bool = True, replaced: bool = False) -> str:
    organisations = tuple(organisation(name) for name in names)
    what = Connected(organisations, pending, repeated=True, stored=stored, replaced=replaced)
    answer = PAGES.connected(what, reference="1")
    assert answer.status_code == 200
    body = answer.body
    assert isinstance(body, str)
    body.encode()
    return body


def refused(refusal: ConsentRefused) -> str:
    body = PAGES.refused(refusal, reference="1").body
    assert isinstance(body, str)
    return body


def test_a_consent_that_is_kept_but_not_stored_yet_needs_nothing_more() -> None:
    body = connected("Electro Land", stored=False)
    assert "kept safe" in body
    assert "within a few minutes" in body
    assert "nothing more to do" in body
    assert "not connected" not in body
    assert "is connected" not in body
    assert "Electro Land" not in body


def test_a_consent_that_a_later_one_replaced_is_told_in_the_past() -> None:
    body = connected("Electro Land", replaced=True)
    assert "Xero was connected" in body
    assert "Electro Land" in body
    assert "A later consent" in body
    assert "is connected</h1>" not in body
    assert "can now work with" not in body
    assert "<ul>" not in connected(replaced=True)


@pytest.mark.parametrize("name", ["", "\ud800", "\u202eevil", "x" * 10_000, "<b>&", "日本"])
def test_an_organisation_of_any_name_is_listed_beside_the_others(name: str) -> None:
    body = connected(name, "Electro Land")
    assert "Electro Land" in body
    assert body.count("<li>") == body.count("</li>") == 2
    assert "<b>" not in body


@pytest.mark.parametrize(
    "refusal",
    [
        consent_refusals.busy(),
        consent_refusals.throttled(),
        consent_refusals.too_often(),
        consent_refusals.state_unknown(),
        consent_refusals.state_used(),
        consent_refusals.state_expired(),
        consent_refusals.refresh_token_missing(),
        consent_refusals.callback_malformed(),
        consent_refusals.wrong_issuer(),
        consent_refusals.wrong_browser(),
        consent_refusals.code_refused(),
        consent_refusals.exchange_unanswered(),
        consent_refusals.id_token_refused(),
        consent_refusals.redirect_uri_refused(),
        consent_refusals.consent_unknown(),
        consent_refusals.shown_elsewhere(),
        consent_refusals.consent_unfinished(),
        consent_refusals.consent_cut_off(),
        consent_refusals.consent_not_looked_up(),
        consent_refusals.ticket_unknown(),
        consent_refusals.ticket_expired(),
        consent_refusals.not_connectable(),
        consent_refusals.postponed(StoreUnavailable("GetItem", "ServiceUnavailable")),
        consent_refusals.by_xero("server_error", None),
    ],
    ids=lambda refusal: refusal.code,
)
def test_where_a_connection_may_be_there_no_page_says_that_there_is_none(refusal: ConsentRefused) -> None:
    assert "was not connected" not in refused(refusal)


def test_a_refused_consent_is_not_connected() -> None:
    assert "Xero was not connected" in refused(consent_refusals.by_xero("access_denied", None))


def test_a_consent_without_a_refresh_token_leaves_what_was_there() -> None:
    body = refused(consent_refusals.refresh_token_missing())
    assert "continues to work" in body
    assert "offline_access" in body
    assert "administrator" in body


@pytest.mark.parametrize(
    "refusal",
    [
        consent_refusals.busy,
        consent_refusals.code_refused,
        consent_refusals.exchange_unanswered,
        consent_refusals.id_token_refused,
        consent_refusals.redirect_uri_refused,
        consent_refusals.shown_elsewhere,
        consent_refusals.state_used,
        consent_refusals.store_unavailable,
    ],
    ids=lambda refusal: refusal.key,
)
def test_where_a_connection_may_exist_no_page_says_that_there_is_none(refusal: consent_refusals.Refusal) -> None:
    assert "was not connected" not in refused(refusal())
