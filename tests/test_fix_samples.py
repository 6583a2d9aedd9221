"""``fix`` on rules that overlap in one place only: it repairs and harms nobody there either."""

from __future__ import annotations

import pytest

from meshcors import browser
from meshcors.mesh import Gateway
from meshcors.mesh._analysis.page_call import trace_call
from meshcors.mesh._fix import FixOptions, fix
from tests.test_comparison import TO_A, TO_B, document

MANY = [f"https://o{number}.example" for number in range(14)]


def cors(*origins: str, headers: str = "", kind: str = "exact") -> str:
    """A corsPolicy."""
    entries = ", ".join(f"{{{kind}: '{origin}'}}" for origin in origins)
    return (
        f"corsPolicy: {{allowOrigins: [{entries}], allowHeaders: [{headers}],"
        " unmatchedPreflights: IGNORE}"
    )


def outcome(text: str, origin: str, path: str, *headers: tuple[str, str]) -> str:
    """What becomes of a page's GET."""
    url = f"https://api.example{path}"
    call = browser.Request(origin, url, "GET", dict(headers), "same-origin")
    return trace_call(Gateway.from_yaml(text), call).outcome


BY_ORIGIN = document(
    f"match: [{{headers: {{k: {{exact: v}}}}}}]; {cors(*MANY, headers='k')}; {TO_A}",
    f"{cors('https://b.example', headers='k')}; {TO_B}",
)


K = "headers: {k: {exact: v}}"
NESTED = document(
    f"match: [{{uri: {{prefix: /v1/a}}, {K}}}]; {cors('https://a.example', headers='k')}; {TO_A}",
    "match: [{uri: {prefix: /v1}, headers: {j: {exact: v}}}];"
    f" {cors('https://b.example', headers='j')}; {TO_B}",
)
PREFIX_AND_REGEX = document(
    f"match: [{{uri: {{prefix: /v1/}}, {K}}}]; {cors('https://a.example', headers='k')}; {TO_A}",
    "match: [{uri: {regex: '/(docs|v1/docs)(/.*)?'}}];"
    f" {cors('https://b.example', headers='content-type')}; {TO_B}",
)
TWO_REGEXES = document(
    f"match: [{{uri: {{regex: /(a|b)}}, {K}}}]; {cors('https://a.example', headers='k')}; {TO_A}",
    f"match: [{{uri: {{regex: /(c|b)}}}}]; {cors('https://b.example', headers='more')}; {TO_B}",
)
TWO_ORIGINS = document(
    f"match: [{{{K}}}]; {cors('https://(a|b)[.]example', headers='k', kind='regex')}; {TO_A}",
    f"{cors('https://(c|b)[.]example', headers='k, more', kind='regex')}; {TO_B}",
)
CROSSED_ORIGINS = document(
    f"match: [{{{K}}}]; {cors('https://.*[.]example', headers='k', kind='regex')}; {TO_A}",
    f"{cors('https://b.example', headers='more')}; {TO_B}",
)
TWO_VALUES = document(
    f"match: [{{{K}}}]; {cors('https://a.example', headers='k')}; {TO_A}",
    "match: [{headers: {k: {regex: v|w}}}];"
    f" {cors('https://b.example', headers='k')}; {TO_B}",
)
WITHOUT_K = document(
    f"match: [{{withoutHeaders: {{k: {{}}}}}}]; {cors('https://a.example')}; {TO_A}",
    f"{cors('https://b.example', headers='k')}; {TO_B}",
)


@pytest.mark.parametrize(
    ("text", "origin", "path", "headers", "before"),
    [
        pytest.param(BY_ORIGIN, MANY[0], "/", {"k": "v"}, "blocked", id="the first origin"),
        pytest.param(BY_ORIGIN, MANY[-1], "/", {"k": "v"}, "blocked", id="the last of 14 origins"),
        pytest.param(NESTED, "https://a.example", "/v1/a", {"k": "v"}, "blocked", id="inside"),
        pytest.param(NESTED, "https://b.example", "/v1/a", {"j": "v"}, "blocked", id="outside"),
        pytest.param(NESTED, "https://b.example", "/v1", {"j": "v"}, "blocked", id="its own path"),
        pytest.param(
            PREFIX_AND_REGEX,
            "https://b.example",
            "/v1/docs",
            {"content-type": "a/b"},
            "allowed",
            id="the other branch of a regex",
        ),
        pytest.param(
            PREFIX_AND_REGEX, "https://a.example", "/v1/x", {"k": "v"}, "blocked", id="beside it"
        ),
        pytest.param(
            TWO_REGEXES, "https://b.example", "/b", {"more": "1"}, "allowed", id="the same"
        ),
        pytest.param(TWO_REGEXES, "https://a.example", "/b", {"k": "v"}, "blocked", id="two paths"),
        pytest.param(
            TWO_ORIGINS, "https://b.example", "/", {"more": "1"}, "allowed", id="an origin"
        ),
        pytest.param(TWO_ORIGINS, "https://a.example", "/", {"k": "v"}, "blocked", id="the first"),
        pytest.param(
            CROSSED_ORIGINS, "https://b.example", "/", {"more": "1"}, "allowed", id="a wide regex"
        ),
        pytest.param(
            CROSSED_ORIGINS, "https://b.example", "/", {"k": "v"}, "blocked", id="in both"
        ),
        pytest.param(TWO_VALUES, "https://a.example", "/", {"k": "v"}, "blocked", id="a value"),
        pytest.param(TWO_VALUES, "https://b.example", "/", {"k": "w"}, "blocked", id="another"),
        pytest.param(WITHOUT_K, "https://a.example", "/", {}, "allowed", id="without a header"),
        pytest.param(WITHOUT_K, "https://b.example", "/", {"k": "1"}, "blocked", id="with it"),
    ],
)
def test_a_call_works_after_the_fix(
    text: str, origin: str, path: str, headers: dict[str, str], before: str
) -> None:
    assert outcome(text, origin, path, *headers.items()) == before
    fixed = fix(text, "a.yaml", FixOptions("mesh")).text
    assert outcome(fixed, origin, path, *headers.items()) == "allowed"
