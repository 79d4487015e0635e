"""ID tokens: what Xero signs is taken, and nothing else (OpenID Connect Core §3.1.3.7)."""

import base64
import hmac
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import KeySet, RSAKey
from urllib3 import HTTPResponse

from local.xero_simulator.token_signer import new_signing_key
from tests.contract.conftest import Clock
from tests.fakes.canned_server import Answer, CannedServer
from tests.fakes.transport import an_answer, answering
from tests.fakes.world import NOON
from xero_connector.adapters.joserfc_id_tokens import LEEWAY, JoserfcIdTokens
from xero_connector.domain.errors import IdTokenRefused

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

CLIENT_ID = "0123456789ABCDEF0123456789ABCDEF"
NONCE = "the-nonce"

type Claims = dict[str, Any]


@pytest.fixture(scope="session")
def key() -> RSAKey:
    return new_signing_key()


@pytest.fixture(scope="session")
def next_key() -> RSAKey:
    return new_signing_key()


def jwks(*keys: RSAKey) -> Answer:
    return Answer(KeySet(list(keys)).as_dict(private=False))


class Xero:
    """An issuer whose keys and clock a test can change."""

    def __init__(self, server: CannedServer, clock: Clock, key: RSAKey) -> None:
        self.server = server
        self.clock = clock
        self.key = key
        self.server.answer = jwks(key)
        self.verifier = JoserfcIdTokens(server.url, clock)

    def claims(self, **changes: object) -> Claims:
        now = int(self.clock.now.timestamp())
        claims = {
            "iss": self.server.url,
            "aud": CLIENT_ID,
            "sub": "user",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "nonce": NONCE,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: RSAKey | None = None, header: Claims | None = None, **changes: object) -> str:
        key = key or self.key
        return jwt.encode(header or {"alg": "RS256", "kid": key.kid}, self.claims(**changes), key)

    def verify(self, id_token: str | None) -> str:
        return self.verifier.verify_id_token(id_token, client_id=CLIENT_ID, nonce=NONCE)

    def refusal(self, id_token: str | None) -> str:
        with pytest.raises(IdTokenRefused) as refused:
            self.verify(id_token)
        assert refused.value.__cause__ is None
        return refused.value.code


@pytest.fixture
def xero(canned: CannedServer, clock: Clock, key: RSAKey) -> Xero:
    return Xero(canned, clock, key)


def seconds(xero: Xero, offset: int) -> int:
    return int(xero.clock.now.timestamp()) + offset


def test_a_good_token(xero: Xero) -> None:
    xero.verify(xero.token())
    xero.verify(xero.token(aud=[CLIENT_ID]))
    xero.verify(xero.token(email="somebody@example.test"))


@pytest.mark.parametrize(
    ("user_id", "expected"),
    [("the-user", "the-user"), (None, "user"), ("", "user"), (5, "user"), (["the-user"], "user")],
)
def test_whose_it_is(xero: Xero, user_id: object, expected: str) -> None:
    assert xero.verify(xero.token(xero_userid=user_id)) == expected


def test_no_token(xero: Xero) -> None:
    assert xero.refusal(None) == "id_token_missing"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.test"},
        {"iss": None},
        {"iss": ""},
        {"aud": "F" * 32},
        {"aud": ["F" * 32]},
        {"aud": None},
        {"aud": []},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": None, "xero_userid": "the-user"},
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": ""},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
    ],
    ids=str,
)
def test_a_claim_that_is_wrong_or_missing(xero: Xero, changes: Claims) -> None:
    assert xero.refusal(xero.token(**changes))


def test_clocks_may_differ_by_a_minute(xero: Xero) -> None:
    assert LEEWAY == 60
    xero.verify(xero.token(exp=seconds(xero, -59)))
    xero.verify(xero.token(nbf=seconds(xero, 59), iat=seconds(xero, 59)))


def test_and_by_no_more_than_a_minute(xero: Xero) -> None:
    assert xero.refusal(xero.token(exp=seconds(xero, -61)))
    assert xero.refusal(xero.token(nbf=seconds(xero, 61)))
    assert xero.refusal(xero.token(iat=seconds(xero, 61)))


def test_a_token_signed_by_another_under_xero_s_key_id(xero: Xero, next_key: RSAKey) -> None:
    assert xero.refusal(xero.token(next_key, {"alg": "RS256", "kid": xero.key.kid}))


