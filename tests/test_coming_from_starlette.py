"""The page on CORSMiddleware: the situations of its tests and many preflights, in both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

import pytest
from starlette.middleware.cors import CORSMiddleware

from meshcors import MeshCORS, PolicyError, Regex
from meshcors.browser import Request, Response, judge_preflight, preflight_for
from tests import written_pages
from tests.calling import EVIL, UI, Answered, http_scope
from tests.coming_from import Page
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
# Without `authorization` a star is a warning, and so are safelisted methods in a list.
pytestmark = pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")


def translated(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings for meshcors, as the page's table says."""
    own = dict(settings)
    regex = own.pop("allow_origin_regex", None)
    if regex is not None:
        own["allow_origins"] = [*own.get("allow_origins", []), Regex(regex)]
    return own


def app_with(fields: Mapping[str, str]) -> Any:
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": b"Homepage"})

    return app


def ask(app: Any, method: str, fields: Mapping[str, str]) -> Answered:
    """One request; nothing in it waits, so that no event loop is needed."""
    answered = Answered()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = [
                (name.decode().lower(), value.decode()) for name, value in message["headers"]
            ]

    with pytest.raises(StopIteration):
        app(http_scope(method, "/", fields.items()), receive, send).send(None)
    return answered


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


# --- The situations of its own tests -------------------------------------------------------------

