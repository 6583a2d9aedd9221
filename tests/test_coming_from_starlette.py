"""The page on coming from CORSMiddleware: the situations of its own tests, in both."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import fill
from typing import Any

import pytest
from starlette.middleware.cors import CORSMiddleware

from meshcors import MeshCORS, PolicyError
from tests.calling import Answered
from tests.coming_from import Page
from tests.starlette_pair import app_with, ask, translated
from tests.starlette_situations import (
    ACAH,
    ACAM,
    ACAO,
    SITUATIONS,
    Asked,
    Expected,
    Situation,
)

PAGE = Page("starlette")
WIDTH = 120
# Without `authorization` a star is a warning, and so are safelisted methods in a list.
pytestmark = pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")


def facts(answered: Answered, expected: Expected) -> dict[str, Any]:
    """What is expected of an answer, as it is in this one."""
    found: dict[str, Any] = {"status": answered.status}
    for name, value in expected.items():
        if isinstance(value, frozenset):
            found[name] = frozenset(answered.names(name))
        elif name != "status":
            found[name] = answered.get(name)
    return found


def differing(answered: Answered, expected: Expected) -> dict[str, Any]:
    """The facts that are not as expected; of a list, more names may be there than expected."""
    return {
        name: value
        for name, value in facts(answered, expected).items()
        if not (isinstance(value, frozenset) and value >= expected[name])  # type: ignore[operator]
        and value != expected[name]
    }


# A difference, as the page names it, and when an answer has it: (the request, the fact's name, what
# is expected, what meshcors answers). Each fact that differs has exactly one of these reasons.
Reason = Callable[[Asked, str, Any, Any], bool]
REASONS: dict[str, tuple[str, Reason]] = {
    "204": (
        "a preflight is answered 204, not 200, as there is no body to send",
        lambda asked, name, old, new: (name, old, new) == ("status", 200, 204),
    ),
    "403": (
        "a preflight from an origin that is not allowed is answered 403, not 400: it is refused, "
        "and not malformed",
        lambda asked, name, old, new: (name, old, new) == ("status", 400, 403),
    ),
    "named": (
        "a preflight that asks for too much is answered 204 with what is allowed, not 400: the "
        "browser still refuses it, and its console names the header",
        lambda asked, name, old, new: (
            (name, old, new) == ("status", 400, 204)
            and "access-control-request-headers" in asked.fields
        ),
    ),
    "private": (
        "a preflight for a private network that is not allowed is answered 204 without the field, "
        "not 400: a browser that asks for it still refuses it",
        lambda asked, name, old, new: (
            (name, old, new) == ("status", 400, 204)
            and "access-control-request-private-network" in asked.fields
        ),
    ),
    "`*` for methods": (
        "`*` is answered with `*`, not with a list, and so covers methods that no list has",
        lambda asked, name, old, new: name == ACAM and new == {"*"},
    ),
    "`*` for headers": (
        "`*` is answered with `*`, not with the requested names, so that it does not cover "
        "`authorization`",
        lambda asked, name, old, new: name == ACAH and new == {"*"},
    ),
    "`*` always": (
        "where every origin is allowed, an answer without an `Origin` says so too: one answer in a "
        "shared cache is right for everybody",
        lambda asked, name, old, new: name == ACAO and (old, new) == (None, "*"),
    ),
}
REFUSED = {
    "origin_wildcard_with_credentials": "every origin with credentials, and any site could act as "
    "the user",
    "origin_regex_open": "an expression that allows strangers, with credentials",
}


def reasons_of(situation: Situation) -> list[str]:
    """The names of the differences between what its tests expect and what meshcors answers."""
    try:
        own = MeshCORS(app_with(situation.answer), **translated(situation.settings))
    except PolicyError as error:
        return [error.problems[0].code]
    found: dict[str, None] = {}
    for asked in situation.asked:
        answered = ask(own, asked.method, asked.fields)
        for name, value in differing(answered, asked.expected).items():
            change = asked, name, asked.expected[name], value
            (reason,) = [key for key, (_, holds) in REASONS.items() if holds(*change)]
            found[reason] = None
    return list(found)


@pytest.mark.parametrize("situation", SITUATIONS, ids=[each.name for each in SITUATIONS])
def test_cors_middleware_answers_what_its_own_tests_expect(situation: Situation) -> None:
    theirs = CORSMiddleware(app_with(situation.answer), **situation.settings)
    for asked in situation.asked:
        assert differing(ask(theirs, asked.method, asked.fields), asked.expected) == {}


def situations_table() -> str:
    rows = {each.name: reasons_of(each) for each in SITUATIONS}
    same = sum(not reasons for reasons in rows.values())
    only_204 = sum(reasons == ["204"] for reasons in rows.values())
    refused = sum(reasons[:1] != [] and reasons[0] in REFUSED for reasons in rows.values())
    others = len(rows) - same - only_204 - refused
    lines = [
        f"Of the {len(rows)}, {same} are answered the same, and {only_204} the same but for a 204.",
        f"The settings of {refused} are refused at the start, and {others} differ otherwise.",
        "",
        "| situation | meshcors |",
        "|---|---|",
    ]
    for name, reasons in rows.items():
        told = [
            f"[refused](../policy.md#errors): {REFUSED[each]}" if each in REFUSED else each
            for each in reasons
        ]
        lines.append(f"| {name} | {', '.join(told) or 'the same'} |")
    told = (f"- {name}: {text}." for name, (text, _) in REASONS.items())
    lines += ["", *(fill(each, WIDTH, subsequent_indent="  ") for each in told)]
    return "\n".join(lines)


def test_the_page_says_how_each_situation_differs() -> None:
    PAGE.check("situations", situations_table())
