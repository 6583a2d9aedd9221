"""Field names, lists, Vary, and the fields that are sent instead of an app's."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from meshcors._decision.fields import BYTES, TEXT, Merge, collect, merge_vary
from meshcors._policy.headers import (
    CORS_RESPONSE_HEADERS,
    FORBIDDEN_METHODS,
    FORBIDDEN_REQUEST_HEADERS,
    FORBIDDEN_RESPONSE_HEADERS,
    NORMALIZED_METHODS,
    SAFELISTED_METHODS,
    SAFELISTED_REQUEST_HEADERS,
    STANDARD_METHODS,
    is_forbidden_request_header,
    is_token,
    list_elements,
)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        pytest.param(SAFELISTED_METHODS, "GET HEAD POST", id="safelisted methods"),
        pytest.param(FORBIDDEN_METHODS, "CONNECT TRACE TRACK", id="forbidden methods"),
        pytest.param(
            NORMALIZED_METHODS, "DELETE GET HEAD OPTIONS POST PUT", id="normalized methods"
        ),
        pytest.param(
            STANDARD_METHODS,
            "CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE TRACK",
            id="standard methods",
        ),
        pytest.param(
            SAFELISTED_REQUEST_HEADERS,
            "accept accept-language content-language content-type range",
            id="safelisted request headers",
        ),
        pytest.param(
            FORBIDDEN_REQUEST_HEADERS,
            "accept-charset accept-encoding access-control-request-headers"
            " access-control-request-method access-control-request-private-network connection"
            " content-length cookie cookie2 date dnt expect host keep-alive origin referer"
            " set-cookie te trailer transfer-encoding upgrade via",
            id="forbidden request headers",
        ),
        pytest.param(
            FORBIDDEN_RESPONSE_HEADERS, "set-cookie set-cookie2", id="forbidden response headers"
        ),
        pytest.param(
            CORS_RESPONSE_HEADERS,
            "access-control-allow-credentials access-control-allow-headers"
            " access-control-allow-methods access-control-allow-origin"
            " access-control-allow-private-network access-control-expose-headers"
            " access-control-max-age",
            id="CORS response headers",
        ),
    ],
)
def test_table_of_the_fetch_standard(table: Iterable[str], words: str) -> None:
    assert sorted(table) == words.split()


@pytest.mark.parametrize("text", ["PUT", "x-a", "*", "!#$%&'*+-.^_`|~09azAZ"])
def test_token(text: str) -> None:
    assert is_token(text)


@pytest.mark.parametrize("text", ["", " ", "a b", "a\n", "\na", "a,b", "é", "a:b", '"', "a\x00"])
def test_no_token(text: str) -> None:
    assert not is_token(text)


@pytest.mark.parametrize("name", ["cookie", "host", "sec-fetch-mode", "proxy-x", "origin", "te"])
def test_forbidden_request_header(name: str) -> None:
    assert is_forbidden_request_header(name)


@pytest.mark.parametrize("name", ["x-key", "secret", "authorization", "proxyx", "user-agent"])
def test_allowed_request_header(name: str) -> None:
    assert not is_forbidden_request_header(name)


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        pytest.param("", [], id="empty"),
        pytest.param(", ,\t,", [], id="empty elements"),
        pytest.param("a", ["a"], id="one"),
        pytest.param(" a ,\tb,c ", ["a", "b", "c"], id="blanks"),
        pytest.param("a\x0b,b\n", ["a\x0b", "b\n"], id="only blanks are trimmed"),
        pytest.param("X-A, X", ["X-A", "X"], id="no letters are trimmed"),
    ],
)
def test_list_elements(value: str, elements: list[str]) -> None:
    assert list(list_elements(value)) == elements


@pytest.mark.parametrize(
    ("values", "names", "merged"),
    [
        pytest.param([], ["Origin"], "Origin", id="none there"),
        pytest.param(["Accept"], ["Origin"], "Accept, Origin", id="another there"),
        pytest.param(["ORIGIN"], ["Origin"], None, id="there, in another case"),
        pytest.param(["a, *"], ["Origin"], None, id="star"),
        pytest.param(["a", "b,a"], ["Origin", "b"], "a, b, a, Origin", id="two lines"),
        pytest.param([""], ["Origin"], "Origin", id="empty"),
        pytest.param(["x-origin"], ["Origin"], "x-origin, Origin", id="no part of a name"),
    ],
)
def test_merge_vary(values: list[str], names: list[str], merged: str | None) -> None:
    assert merge_vary(values, names) == merged


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([(b"y", b"1")], {}, id="another"),
        pytest.param([(b"x", b"1"), (b"y", b"2")], {b"x": b"1"}, id="one"),
        pytest.param([(b"x", b"1"), (b"x", b""), (b"x", b"2")], {b"x": b"1,,2"}, id="lines"),
        pytest.param([(b"x", b"12345"), (b"x", b"6")], {b"x": b"12345"}, id="over the limit"),
        pytest.param([(b"x", b"1234"), (b"x", b"5")], {b"x": b"1234,5"}, id="at the limit"),
        pytest.param([(b"x_", b"1"), (b"X", b"1")], {}, id="by exact name"),
    ],
)
def test_collect(lines: list[tuple[bytes, bytes]], found: dict[bytes, bytes]) -> None:
    assert collect(iter(lines), frozenset({b"x"}), 4) == found


OWN = [("access-control-allow-origin", "https://a.example")]


@pytest.mark.parametrize(
    ("vary", "sent", "leaves"),
    [
        pytest.param(["Origin"], [], [("vary", "Origin"), *OWN], id="nothing"),
        pytest.param([], [], OWN, id="nothing, and no vary"),
        pytest.param([], [("Vary", "x")], [("Vary", "x"), *OWN], id="its vary, and none of ours"),
        pytest.param(
            ["Origin"], [("Vary", "x")], [("Vary", "x, Origin"), *OWN], id="its vary, and ours"
        ),
        pytest.param(
            ["Origin"],
            [("a", "1"), ("vary", "x"), ("b", "2"), ("VARY", "y"), ("a", "3")],
            [("a", "1"), ("vary", "x, y, Origin"), ("b", "2"), ("a", "3"), *OWN],
            id="two lines of vary become one, in the place of the first",
        ),
        pytest.param(
            ["Origin"],
            [("a", "1"), ("vary", "origin"), ("vary", "y"), ("b", "2")],
            [("a", "1"), ("vary", "origin"), ("vary", "y"), ("b", "2"), *OWN],
            id="two lines that say it all stay",
        ),
        pytest.param(
            [],
            [("vary", "x"), ("a", "1"), ("vary", "y")],
            [("vary", "x"), ("a", "1"), ("vary", "y"), *OWN],
            id="two lines stay where they are if there is none of ours",
        ),
        pytest.param(["Origin"], [("vary", "*")], [("vary", "*"), *OWN], id="star stays"),
        *[
            pytest.param(
                ["Origin"], [(name.title(), "x")], [("vary", "Origin"), *OWN], id=f"its {name} goes"
            )
            for name in CORS_RESPONSE_HEADERS
        ],
        pytest.param(
            ["Origin"],
            [(" access-control-allow-origin", "*"), ("access-control-allow-credentials\t", "true")],
            [("vary", "Origin"), *OWN],
            id="spaces around a name are none of it: hypercorn strips them",
        ),
        pytest.param(
            [],
            [("access-control-allow-origin", "content-type")],
            OWN,
            id="a value is no name",
        ),
        pytest.param(
            ["Origin"],
            [("access-control-request-method", "x"), ("set-cookie", "1"), ("set-cookie", "2")],
            [
                ("access-control-request-method", "x"),
                ("set-cookie", "1"),
                ("set-cookie", "2"),
                ("vary", "Origin"),
                *OWN,
            ],
            id="all else stays, in order",
        ),
    ],
)
def test_merge(vary: list[str], sent: list[tuple[str, str]], leaves: list[tuple[str, str]]) -> None:
    kept = list(sent)
    assert Merge(OWN, vary, TEXT)(sent) == leaves
    assert sent == kept
    raw = BYTES.fields(sent)
    assert Merge(OWN, vary, BYTES)(iter(raw)) == BYTES.fields(leaves)


def test_merge_keeps_the_apps_own_objects() -> None:
    field = (b"X-Own", b"\xff")
    assert Merge(OWN, ["Origin"], BYTES)([field])[0] is field


def test_merge_of_a_vary_that_is_not_ascii() -> None:
    leaves = Merge((), ["Origin"], BYTES)([(b"Vary", b"\xff")])
    assert leaves == [(b"Vary", b"\xff, Origin")]
