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


@pytest.mark.parametrize(
    ("text", "origin", "path", "headers", "before"),
    [
        pytest.param(BY_ORIGIN, MANY[0], "/", {"k": "v"}, "blocked", id="the first origin"),
        pytest.param(BY_ORIGIN, MANY[-1], "/", {"k": "v"}, "blocked", id="the last of 14 origins"),
    ],
)
def test_a_call_works_after_the_fix(
    text: str, origin: str, path: str, headers: dict[str, str], before: str
) -> None:
    assert outcome(text, origin, path, *headers.items()) == before
    fixed = fix(text, "a.yaml", FixOptions("mesh")).text
    assert outcome(fixed, origin, path, *headers.items()) == "allowed"
