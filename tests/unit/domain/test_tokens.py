import json
import string
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.builders import INCARNATION, a_token, a_tokens_secret, an_answer
from tests.fakes.world import NOON
from xero_connector.domain.tenant import Tenant
from xero_connector.domain.tokens import TokenSet, TokensSecret, client_version_id, tokens_version_id

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
token_sets = st.builds(
    TokenSet,
    access_token=st.text(),
    token_type=st.text(),
    refresh_token=st.none() | st.text(),
    expires_in=st.integers(0, 10**11 - 1),
    expires_at=st.integers(0, 10**11 - 1),
    scope=st.text(),
)
tenants = st.builds(
    Tenant, tenant_id=st.text(), tenant_name=st.text(), tenant_type=st.text(), connection_id=st.text()
)
tokens_secrets = st.builds(
    TokensSecret,
    client_id=st.text(),
    generation=st.integers(),
    obtained_at=st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones),  # noqa: DTZ001 - bounds are naive
    token=token_sets,
    tenants=st.lists(tenants, max_size=4).map(tuple),
)


@given(tokens_secrets)
def test_a_secret_survives_its_json(secret: TokensSecret) -> None:
    assert TokensSecret.from_json(secret.to_json()) == secret


@given(tokens_secrets)
def test_the_same_answer_is_the_same_json(secret: TokensSecret) -> None:
    # Secrets Manager compares a repeated write by its bytes.
    assert TokensSecret.from_json(secret.to_json()).to_json() == secret.to_json()


def test_what_a_consumer_reads() -> None:
    assert json.loads(a_tokens_secret(generation=3).to_json()) == {
        "client_id": "0123456789ABCDEF0123456789ABCDEF",
        "generation": 3,
        "obtained_at": "2026-11-23T12:00:00+00:00",
        "token": {
            "access_token": "access-3",
            "token_type": "Bearer",
            "refresh_token": "refresh-3",
            "expires_in": 1800,
            "expires_at": int(NOON.timestamp()) + 1800,
            "scope": "offline_access openid accounting.contacts",
        },
        "tenants": [
            {
                "tenant_id": "t-1",
                "tenant_name": "Demo Company (UK)",
                "tenant_type": "ORGANISATION",
                "connection_id": "c-1",
            }
        ],
    }


def test_times_are_written_in_utc() -> None:
    local = a_tokens_secret(obtained_at=NOON.astimezone(timezone(timedelta(hours=13))))
    assert json.loads(local.to_json())["obtained_at"] == "2026-11-23T12:00:00+00:00"


def test_a_token_without_a_refresh_token_has_no_such_key() -> None:
    assert "refresh_token" not in a_token(refresh_token=None).to_dict()


def test_the_end_of_the_access_token_is_aware_and_in_utc() -> None:
    end = a_tokens_secret().token_expires_at
    assert end == NOON + timedelta(minutes=30)
    assert end.tzinfo is UTC


def test_what_a_refresh_leaves_out_is_kept() -> None:
    answer = an_answer(2)
    terse = type(answer)(token=a_token(2, refresh_token=None, scope=""), obtained_at=NOON)
    kept = terse.keeping(a_token(1))
    assert kept.token == a_token(2, refresh_token="refresh-1")


def test_what_a_refresh_says_wins() -> None:
    answer = an_answer(2)
    assert answer.keeping(a_token(1, scope="openid")) == answer


incarnations = st.uuids()
numbers = st.integers(0, 10**6)


@given(st.sets(st.tuples(incarnations, numbers), max_size=40))
def test_no_two_versions_share_an_id(versions: set[tuple[UUID, int]]) -> None:
    ids = [make(*version) for version in versions for make in (tokens_version_id, client_version_id)]
    assert len(set(ids)) == 2 * len(versions)


@given(incarnations, numbers)
def test_a_version_id_is_one_that_secrets_manager_takes(incarnation: UUID, number: int) -> None:
    for version_id in (tokens_version_id(incarnation, number), client_version_id(incarnation, number)):
        assert 32 <= len(version_id) <= 64
        assert set(version_id) <= set(string.ascii_letters + string.digits + "-")


def test_version_ids_never_change_between_releases() -> None:
    # Running deployments hold versions under these ids: a change would strand them.
    assert tokens_version_id(INCARNATION, 1) == "69b00ba0-30eb-5319-a094-49042b0614cc"
    assert client_version_id(INCARNATION, 1) == "aa6dbc82-4a90-52fc-8d31-d3f55e16d6ce"
