from datetime import timedelta

import pytest

from tests.fakes.builders import SETUP_TICKET, a_credential, a_setup_link, a_try
from tests.fakes.world import CLIENT_ID, NOON
from xero_connector.domain.consent import digest, is_token, new_token
from xero_connector.domain.setup_link import (
    FAILING_AFTER,
    MOST_REFUSALS,
    MOST_TRIES,
    REFUSALS,
    TRIES_WINDOW,
    LinkState,
    SetupLink,
    connect_ticket,
    is_setup_link_id,
    setup_link_id,
)
from xero_connector.domain.setup_view import TryProblem

A_WEEK = timedelta(days=7)
BROWSER = "b" * 64


def refused(link: SetupLink, problem: TryProblem = TryProblem.SECRET_WRONG) -> SetupLink:
    return link.claimed(CLIENT_ID, NOON).tried(BROWSER, a_try(problem).result, NOON)


def test_the_id_is_a_part_of_the_ticket_s_hash() -> None:
    assert a_setup_link().setup_link_id == setup_link_id(SETUP_TICKET) == digest(SETUP_TICKET)[:32]
    assert is_setup_link_id(setup_link_id(SETUP_TICKET))


@pytest.mark.parametrize("text", ["", "a" * 31, "a" * 33, "A" * 32, "g" * 32, "a" * 31 + "é", "a" * 31 + "/"])
def test_what_is_no_id(text: str) -> None:
    assert not is_setup_link_id(text)


def test_the_connect_ticket_of_a_link_is_a_ticket_always_the_same_and_leads_nowhere_back() -> None:
    ticket = new_token()
    assert is_token(connect_ticket(ticket))
    assert connect_ticket(ticket) == connect_ticket(ticket) != connect_ticket(new_token())
    assert setup_link_id(connect_ticket(ticket)) != setup_link_id(ticket)


@pytest.mark.parametrize(
    ("link", "state"),
    [
        (a_setup_link(), LinkState.OPEN),
        (a_setup_link().opened(NOON), LinkState.OPENED),
        (a_setup_link(refused_in_a_row=FAILING_AFTER - 1).opened(NOON), LinkState.OPENED),
        (a_setup_link(refused_in_a_row=FAILING_AFTER).opened(NOON), LinkState.FAILING),
        (a_setup_link(refused_in_a_row=FAILING_AFTER).withdrawn(NOON), LinkState.WITHDRAWN),
        (a_setup_link(refused_in_a_row=FAILING_AFTER, expires_at=NOON), LinkState.EXPIRED),
        (a_setup_link(expires_at=NOON).withdrawn(NOON), LinkState.WITHDRAWN),
        (a_setup_link(expires_at=NOON).used(CLIENT_ID, NOON), LinkState.USED),
        (a_setup_link().used(CLIENT_ID, NOON).withdrawn(NOON), LinkState.USED),
    ],
)
def test_where_a_link_stands(link: SetupLink, state: LinkState) -> None:
    assert link.state(NOON) is state


def test_a_link_lives_to_the_moment_in_which_it_expires() -> None:
    link = a_setup_link(expires_at=NOON + A_WEEK)
    assert not link.is_over(NOON + A_WEEK - timedelta(microseconds=1))
    assert link.is_over(NOON + A_WEEK)
    assert link.withdrawn(NOON).is_over(NOON)


@pytest.mark.parametrize("problem", TryProblem)
def test_only_a_refused_pair_counts_against_a_link(problem: TryProblem) -> None:
    link = refused(a_setup_link(), problem)
    assert (link.refusals, link.refused_in_a_row) == ((1, 1) if problem in REFUSALS else (0, 0))
    assert link.takes_claim(NOON)


def test_a_pair_that_may_have_been_kept_stays_to_be_looked_at() -> None:
    claim = refused(a_setup_link(), TryProblem.UNAVAILABLE).claim
    assert claim is not None
    assert (claim.client_id, claim.until) == (CLIENT_ID, NOON)
    assert refused(a_setup_link(), TryProblem.SECRET_WRONG).claim is None


def test_a_link_begins_to_fail_once() -> None:
    link = a_setup_link()
    begun = []
    for _ in range(FAILING_AFTER + 2):
        before, link = link, refused(link)
        begun.append(link.has_just_begun_to_fail(before))
    assert begun == [False] * (FAILING_AFTER - 1) + [True] + [False] * 2


def test_tries_are_limited_within_a_window() -> None:
    link = a_setup_link()
    for _ in range(MOST_TRIES):
        assert link.try_allowed_at(NOON) == NOON
        link = link.claimed(CLIENT_ID, NOON)
    assert link.try_allowed_at(NOON) == NOON + TRIES_WINDOW
    later = NOON + TRIES_WINDOW
    assert link.try_allowed_at(later) == later
    assert link.claimed(CLIENT_ID, later).tries == 1


def test_a_link_that_was_refused_too_often_takes_nothing_more() -> None:
    link = a_setup_link(refusals=MOST_REFUSALS - 1)
    assert not link.is_exhausted
    assert refused(link).is_exhausted


def test_one_pair_is_tried_at_a_time_and_no_longer_than_a_minute() -> None:
    link = a_setup_link()
    assert link.takes_claim(NOON)
    claimed = link.claimed(CLIENT_ID, NOON)
    assert not claimed.takes_claim(NOON + timedelta(seconds=59))
    assert claimed.takes_claim(NOON + timedelta(seconds=60))
    assert not claimed.takes_claim(link.expires_at)


def test_a_link_leads_to_the_credential_that_was_made_by_it_and_to_no_later_one() -> None:
    made = a_credential(created_at=NOON)
    new = a_setup_link(created_at=NOON - A_WEEK)
    used = new.used(CLIENT_ID, NOON)
    assert used.leads_to(made)
    assert not new.leads_to(made)
    assert not used.leads_to(a_credential("another"))
    assert not used.leads_to(a_credential(created_at=NOON + timedelta(seconds=1)))


def test_no_link_shows_its_ticket() -> None:
    assert SETUP_TICKET not in repr(a_setup_link())