def test_a_key_that_was_not_published(xero: Xero, next_key: RSAKey) -> None:
    assert xero.refusal(xero.token(next_key))


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def test_a_token_without_a_signature(xero: Xero) -> None:
    assert xero.refusal(f"{part({'alg': 'none'})}.{part(xero.claims())}.")
    assert xero.refusal(f"{part({'alg': 'none', 'kid': xero.key.kid})}.{part(xero.claims())}.x")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_an_algorithm_that_xero_does_not_use(xero: Xero, algorithm: str) -> None:
    # A published key that names no algorithm: refusing the others is up to us.
    any_algorithm = RSAKey.import_key(
        {name: value for name, value in xero.key.as_dict(private=True).items() if name not in {"alg", "use"}}
    )
    xero.server.answer = jwks(any_algorithm)
    xero.verify(xero.token(any_algorithm))
    header = {"alg": algorithm, "kid": any_algorithm.kid}
    assert xero.refusal(jwt.encode(header, xero.claims(), any_algorithm, algorithms=[algorithm]))


def test_the_public_key_is_not_taken_for_a_shared_secret(xero: Xero) -> None:
    signed = f"{part({'alg': 'HS256', 'kid': xero.key.kid})}.{part(xero.claims())}"
    mac = hmac.digest(xero.key.as_pem(private=False), signed.encode(), "sha256")
    assert xero.refusal(f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}")


def test_a_token_that_was_altered(xero: Xero) -> None:
    header, _, signature = xero.token().split(".")
    assert xero.refusal(f"{header}.{part(xero.claims(sub='another'))}.{signature}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.b.c",
        "..",
        "....",
        "a.b.c.d.e",
        f"{part({'alg': 'RS256'})}.{part([])}.x",
        f"{part([])}.{part({})}.x",
        f"{part('RS256')}.{part({})}.x",
        f"{part({})}.{part({})}.x",
        f"{part({'alg': 5})}.{part({})}.x",
        f"{part({'alg': 'RS256', 'kid': 5})}.{part({})}.x",
        f"{part({'alg': 'RS256', 'crit': ['x'], 'x': 1})}.{part({})}.x",
        "é.é.é",
        "\x00.\x00.\x00",
        "x" * 100_000,
    ],
)
def test_what_is_no_token_at_all(xero: Xero, token: str) -> None:
    assert xero.refusal(token)


# Keys


def test_keys_are_fetched_once_a_day(xero: Xero) -> None:
    assert xero.server.requests == []
    for _ in range(3):
        xero.verifier.load_keys()
        xero.verify(xero.token())
    assert [request.path for request in xero.server.requests] == ["/.well-known/openid-configuration/jwks"]
    xero.clock.now += timedelta(hours=24, seconds=1)
    xero.verify(xero.token())
    assert len(xero.server.requests) == 2


def test_a_new_key_is_fetched_when_it_first_signs(xero: Xero, next_key: RSAKey) -> None:
    xero.verifier.load_keys()
    xero.server.answer = jwks(xero.key, next_key)
    xero.clock.now += timedelta(minutes=2)
    xero.verify(xero.token(next_key))
    xero.verify(xero.token())
    assert len(xero.server.requests) == 2


def test_a_key_that_was_withdrawn_is_no_longer_good(xero: Xero, next_key: RSAKey) -> None:
    xero.verifier.load_keys()
    xero.server.answer = jwks(next_key)
    xero.clock.now += timedelta(hours=25)
    assert xero.refusal(xero.token())
    xero.verify(xero.token(next_key))


@pytest.mark.parametrize("seconds_later", [0, 1, 59, 60, 61])
def test_a_new_key_is_fetched_however_soon_it_signs(xero: Xero, next_key: RSAKey, seconds_later: int) -> None:
    xero.verifier.load_keys()
    xero.server.answer = jwks(xero.key, next_key)
    xero.clock.now += timedelta(seconds=seconds_later)
    xero.verify(xero.token(next_key))
    assert len(xero.server.requests) == 2


def test_a_forger_cannot_have_us_ask_more_than_once_a_minute(xero: Xero, next_key: RSAKey) -> None:
    xero.verifier.load_keys()
    for minute in (1, 2, 3):
        for _ in range(60):
            xero.refusal(xero.token(next_key))
            xero.clock.now += timedelta(seconds=1)
        xero.clock.now += timedelta(seconds=1)
        assert len(xero.server.requests) == 1 + minute


def test_a_forger_of_known_keys_cannot_have_us_ask_more_than_once_a_minute(xero: Xero, next_key: RSAKey) -> None:
    xero.verifier.load_keys()
    for _ in range(60):
        xero.refusal(xero.token(next_key, {"alg": "RS256", "kid": xero.key.kid}))
        xero.clock.now += timedelta(seconds=1)
    assert len(xero.server.requests) == 1


