"""The page on coming from CORSMiddleware: many preflights to both, judged as a browser does."""

from __future__ import annotations

from collections import Counter
from itertools import product
from textwrap import fill
from typing import Any, NamedTuple

import pytest
from starlette.middleware.cors import CORSMiddleware

from meshcors import MeshCORS
from meshcors.browser import Request, Response, judge_preflight, preflight_for
from tests.calling import EVIL, UI
from tests.coming_from import Page
from tests.starlette_pair import app_with, ask, translated

WIDTH = 120
# Without `authorization` a star is a warning, and so are safelisted methods in a list.
pytestmark = pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")

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
        "`authorization` under `*`, without credentials: by the standard a `*` does not cover it, "
        "though today's browsers let it pass. CORSMiddleware repeats the name, meshcors answers "
        '`*`. Write `["*", "authorization"]`.',
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
        fill(
            f"Each of the {remembered} that pass in both is kept for 600 seconds with "
            "CORSMiddleware, and for 5 with meshcors: the policies do not set `max_age`.",
            WIDTH,
        ),
    ]
    assert remembered == counts["pass"]
    return "\n".join(lines)


def test_every_difference_is_in_a_class_that_the_page_counts() -> None:
    Page("starlette").check("preflights", grid_table())
