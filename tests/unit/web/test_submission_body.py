import traceback
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xero_connector.domain.credential import IntegrationType
from xero_connector.domain.errors import MalformedRequest
from xero_connector.domain.scopes import MOST_SCOPES
from xero_connector.domain.submission import LONGEST_LABEL, LONGEST_SECRET, parse_client_id, parse_client_secret
from xero_connector.web.submission_body import parse_secret_body, parse_submission

ID = "0123456789ABCDEF0123456789ABCDEF"
SECRET = "hunter2-hunter2-hunter2"
PAIR = {"client_id": ID, "client_secret": SECRET}
MEGABYTE = "x" * 1_000_000

NOT_AN_OBJECT: list[object] = [None, True, 0, 1.5, "text", [], [PAIR], [["client_id", ID]]]
NOT_A_STRING: list[object] = [True, False, 0, 1.5, [], [SECRET], {}, {"client_secret": SECRET}]
# The same troubles for every field: nothing of them may reach a table key, a URL, a header or a log.
NOT_PLAIN = [
    "\x00",
    "abc\x00def",
    "abc\ndef",
    "abc\r\ndef",
    "abc\tdef",
    "abc def",
    "abc\x7fdef",
    "abc\x1b[31mdef",
    "ключ",
    "a\u200bb",
    "a\u202eb",
    "a\u00a0b",
    "\ud800",
    "abc\udfffdef",
    "😀",
]


def refused(body: object) -> MalformedRequest:
    with pytest.raises(MalformedRequest) as caught:
        parse_submission(body)
    assert caught.value.hint
    return caught.value


def code(body: object) -> str:
    return refused(body).code


def test_the_least() -> None:
    submission = parse_submission(PAIR)
    assert (submission.pair.client_id, submission.pair.client_secret) == (ID, SECRET)
    assert submission.integration_type is IntegrationType.WEB_APP
    assert submission.label is None
    assert submission.scopes is None


def test_everything() -> None:
    submission = parse_submission(
        {
            **PAIR,
            "label": " Electro Land ",
            "integration_type": "web_app",
            "scopes": ["offline_access", "openid", "accounting.contacts", "openid"],
        }
    )
    assert submission.label == "Electro Land"
    assert submission.integration_type is IntegrationType.WEB_APP
    assert submission.scopes == ("offline_access", "openid", "accounting.contacts")


def test_a_custom_connection_names_what_it_was_set_up_with_or_nothing() -> None:
    body = {**PAIR, "integration_type": "custom_connection"}
    assert parse_submission(body).scopes is None
    assert parse_submission({**body, "scopes": ["accounting.contacts"]}).scopes == ("accounting.contacts",)


@pytest.mark.parametrize("scope", ["openid", "profile", "email", "offline_access"])
def test_a_custom_connection_has_no_user_to_ask(scope: str) -> None:
    body = {**PAIR, "integration_type": "custom_connection", "scopes": ["accounting.contacts", scope]}
    assert code(body) == "forbidden_scope"


def test_null_is_the_same_as_left_out() -> None:
    body = {**PAIR, "label": None, "integration_type": None, "scopes": None}
    assert parse_submission(body) == parse_submission(PAIR)


def test_what_was_copied_with_blanks_around_it_is_trimmed() -> None:
    body = {"client_id": f"\n {ID}\t", "client_secret": f" {SECRET}\r\n"}
    assert parse_submission(body) == parse_submission(PAIR)


@pytest.mark.parametrize(
    "unseen", ["\u00a0", "\u200b", "\ufeff", "\u2060", "\u3000\u200e", "\u202a", "\u2028", "\u00ad \n"]
)
def test_invisible_characters_around_a_copied_text_are_trimmed(unseen: str) -> None:
    body = {"client_id": f"{unseen}{ID}{unseen}", "client_secret": f"{unseen}{SECRET}{unseen}"}
    assert parse_submission(body) == parse_submission(PAIR)
    assert code({**body, "client_secret": f"hunter2{unseen}hunter2"}) == "malformed_client_secret"


