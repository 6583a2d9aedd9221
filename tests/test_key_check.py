"""The check of the header key alone: values, white space, and exempt paths."""

from __future__ import annotations

from typing import Any

import pytest

from meshcors import HeaderKey
from meshcors._decision.key_check import KeyCheck


def check(values: list[str] | None, **options: Any) -> KeyCheck:
    return KeyCheck(HeaderKey("Model-Api-Key", values, **options))


def test_field_is_the_headers_name_as_requests_carry_it() -> None:
    assert check(None).field == b"model-api-key"


ONE = ["XabcX"]
TWO = ["XabcX", "other"]


@pytest.mark.parametrize(
    ("values", "given", "refused"),
    [
        *[(None, given, None) for given in (b"x", b" x", b"x\t", b"X", b"0", b"\xff")],
        *[(None, given, "key_missing") for given in (b"", b" ", b"\t", b" \t ")],
        *[(values, b"XabcX", None) for values in (ONE, TWO)],
        *[(values, b" \tXabcX", None) for values in (ONE, TWO)],
        *[(values, b"XabcX \t", None) for values in (ONE, TWO)],
        (TWO, b"other", None),
        *[(values, given, "key_missing") for values in (ONE, TWO) for given in (b"", b" \t")],
        *[
            (values, given, "key_unknown")
            for values in (ONE, TWO)
            for given in (
                b"abc",
                b"Xabc",
                b"abcX",
                b"xABCx",
                b"XabcX,XabcX",
                b"XabcX,",
                b"\x0bXabcX",
            )
        ],
        (TWO, b"XabcX,other", "key_unknown"),
        (ONE, b"other", "key_unknown"),
        (TWO, b"\xff", "key_unknown"),
    ],
)
def test_value(values: list[str] | None, given: bytes, refused: str | None) -> None:
    checked = check(values)
    assert checked.refuse("/", given) == refused
    # An accepted value makes the path irrelevant; with white space around it may be looked at.
    if given.strip() == given:
        assert checked.is_valid(given) is (refused is None)
    assert not (refused and checked.is_valid(given))


@pytest.mark.parametrize(
    ("path", "exempt"),
    [
        *[(path, True) for path in ("/healthz", "/public/a", "/public/a/b", "/star/*")],
        *[(path, False) for path in ("/", "", "/healthz/", "/healthzx", "/Healthz", "/a/healthz")],
        # Litestar and others route it to /public.
        ("/public/", False),
        *[(path, False) for path in ("/public", "/publicx", "/a/public/", "/PUBLIC/a", "/x/*")],
        *[(path, False) for path in ("/public/../a", "/public/./a", "/public//a", "/public/a\n")],
        *[(path, False) for path in ("//public/a", "/a/../public/a", "/a//healthz", "public/a")],
    ],
)
def test_exempt_path(path: str, exempt: bool) -> None:
    checked = check(ONE, exempt_paths=["/healthz", "/public/*", "/star/*"])
    assert checked.refuse(path, b"") == (None if exempt else "key_missing")
    assert checked.refuse(path, b"wrong") == (None if exempt else "key_unknown")
    assert checked.refuse(path, b"XabcX") is None


def test_without_exempt_paths_none_is() -> None:
    assert check(ONE).refuse("/", b"") == check(None).refuse("", b"") == "key_missing"


def test_all_below_the_root_is_exempt_with_the_root() -> None:
    checked = KeyCheck(HeaderKey("x-key", ["right"], exempt_paths=["/*"]))
    assert [checked.refuse(path, b"") for path in ("/", "/a", "/a/", "")] == [
        *(None, None, None),
        "key_missing",
    ]