# A difference, as the page names it, and when an answer has it: (the request, the fact's name, what
# is expected, what meshcors answers). Each fact that differs has exactly one of these reasons.
Reason = Callable[[Asked, str, Any, Any], bool]
REASONS: dict[str, tuple[str, Reason]] = {
    "204": (
        "a preflight is answered 204, not 200",
        lambda asked, name, old, new: (name, old, new) == ("status", 200, 204),
    ),
    "403": (
        "a preflight from an origin that is not allowed is answered 403, not 400",
        lambda asked, name, old, new: (name, old, new) == ("status", 400, 403),
    ),
    "named": (
        "a preflight that asks for too much is answered 204 with what is allowed, not 400: the "
        "browser refuses it all the same, and its console names the header",
        lambda asked, name, old, new: (
            (name, old, new) == ("status", 400, 204)
            and "access-control-request-headers" in asked.fields
        ),
    ),
    "private": (
        "a preflight for a private network that is not allowed is answered 204 without the field, "
        "not 400: the browser refuses it all the same",
        lambda asked, name, old, new: (
            (name, old, new) == ("status", 400, 204)
            and "access-control-request-private-network" in asked.fields
        ),
    ),
    "`*` for methods": (
        "`*` is answered with `*`, not with a list of methods",
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
    lines += ["", *(f"- {name}: {text}." for name, (text, _) in REASONS.items())]
    return "\n".join(lines)


# --- Many preflights -----------------------------------------------------------------------------

PREVIEW = "https://pr-7.preview.example"
REGEX = r"https://pr-\d+\.preview\.example"
GRID_SETTINGS: tuple[dict[str, Any], ...] = (
    {"allow_origins": [UI]},
    {"allow_origins": [UI], "allow_methods": ["GET", "POST", "PUT"]},
    {"allow_origins": [UI], "allow_headers": ["authorization", "x-version"]},
    {"allow_origins": [UI], "allow_methods": ["*"], "allow_headers": ["*"]},
    {
        "allow_origins": [UI],
        "allow_methods": ["*"],
        "allow_headers": ["*"],
        "allow_credentials": True,
    },
    {
        "allow_origins": [UI],
        "allow_origin_regex": REGEX,
        "allow_methods": ["PUT", "DELETE"],
        "allow_headers": ["x-version"],
        "allow_credentials": True,
    },
    {"allow_origins": ["*"]},
    {"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"]},
    {
        "allow_origins": ["*"],
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["*", "authorization"],
    },
)
ORIGINS = (UI, PREVIEW, EVIL)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")
_JSON, _VERSION = {"content-type": "application/json"}, {"x-version": "1"}
_BEARER, _OTHER, _RANGE = {"authorization": "Bearer t"}, {"x-other": "1"}, {"range": "bytes=-5"}
HEADERS: tuple[dict[str, str], ...] = (
    _JSON,
    _VERSION,
    _OTHER,
    _BEARER,
    _RANGE,
    {**_JSON, **_VERSION},
    {**_JSON, **_BEARER},
    {**_JSON, **_OTHER},
    {**_BEARER, **_VERSION},
    {**_RANGE, **_JSON},
)


class Judged(NamedTuple):
    """What a browser makes of both answers to one preflight."""

    settings: dict[str, Any]
    call: Request
    theirs: str
    ours: str
    remembered: bool  # by their answer's max-age only

    @property
    def cause(self) -> str:
        """The name of the class; an AssertionError if it is in none."""
        if self.theirs == self.ours:
            return "pass" if self.ours == "allowed" else "same message"
        if "allowed" not in (self.theirs, self.ours):
            assert self.theirs == "preflight_not_ok"
            return "other message"
        names = {name for name, _ in self.call.headers}
        if self.ours != "allowed":
            assert self.ours == "header_not_allowed"
            assert "authorization" in names
            assert self.settings["allow_headers"] == ["*"]
            return "authorization"
        listed = self.settings.get("allow_methods", ["GET"])
        safelisted = self.call.method in ("GET", "HEAD", "POST")
        method = safelisted and not {self.call.method, "*"} & {*listed}
        ranged = "range" in names and "*" not in self.settings.get("allow_headers", [])
        assert method or ranged
        return " and ".join([*["method"] * method, *["range"] * ranged])


CAUSES = {
    "pass": ("passes", "passes", "nothing"),
    "same message": ("fails", "fails", "nothing: the console says the same"),
    "other message": (
        "fails",
        "fails",
        "CORSMiddleware answers 400, and the console says that the status is not ok. meshcors "
        "answers with what is allowed, and the console names the method or the header.",
    ),
    "authorization": (
        "passes",
        "fails",
        "`authorization` under `*`, without credentials: browsers do not let a `*` cover it, and "
        'meshcors answers `*`. Write `["*", "authorization"]`.',
    ),
    "method": (
        "fails",
        "passes",
        "GET, HEAD or POST is not in `allow_methods`. These need no permission: a page can send "
        "them without a preflight, so that a list without them keeps nobody out.",
    ),
    "range": (
        "fails",
        "passes",
        "`range` is not in `allow_headers`. meshcors always allows it: browsers send it themselves "
        "for media, and `bytes=0-` needs no permission.",
    ),
    "method and range": ("fails", "passes", "both of these"),
}


def grid() -> list[Judged]:
    judged = []
    for settings in GRID_SETTINGS:
        mode = "include" if settings.get("allow_credentials") else "omit"
        theirs = CORSMiddleware(app_with({}), **settings)
        ours = MeshCORS(app_with({}), **translated(settings))
        for origin, method, headers in product(ORIGINS, METHODS, HEADERS):
            call = Request(origin, "https://api.example/", method, headers, mode)
            fields = preflight_for(call)
            assert fields is not None
            both = [ask(each, "OPTIONS", dict(fields)) for each in (theirs, ours)]
            codes = [judge_preflight(call, Response(it.status, it.headers)).code for it in both]
            ages = [each.get("access-control-max-age") for each in both]
            judged.append(Judged(settings, call, *codes, remembered=ages == ["600", None]))
    return judged


def grid_table() -> str:
    judged = grid()
    counts = Counter(each.cause for each in judged)
    axes = len(GRID_SETTINGS), len(ORIGINS), len(METHODS), len(HEADERS)
    lines = [
        f"{axes[0]} policies, {axes[1]} origins, {axes[2]} methods and {axes[3]} lists of headers: "
        f"{len(judged):,} preflights.",
        "",
        "| preflights | CORSMiddleware | meshcors | what differs |",
        "|---|---|---|---|",
    ]
    assert {*counts} == {*CAUSES}
    lines += [f"| {counts[name]} | {' | '.join(texts)} |" for name, texts in CAUSES.items()]
    remembered = sum(each.remembered for each in judged if each.cause == "pass")
    lines += [
        "",
        f"Each of the {remembered} that pass in both is kept for 600 seconds with CORSMiddleware, "
        "and for 5 with meshcors: the policies say nothing of `max_age`.",
    ]
    assert remembered == counts["pass"]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "make"),
    [("situations", situations_table), ("preflights", grid_table)],
)
def test_the_page_has_what_is_counted(name: str, make: Callable[[], str]) -> None:
    text = PAGE.path.read_text(encoding="utf-8")
    pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
    assert len(re.findall(pattern, text, re.DOTALL)) == 1
    table = make()
    made = re.sub(pattern, lambda at: f"{at[1]}\n{table}\n\n{at[2]}", text, flags=re.DOTALL)
    written_pages.check(PAGE.path, made)