@pytest.mark.parametrize("blanks", [" ", "\u00a0", "\ufeff", "\u3000 \u200b"])
def test_blanks_around_a_label_are_no_part_of_it(blanks: str) -> None:
    longest = "x" * LONGEST_LABEL
    assert parse_submission({**PAIR, "label": f"{blanks}{longest}{blanks}"}).label == longest


@pytest.mark.parametrize("label", ["", "   ", "\u00a0", "\u200b\ufeff", " \u200f\u3000", "\u2060"])
def test_an_empty_label_is_none(label: str) -> None:
    assert parse_submission({**PAIR, "label": label}).label is None


@pytest.mark.parametrize(
    "label",
    [
        "é",
        "株式会社エレクトロランド",
        "O'Neil & Søn <Ltd>",
        "x" * LONGEST_LABEL,
        "😀" * LONGEST_LABEL,
        "Electro\u00a0Land",
        "Electro\u202fLand\u3000GmbH",
        "\u200fחברת חשמל\u200e (Ltd)",
        "\u2067شركة\u2069 A\u200b\u00adB",
        "👩🏽\u200d💻👨\u200d👩\u200d👧\u200d👦",
        "e\u0301\u0302 \u0e01\u0e33 \u094d",
        "क्\u200dष \u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\uf8ff Inc.",
        # Younger than the tables of this Python.
        "\U0001fae9 \U0001faff",
    ],
)
def test_a_label_in_any_language(label: str) -> None:
    assert parse_submission({**PAIR, "label": label}).label == label


@pytest.mark.parametrize("body", NOT_AN_OBJECT)
def test_not_an_object(body: object) -> None:
    assert code(body) == "malformed_request"


def test_a_field_that_is_not_known() -> None:
    error = refused({**PAIR, SECRET: 1})
    assert error.code == "unknown_field"
    assert "client_id, client_secret, integration_type, label, scopes" in error.hint


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
@pytest.mark.parametrize("how", ["left out", "null"])
def test_half_a_pair(name: str, how: str) -> None:
    body: dict[str, object] = {**PAIR, name: None}
    if how == "left out":
        del body[name]
    error = refused(body)
    assert error.code == "missing_field"
    assert name in error.detail


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
@pytest.mark.parametrize("value", NOT_A_STRING)
def test_half_a_pair_of_the_wrong_type(name: str, value: object) -> None:
    error = refused({**PAIR, name: value})
    assert error.code == "malformed_request"
    assert name in error.detail


@pytest.mark.parametrize("value", [*NOT_PLAIN, "", "  ", "x" * 65, MEGABYTE, "a/b", "a#b", "../x", "a%2Fb", "a.b"])
def test_a_client_id_that_is_none(value: str) -> None:
    assert code({**PAIR, "client_id": value}) == "malformed_client_id"


@pytest.mark.parametrize("value", [*NOT_PLAIN, "", " \n", "x" * (LONGEST_SECRET + 1), MEGABYTE])
def test_a_client_secret_that_is_none(value: str) -> None:
    assert code({**PAIR, "client_secret": value}) == "malformed_client_secret"


@pytest.mark.parametrize(
    "value",
    [
        *["\x00", "a\nb", "a\r\nb", "a\n", "\n", "a\tb", "a\x7f", "a\x1b[31mb", "a\x85b", "a\u2028b", "a\u2029"],
        *["\ud800", "a\udfff", "\uffff", "\ufdd0", "\U0010ffff", "\u0378"],
        *["x" * (LONGEST_LABEL + 1), "e\u0301" * 101, MEGABYTE, 1, [], {}, True],
    ],
)
def test_a_label_that_is_none(value: object) -> None:
    assert code({**PAIR, "label": value}) == "malformed_label"


@pytest.mark.parametrize(
    "value", ["", "mobile_app", "WEB_APP", "web_app ", "\ud800", 1, True, [], {}, ["web_app"]]
)
def test_an_integration_type_that_is_none(value: object) -> None:
    assert code({**PAIR, "integration_type": value}) == "malformed_integration_type"