def verifier_of(answers: list[HTTPResponse], xero: Xero) -> JoserfcIdTokens:
    """Return one whose Xero gives these answers, one after the other."""

    def respond(_: requests.PreparedRequest) -> HTTPResponse:
        return answers.pop(0)

    return JoserfcIdTokens(xero.server.url, xero.clock, transport=answering(respond))


def keys_of(*keys: RSAKey) -> HTTPResponse:
    return an_answer(200, {}, json.dumps(KeySet(list(keys)).as_dict(private=False)).encode())


def test_new_keys_that_are_not_answered_are_asked_for_once_more(xero: Xero, key: RSAKey, next_key: RSAKey) -> None:
    xero.verifier = verifier_of([keys_of(key), an_answer(503), keys_of(key, next_key)], xero)
    xero.verifier.load_keys()
    xero.verify(xero.token(next_key))


def test_and_no_more_often(xero: Xero, key: RSAKey, next_key: RSAKey) -> None:
    left = [keys_of(key), an_answer(503), an_answer(503), keys_of(key, next_key)]
    xero.verifier = verifier_of(left, xero)
    xero.verifier.load_keys()
    assert xero.refusal(xero.token(next_key)) == "keys_unavailable"
    assert len(left) == 1


def test_keys_that_cannot_be_read_are_no_verdict_on_the_token(xero: Xero, next_key: RSAKey) -> None:
    xero.verifier.load_keys()
    xero.clock.now += timedelta(minutes=2)
    xero.server.answer = Answer("maintenance", 503)
    assert xero.refusal(xero.token(next_key)) == "keys_unavailable"
    # The keys of before still serve.
    xero.verify(xero.token())


def test_a_token_for_several_audiences_is_refused(xero: Xero) -> None:
    assert xero.refusal(xero.token(aud=[CLIENT_ID, "another"])) == "invalid_claim"


def test_a_token_for_us_alone_may_say_so_in_a_list(xero: Xero) -> None:
    xero.verify(xero.token(aud=[CLIENT_ID]))


def test_a_token_of_another_authorized_party_is_refused(xero: Xero) -> None:
    assert xero.refusal(xero.token(azp="another")) == "invalid_claim"
    xero.verify(xero.token(azp=CLIENT_ID))


ODD_KEYS = [
    {"kty": "EC", "crv": "P-9999", "x": "AA", "y": "AA", "kid": "odd"},
    {"kty": "ML-DSA", "kid": "odd"},
    {"kty": "RSA", "kid": "odd", "n": "!", "e": 7},
    {"kid": "odd"},
    "text",
    None,
    7,
]


@pytest.mark.parametrize("odd", ODD_KEYS, ids=str)
def test_a_key_that_is_not_understood_does_not_void_the_others(
    xero: Xero, canned: CannedServer, key: RSAKey, odd: object
) -> None:
    canned.answer = Answer({"keys": [odd, key.as_dict(private=False)]})
    xero.verify(xero.token())


DEEP = "[" * 10_000 + "]" * 10_000


@pytest.mark.parametrize(
    "keys",
    ['\ufeff{"keys": [KEY]}', '{"keys": [KEY], "x": DEEP}', '{"keys": [{"kty": "RSA", "n": DEEP}, KEY]}'],
)
def test_however_oddly_the_keys_are_spelt_they_are_read(
    xero: Xero, canned: CannedServer, key: RSAKey, keys: str
) -> None:
    published = json.dumps(key.as_dict(private=False))
    body = keys.replace("KEY", published).replace("DEEP", DEEP)
    canned.answer = Answer(body, 200, {"Content-Type": "application/json"})
    xero.verify(xero.token())


NOT_FOR_SIGNATURES = [
    {"use": "enc"},
    {"alg": "RS512"},
    {"alg": "PS256"},
    {"key_ops": ["encrypt"]},
    {"key_ops": ["encrypt"], "use": "enc"},
    {"key_ops": 5},
    {"use": 5},
    {"alg": ["RS256"]},
]


@pytest.mark.parametrize("same_id", [True, False])
@pytest.mark.parametrize("header", [{"alg": "RS256"}, None], ids=["no key named", "key named"])
@pytest.mark.parametrize("other", [{}, *NOT_FOR_SIGNATURES], ids=str)
def test_a_key_of_another_purpose_beside_the_signing_key_does_no_harm(
    xero: Xero,
    key: RSAKey,
    next_key: RSAKey,
    other: Claims,
    header: Claims | None,
    *,
    same_id: bool,
) -> None:
    signing = key.as_dict(private=False)
    beside = {**next_key.as_dict(private=False), **other, **({"kid": signing["kid"]} if same_id else {})}
    for keys in ([beside, signing], [signing, beside]):
        xero.server.answer = Answer({"keys": keys})
        JoserfcIdTokens(xero.server.url, xero.clock).verify_id_token(
            xero.token(header=header), client_id=CLIENT_ID, nonce=NONCE
        )


