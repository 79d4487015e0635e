"""Xero's JSON is read as far as it can be understood, and nothing is guessed."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xero_connector.adapters.lenient_json import UNREADABLE, members, read

TOKENS = '"access_token": "a", "refresh_token": "r"'
DEEP = "[" * 10_000 + "]" * 10_000
LONG = "1" * 5_000

values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3))
def test_json_is_read_as_it_is(content: object) -> None:
    for spelling in (json.dumps(content), json.dumps(content, ensure_ascii=False, indent=1)):
        assert read(spelling.encode()) == (content, True)


@given(st.lists(values, max_size=3), st.dictionaries(st.text(), values, max_size=3))
def test_beside_what_cannot_be_read_everything_else_is_read_as_it_is(
    elements: list[object], named: dict[str, object]
) -> None:
    listed = json.dumps([*elements, 0]).removesuffix("0]") + "oops]"
    assert read(listed.encode()) == ([*elements, UNREADABLE], True)
    named.pop("odd", None)
    held = json.dumps({**named, "odd": 0}).removesuffix("0}") + "oops}"
    assert read(held.encode()) == ({**named, "odd": UNREADABLE}, True)


@given(st.binary(max_size=200) | st.text('[]{}",:\\a1 \t\ufeff', max_size=60).map(str.encode))
def test_any_bytes_at_all_are_read_without_an_error(body: bytes) -> None:
    content, whole = read(body)
    assert isinstance(members(body), dict)
    assert whole <= isinstance(content, dict | list)


@pytest.mark.parametrize(
    "body",
    [
        f"\ufeff{{{TOKENS}}}".encode(),
        f"\r\n\ufeff {{{TOKENS}}}".encode(),
        f"{{{TOKENS}}}".encode("utf-16"),
        f"{{{TOKENS}}}\n<!-- t -->{{".encode(),
        f"{{{TOKENS}}}\x00".encode(),
        f'{{{TOKENS}, "x": "a\tb\nc\x01"}}'.encode(),
        f'{{{TOKENS}, "x": {LONG}}}'.encode(),
        f'{{"x": [{LONG}, -{LONG}.{LONG}e{LONG}], {TOKENS}}}'.encode(),
        f'{{"x": [NaN, Infinity, -Infinity, 1e999], {TOKENS}}}'.encode(),
        f'{{"x": {DEEP}, {TOKENS}}}'.encode(),
        f'{{{TOKENS}, "x": {{"y": {DEEP}}}}}'.encode(),
        f'{{{TOKENS}, "x": oops, "y": \'z\', "z", : 5, 6: 7}}'.encode(),
        f'{{{TOKENS}, "x": "\\q",}}'.encode(),
        f'{{{TOKENS}, "x": "'.encode() + b'\xff\xfe"}',
    ],
    ids=range(14),
)
def test_what_is_odd_around_a_member_does_not_cost_it(body: bytes) -> None:
    found = members(body)
    assert (found["access_token"], found["refresh_token"]) == ("a", "r")


def test_a_number_that_is_none_is_nothing() -> None:
    assert members(b'{"a": NaN, "b": -Infinity, "c": 1e999, "d": ' + LONG.encode() + b"}") == dict.fromkeys("abcd")


@pytest.mark.parametrize(
    "body",
    [
        f'{{"x": {{"refresh_token": "inner"}}, "y": {DEEP}}}',
        f'{{"x": [{{"refresh_token": "inner"}}], "y": {DEEP}}}',
        f'{{"x": "\\"refresh_token\\": \\"inner\\", ", "y": {DEEP}}}',
        f'{{"x": ", \\"refresh_token\\": \\"inner", "y": {DEEP}}}',
        f'{{"x": {DEEP} "refresh_token": "inner"}}',
        f'[{{"refresh_token": "inner"}}, {DEEP}]',
        '"refresh_token": "inner"',
        '<p>{"refresh_token": "inner"}</p>',
    ],
)
def test_nothing_is_taken_from_inside_another_value(body: str) -> None:
    assert members(body.encode()).get("refresh_token") is None


def broken_off(document: str) -> Iterator[str]:
    return (document[:length] for length in range(len(document)))


@pytest.mark.parametrize("odd", ["1", DEEP[:4] + DEEP[-4:], '{"a": "}"}', '"x\\"y"', "oops"])
def test_a_document_that_is_cut_off_is_never_whole(odd: str) -> None:
    document = f'{{"x": {odd}, {TOKENS}, "y": [{odd}]}}'
    assert read(document.encode()).whole
    for beginning in broken_off(document):
        assert not read(beginning.encode()).whole
        assert members(beginning.encode()) == {}


@pytest.mark.parametrize("odd", ["", '"x": oops, '])
def test_a_text_without_its_closing_quote_is_no_member(odd: str) -> None:
    document = f'{{{odd}"refresh_token": "r3f\\"r3sh"'
    for beginning in broken_off(document):
        content, whole = read(beginning.encode())
        assert not whole
        assert not (isinstance(content, dict) and "refresh_token" in content)
    assert read(document.encode()).content == {**({"x": UNREADABLE} if odd else {}), "refresh_token": 'r3f"r3sh'}


def test_a_number_that_is_cut_off_is_no_member() -> None:
    assert read(b'{"a": "b", "expires_in": 18').content == {"a": "b"}


def test_brackets_that_do_not_match_end_the_document() -> None:
    assert read(f'{{{TOKENS}, "x": ]}}'.encode()) == ({"access_token": "a", "refresh_token": "r"}, False)


def test_an_odd_element_of_a_list_does_not_void_the_others() -> None:
    odd = f'[{{"id": 1, "x": {DEEP}}}, {DEEP}, oops, {{"id": {LONG}}}, {{"id": 2, "x": oops}}]'
    content, whole = read(odd.encode())
    assert whole
    assert isinstance(content, list)
    first, _, *others = content
    assert first["id"] == 1
    assert others == [UNREADABLE, {"id": None}, {"id": 2, "x": UNREADABLE}]


@pytest.mark.parametrize("body", [b"", b"  ", b"null", b"1", b'"a"', b"<html>", b"\x00\x00", b"\xef\xbb\xbf"])
def test_what_is_no_document(body: bytes) -> None:
    assert not read(body).whole
    assert members(body) == {}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("sign", ["[", "{", '{"a":', '"', '["', "[,", "\\", '{"\\'])
def test_a_large_body_of_nonsense_takes_no_time(sign: str) -> None:
    # Were it quadratic, this would take a minute.
    nonsense = (sign * 200_000)[:200_000].encode()
    assert not read(nonsense).whole
    assert not read(b"[" + nonsense).whole
