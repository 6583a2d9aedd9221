"""Envoy's StringMatcher, HeaderMatcher and QueryParameterMatcher, as the conditions of a route.

Sources: ``envoy/type/matcher/v3/string.proto``, ``envoy/config/route/v3/route_components.proto``,
``source/common/http/header_utility.cc``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.checks import regex_error
from meshcors.mesh._documents.model import StringMatch
from meshcors.mesh._routing.routes import HeaderCondition

if TYPE_CHECKING:
    from meshcors.mesh._envoy.part import Part

_KINDS: Final = ("exact", "prefix", "suffix", "contains", "safe_regex")
# Fields of a HeaderMatcher from before `string_match`.
_OLD_KINDS: Final = {
    "exact_match": "exact",
    "prefix_match": "prefix",
    "suffix_match": "suffix",
    "contains_match": "contains",
}
_OLD_REGEX: Final = "safe_regex_match"
_PSEUDO: Final = {":method": "method", ":authority": "authority", ":scheme": "scheme"}


def read_string(part: Part) -> StringMatch:
    """Read a StringMatcher; suffixes, contained texts and ignored case become a regex."""
    part.only((*_KINDS, "ignore_case"))
    kind = next((kind for kind in _KINDS if part.has(kind)), "")
    if not kind:
        part.doubt("", "is a condition that is not modelled")
        return StringMatch("present", "", part.place)
    if kind == "safe_regex":
        return StringMatch("regex", read_regex(part, kind), part.place)
    return _string(part, kind, part.text(kind), folded=part.flag("ignore_case"))


def _string(part: Part, kind: str, value: str, *, folded: bool = False) -> StringMatch:
    if kind in {"exact", "prefix"} and not folded:
        return StringMatch("exact" if kind == "exact" else "prefix", value, part.place)
    before = ".*" if kind in {"suffix", "contains"} else ""
    after = ".*" if kind in {"prefix", "contains"} else ""
    case = "(?i)" if folded else ""
    pattern = f"{case}{before}{re.escape(value)}{after}"
    if error := regex_error(pattern):
        part.doubt(kind, f"cannot be compared: {error}")
        return StringMatch("present", "", part.place)
    return StringMatch("regex", pattern, part.place)


def read_regex(part: Part, name: str) -> str:
    """Read a RegexMatcher; RE2 has to accept it."""
    inner = part.child(name)
    if inner is None:
        return ".*"
    pattern = inner.text("regex")
    if error := regex_error(pattern):
        inner.doubt("regex", f"is no regex: {error}")
        return ".*"
    return pattern


def read_header(part: Part) -> HeaderCondition:
    """Read a HeaderMatcher. Without a condition, the header has to be present."""
    own = ("string_match", "present_match", "range_match", _OLD_REGEX, *_OLD_KINDS)
    part.only(("name", "invert_match", "treat_missing_header_as_empty", *own))
    name = part.text("name").lower()
    inverted = part.flag("invert_match")
    if part.has("present_match"):
        inverted ^= not part.flag("present_match", default=True)
    match = _header_value(part)
    field = _PSEUDO.get(name, f"headers.{name}")
    missing = part.flag("treat_missing_header_as_empty")
    return HeaderCondition(field, name, match, inverted=inverted, empty_if_missing=missing)


def _header_value(part: Part) -> StringMatch:
    inner = part.child("string_match")
    if inner is not None:
        return read_string(inner)
    if part.has(_OLD_REGEX):
        return StringMatch("regex", read_regex(part, _OLD_REGEX), part.place)
    bounds = part.child("range_match")
    if bounds is not None:
        value = f"{bounds.number('start')}..{bounds.number('end')}"
        return StringMatch("range", value, part.place)
    for name, kind in _OLD_KINDS.items():
        if part.has(name):
            return _string(part, kind, part.text(name))
    return StringMatch("present", "", part.place)


def read_query(part: Part) -> tuple[str, StringMatch | None]:
    """Read a QueryParameterMatcher; None stands for a parameter that must not be there."""
    part.only(("name", "string_match", "present_match"))
    inner = part.child("string_match")
    if inner is not None:
        return part.text("name"), read_string(inner)
    if part.has("present_match") and not part.flag("present_match"):
        return part.text("name"), None
    return part.text("name"), StringMatch("present", "", part.place)