@pytest.mark.parametrize("other", NOT_FOR_SIGNATURES, ids=str)
def test_a_key_that_is_not_for_signatures_signs_no_token(
    xero: Xero, canned: CannedServer, key: RSAKey, next_key: RSAKey, other: Claims
) -> None:
    canned.answer = Answer({"keys": [{**key.as_dict(private=False), **other}, next_key.as_dict(private=False)]})
    assert xero.refusal(xero.token())
    assert xero.refusal(xero.token(header={"alg": "RS256"}))


@pytest.mark.parametrize(
    "odd", [{"x5c": 5}, {"kid": None}, {"use": None}, {"alg": None}, {"ext": "x"}, {"d": "AQAB"}], ids=str
)
def test_what_is_odd_in_the_signing_key_itself_does_no_harm(
    xero: Xero, canned: CannedServer, key: RSAKey, odd: Claims
) -> None:
    canned.answer = Answer({"keys": [{**key.as_dict(private=False), **odd}]})
    xero.verify(xero.token())


ODD_VALUES: list[object] = [
    None, True, 0, -1, 10**30, 1.5, 1e300, "", "x", "b64", "\ud800", "x" * 5_000,
    [], [1], [[]], ["b64"], ["x"], [None], {}, {"a": 1},
]  # fmt: skip
HEADERS = ["alg", "kid", "crit", "b64", "typ", "cty", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "zip", "enc"]


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_of_any_type_raises_anything_else_than_a_refusal(
    xero: Xero, canned: CannedServer, key: RSAKey, next_key: RSAKey, name: str
) -> None:
    canned.answer = jwks(key, next_key)
    for value in ODD_VALUES:
        for header in ({"alg": "RS256", "kid": key.kid, name: value}, {"alg": "RS256", name: value}):
            assert xero.refusal(f"{part(header)}.{part(xero.claims())}.c2ln")


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "iat", "nbf", "nonce", "azp", "xero_userid", "amr"])
def test_no_claim_of_any_type_raises_anything_else_than_a_refusal(xero: Xero, key: RSAKey, name: str) -> None:
    for value in ODD_VALUES:
        claims = json.dumps({**xero.claims(), name: value}).encode()
        token = jws.serialize_compact({"alg": "RS256", "kid": key.kid}, claims, key, algorithms=["RS256"])
        with suppress(IdTokenRefused):
            user = xero.verify(token)
            assert user.isprintable()
            assert 0 < len(user) <= 255


@pytest.mark.parametrize("claims", [b"", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000, b"{}", b"null"])
def test_a_signature_under_something_else_than_claims_proves_nothing(
    xero: Xero, key: RSAKey, claims: bytes
) -> None:
    token = jws.serialize_compact({"alg": "RS256", "kid": key.kid}, claims, key, algorithms=["RS256"])
    assert xero.refusal(token)


@pytest.mark.parametrize("name", ["kty", "n", "e", "kid", "use", "key_ops", "alg", "x5c", "d", "p", "oth", "ext"])
def test_no_key_of_any_form_raises_anything_or_voids_the_others(
    xero: Xero, canned: CannedServer, key: RSAKey, next_key: RSAKey, name: str
) -> None:
    odd = [{**next_key.as_dict(private=False), name: value} for value in ODD_VALUES]
    canned.answer = Answer({"keys": [*odd, key.as_dict(private=False)]})
    xero.verify(xero.token())
    xero.verify(xero.token(header={"alg": "RS256"}))


@given(st.text(max_size=60) | st.lists(st.text(max_size=20), min_size=3, max_size=3).map(".".join))
def test_no_text_at_all_raises_anything_else_than_a_refusal(text: str) -> None:
    keys = [keys_of(_KEY) for _ in range(2)]
    verifier = JoserfcIdTokens("https://xero.test", lambda: NOON, transport=answering(lambda _: keys.pop()))
    with pytest.raises(IdTokenRefused):
        verifier.verify_id_token(text, client_id=CLIENT_ID, nonce=NONCE)


_KEY = new_signing_key()


def test_a_token_that_names_no_key_is_taken_if_one_of_them_signed_it(
    xero: Xero, canned: CannedServer, key: RSAKey, next_key: RSAKey
) -> None:
    canned.answer = jwks(next_key, key)
    xero.verify(xero.token(header={"alg": "RS256"}))
    stranger = RSAKey.generate_key(2048, {"kid": "stranger"})
    assert xero.refusal(xero.token(stranger, header={"alg": "RS256"})) == "bad_signature"
