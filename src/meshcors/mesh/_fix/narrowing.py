"""How narrow a rule for preflights is: which preflights it takes besides those of lost calls.

A preflight shares the URL with its call, names the call's headers and method, and has the page's
origin. A rule may ask for each of these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Final, Literal

from meshcors.mesh._analysis.open_origins import is_open
from meshcors.mesh._analysis.useless_names import useless_header
from meshcors.mesh._documents.model import HttpMatch, StringMatch
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD
from meshcors.mesh._routing.matching import text_matches

if TYPE_CHECKING:
    from meshcors._policy.place import Place
    from meshcors.mesh._analysis.lost_calls import LostCalls

# What every call with a JSON body announces.
JSON: Final = frozenset({"content-type"})
# Istio refuses a longer one.
LONGEST_REGEX: Final = 1024
_SPECIAL: Final = re.compile(r"[\\.^$|?*+()\[\]{}]")
# A header is listed between commas, as browsers write the list, or with spaces.
_BEFORE: Final = "(.*[, ])?"
_AFTER: Final = "([, ].*)?"


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What a rule asks of a preflight besides the URL.

    ``names``: that it names the headers that the calls are routed by, or them and allowed ones
    ``only``. ``methods`` and ``origins``: that it names one of the calls' methods, and comes from
    one of their origins. ``apart``: there is a rule for each corsPolicy of the calls. ``json``:
    content-type counts as allowed, as the pod always does.
    """

    names: Literal["any", "named", "only"] = "any"
    methods: bool = False
    origins: bool = False
    apart: bool = False
    json: bool = False


# From the plainest to the narrowest.
NARROWINGS: Final = tuple(
    replace(each, apart=apart)
    for apart in (False, True)
    for each in (
        Narrowing(),
        Narrowing("named"),
        Narrowing("any", methods=True),
        Narrowing("named", methods=True),
        Narrowing("any", origins=True),
        Narrowing("named", origins=True),
        Narrowing("named", methods=True, origins=True),
        *(
            Narrowing("only", methods, origins, json=json)
            for json in (True, False)
            for origins in (False, True)
            for methods in (False, True)
        ),
    )
)


def url_conditions(match: HttpMatch, place: Place) -> HttpMatch:
    """Return the conditions that a preflight meets if and only if its call does."""
    return replace(match, place=place, name="", method=None, headers=(), without_headers=())


def preflight_matches(
    lost: LostCalls, shared: HttpMatch, narrowing: Narrowing, place: Place
) -> list[HttpMatch]:
    """Return the matches for the preflights of lost calls; ``shared`` are the URL's conditions."""
    present = StringMatch("present", "", place)
    found: dict[str, StringMatch | None] = {REQUEST_METHOD: present}
    if narrowing.methods:
        found[REQUEST_METHOD] = _one_of(_methods(lost), place)
    if narrowing.names != "any":
        found[REQUEST_HEADERS] = _names(lost, narrowing, place)
    if narrowing.origins:
        found["origin"] = _origins(lost, place)
    headers = tuple((name, match) for name, match in found.items() if match is not None)
    made = replace(shared, method=StringMatch("exact", "OPTIONS", place), headers=headers)
    if narrowing.names != "only" or lost.calls.names or REQUEST_HEADERS not in dict(headers):
        return [made]
    # A call that is routed by no header may have a preflight that names none.
    rest = tuple((name, match) for name, match in headers if name != REQUEST_HEADERS)
    return [made, replace(made, headers=rest, without_headers=((REQUEST_HEADERS, present),))]


def _methods(lost: LostCalls) -> list[str]:
    methods = dict.fromkeys(asked.method for asked in lost.requests)
    if "GET" in methods:
        methods["HEAD"] = None
    return list(methods)


def _names(lost: LostCalls, narrowing: Narrowing, place: Place) -> StringMatch | None:
    """Return the condition on the list of names, or None if the calls are routed by no header."""
    names = sorted(lost.calls.names)
    policy = lost.calls.route.source.cors_policy
    only = narrowing.names == "only"
    allowed = {name.lower() for name in policy.allow_headers} if policy and only else {"*"}
    allowed |= JSON if narrowing.json else set()
    if "*" in allowed:
        # A browser sends the names sorted; other clients may not.
        orders = permutations(names) if len(names) <= 3 else [tuple(names)]
        wanted = [f"[, ]{_BEFORE}".join(map(literal, order)) for order in orders]
        listed = wanted[0] if len(wanted) == 1 else f"({'|'.join(wanted)})"
        return StringMatch("regex", f"(?i){_BEFORE}{listed}{_AFTER}", place) if names else None
    others = sorted(name for name in allowed.difference(names) if not useless_header(name))
    listed = "|".join(map(literal, others))
    listed = f"({listed})" if len(others) > 1 else listed
    if not names:
        return StringMatch("regex", f"(?i){listed}([, ]+{listed})*", place)
    before, after = (f"({listed}[, ]+)*", f"([, ]+{listed})*") if others else ("", "")
    written = f"[, ]+{before}".join(map(literal, names))
    return StringMatch("regex", f"(?i){before}{written}{after}", place)


def _origins(lost: LostCalls, place: Place) -> StringMatch | None:
    """Return the condition on the origin, or None if the calls may come from any."""
    policy = lost.calls.route.source.cors_policy
    if policy is None:
        return None
    found = {asked.origin for asked in lost.requests}
    works = {asked.origin for asked in lost.calls.own} - found
    # An entry is left out only if calls from its origins work, as far as they are known.
    entries = [
        entry for entry in policy.allow_origins
        if any(text_matches(entry, it) for it in found)
        or not any(text_matches(entry, it) for it in works)
    ]  # fmt: skip
    if any(map(is_open, entries)):
        return None
    if len(entries) == 1:
        return replace(entries[0], place=place)
    return StringMatch("regex", "|".join(map(_as_regex, entries)), place)


def _as_regex(entry: StringMatch) -> str:
    if entry.kind == "regex":
        return f"({entry.value})"
    return literal(entry.value) + (".*" if entry.kind == "prefix" else "")


def literal(text: str) -> str:
    """Return a regex that matches just this text."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _one_of(texts: list[str], place: Place) -> StringMatch:
    if len(texts) == 1:
        return StringMatch("exact", texts[0], place)
    return StringMatch("regex", "|".join(map(literal, texts)), place)