@pytest.mark.parametrize(
    "value",
    [
        "offline_access openid",
        {"offline_access": True},
        [],
        1,
        True,
        ["offline_access openid"],
        ["offline_access", "openid", ""],
        ["offline_access", "openid", 1],
        ["offline_access", "openid", None],
        ["offline_access", "openid", ["accounting.contacts"]],
        ["offline_access", "openid", 'a"b'],
        ["offline_access", "openid", "a\\b"],
        ["offline_access", "openid", "x" * 101],
        *[["offline_access", "openid", text] for text in NOT_PLAIN],
        ["offline_access", "openid", *[f"scope.{number}" for number in range(MOST_SCOPES - 1)]],
        ["openid"] * 100_000,
    ],
)
def test_scopes_that_are_none(value: object) -> None:
    assert code({**PAIR, "scopes": value}) == "malformed_scopes"


def test_as_many_scopes_as_allowed() -> None:
    scopes = ["offline_access", "openid", *[f"scope.{number}" for number in range(MOST_SCOPES - 2)]]
    assert parse_submission({**PAIR, "scopes": scopes}).scopes == tuple(scopes)


@pytest.mark.parametrize("required", ["offline_access", "openid"])
def test_a_scope_that_the_connection_cannot_do_without(required: str) -> None:
    scopes = [scope for scope in ("offline_access", "openid", "accounting.contacts") if scope != required]
    error = refused({**PAIR, "scopes": scopes})
    assert error.code == "missing_scope"
    assert required in error.hint


def test_a_scope_that_xero_refuses_the_whole_consent_for() -> None:
    assert code({**PAIR, "scopes": ["offline_access", "openid", "app.connections"]}) == "forbidden_scope"


@pytest.mark.parametrize("secret", ["!", "~" * LONGEST_SECRET, "".join(map(chr, range(0x21, 0x7F)))])
def test_every_printable_character_may_be_in_a_secret(secret: str) -> None:
    assert parse_client_secret(secret) == secret


@pytest.mark.parametrize("client_id", ["a", "A-b_9", "x" * 64])
def test_a_client_id_need_not_look_like_today_s(client_id: str) -> None:
    assert parse_client_id(client_id) == client_id


def test_the_body_of_a_new_secret() -> None:
    assert parse_secret_body({"client_secret": f" {SECRET} "}) == SECRET


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "malformed_request"),
        ([SECRET], "malformed_request"),
        ({}, "missing_field"),
        ({"client_secret": None}, "missing_field"),
        ({"client_secret": 1}, "malformed_request"),
        ({"client_secret": "two words"}, "malformed_client_secret"),
        ({"client_secret": SECRET, "client_id": ID}, "unknown_field"),
    ],
)
def test_a_new_secret_that_is_none(body: object, code: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        parse_secret_body(body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body",
    [
        {**PAIR, "client_secret": f"{SECRET} {SECRET}"},
        {**PAIR, "client_secret": [SECRET]},
        {**PAIR, "client_id": f"{SECRET}!"},
        {**PAIR, SECRET: SECRET},
        {**PAIR, "label": f"{SECRET}\n"},
        {**PAIR, "integration_type": SECRET},
        {**PAIR, "scopes": [f"{SECRET} "]},
        [SECRET],
        SECRET,
    ],
)
def test_a_refusal_never_repeats_what_it_refuses(body: object) -> None:
    # A secret easily lands in the wrong field; tracebacks go to logs.
    error = refused(body)
    shown = "".join([error.detail, error.hint, error.code, repr(error), repr(error.args)])
    shown += "".join(traceback.TracebackException.from_exception(error).format())
    assert SECRET not in shown


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"client_id": st.just(ID) | json_values, "client_secret": st.just(SECRET) | json_values},
        optional={"label": json_values, "integration_type": json_values, "scopes": json_values},
    )
    | json_values
)
def test_any_json_is_either_taken_or_refused(body: Any) -> None:  # noqa: ANN401 - any JSON
    # Whatever else it raises would be a 500 at the API.
    with suppress(MalformedRequest):
        submission = parse_submission(body)
        assert submission.pair.client_id.isascii()
        assert submission.pair.client_secret.isprintable()
