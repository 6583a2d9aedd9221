"""Envoy's route matching: whether a request meets the conditions, and which ones it fails.

Sources: ``source/common/router/config_impl.cc`` (matchRoute) and
``source/common/http/header_utility.cc``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from meshcors._policy.regex import CompiledRegex, Regex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._documents.model import StringMatch
    from meshcors.mesh._routing.request import GatewayRequest
    from meshcors.mesh._routing.routes import HeaderCondition, PathCondition, RouteMatch

_EVERY_PATH: Final = {("prefix", "/"), ("regex", ".*"), ("regex", "/.*")}
_NUMBER: Final = re.compile("[-+]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One condition that a request fails.

    ``field`` is the condition in the document (``headers.model-api-key``, ``method``, ``uri``, or
    ``path`` where it is no VirtualService), ``expected`` the condition in words, ``actual`` the
    request's values, if it has any.
    """

    field: str
    expected: str
    actual: tuple[str, ...]


def mismatches(
    match: RouteMatch, request: GatewayRequest, *, path: str = "uri"
) -> Iterator[Mismatch]:
    """Yield every condition of ``match`` that ``request`` fails; it matches if there is none.

    ``path`` is what the condition on the path is called in the document.
    """
    if not path_matches(match.path, request.path_only):
        yield Mismatch(path, str(match.path), (request.path_only,))
    for condition in match.headers:
        values = request.values.get(condition.name, ())
        if not header_matches(condition, values):
            expected = f"not {condition.match}" if condition.inverted else str(condition.match)
            yield Mismatch(condition.field, expected, values)
    for condition in match.claims:
        # no token is verified here, and a preflight carries none
        if not condition.inverted:
            yield Mismatch(condition.field, str(condition.match), ())
    for name in match.absent_query:
        if name in request.query:
            yield Mismatch(f"queryParams.{name}", "not present", (request.query[name],))
    for name, wanted in match.query:
        value = request.query.get(name)
        if value is None or not text_matches(wanted, value):
            actual = () if value is None else (value,)
            yield Mismatch(f"queryParams.{name}", str(wanted), actual)


def path_matches(condition: PathCondition, path: str) -> bool:
    """Match a path without query; ``ignore_case`` does not apply to a regex."""
    wanted = condition.value
    if condition.kind == "regex":
        return compiled(wanted).fullmatch(path)
    if condition.ignore_case:
        wanted, path = wanted.lower(), path.lower()
    if condition.kind == "exact":
        return path == wanted
    if not path.startswith(wanted):
        return False
    return condition.kind == "prefix" or path[len(wanted) :][:1] in {"", "/"}


def header_matches(condition: HeaderCondition, values: tuple[str, ...]) -> bool:
    """Match a header's values one by one: one has to match; if inverted, none may."""
    if condition.match.kind == "present":
        return (bool(values) or bool(condition.empty_if_missing)) != condition.inverted
    if not values:
        if not condition.missing_is_empty:
            return False
        values = ("",)
    return any(text_matches(condition.match, value) for value in values) != condition.inverted


def text_matches(match: StringMatch, text: str) -> bool:
    """Match one string, case-sensitively; a regex has to match all of it."""
    if match.kind == "exact":
        return text == match.value
    if match.kind == "prefix":
        return text.startswith(match.value)
    if match.kind == "range":
        return in_range(match.value, text)
    return match.kind == "present" or compiled(match.value).fullmatch(text)


def in_range(bounds: str, text: str) -> bool:
    """Tell whether a text is a whole number of ``low..high``, without ``high`` itself."""
    low, _, high = bounds.partition("..")
    number = text.strip()
    if not _NUMBER.fullmatch(number):
        return False
    return int(low) <= int(number) < int(high)


def takes_all_of(one: RouteMatch, other: RouteMatch) -> bool:
    """Tell whether ``one`` certainly takes every request that ``other`` takes."""
    if one.unknown or one.absent_query or one.claims:
        return False
    known = dict(other.query)
    return (
        _path_includes(one.path, other.path)
        and all(any(_header_includes(it, each) for each in other.headers) for it in one.headers)
        and all(name in known and _includes(it, known[name]) for name, it in one.query)
    )


def _path_includes(one: PathCondition, other: PathCondition) -> bool:
    if (one.kind, one.value) in _EVERY_PATH or one == other:
        return True
    if one.ignore_case or other.ignore_case:
        return False
    if other.kind == "exact":
        return path_matches(one, other.value)
    begin = other.value if other.kind != "regex" else compiled(other.value).literal_prefix()
    if one.kind == "segments":
        is_whole = other.kind == "segments" and begin == one.value
        return is_whole or begin.startswith(f"{one.value}/")
    begins = one.kind == "prefix" or _is_prefix(one.value)
    return begins and begin.startswith(one.value.removesuffix(".*" if one.kind == "regex" else ""))


def _header_includes(one: HeaderCondition, other: HeaderCondition) -> bool:
    if (one.name, one.inverted) != (other.name, other.inverted):
        return False
    same = (one.match.kind, one.match.value) == (other.match.kind, other.match.value)
    if one.inverted or one.empty_if_missing or other.missing_is_empty:
        return same and one.empty_if_missing == other.empty_if_missing
    return _includes(one.match, other.match)


def _includes(one: StringMatch, other: StringMatch) -> bool:
    if one.kind == "present" or (one.kind, one.value) == (other.kind, other.value):
        return True
    if other.kind == "exact":
        return text_matches(one, other.value)
    if other.kind == "prefix":
        begin = other.value
    elif other.kind == "regex":
        begin = compiled(other.value).literal_prefix()
    else:
        return False
    if one.kind == "regex" and _is_prefix(one.value):
        return begin.startswith(one.value.removesuffix(".*"))
    return one.kind == "prefix" and begin.startswith(one.value)


def _is_prefix(pattern: str) -> bool:
    """Tell whether a regex is a literal text and ``.*``."""
    return pattern.endswith(".*") and compiled(pattern).literal_prefix() == pattern[:-2]


def without_port(authority: str) -> str:
    """Return the host of ``host:port``; an IPv6 address keeps its brackets."""
    name, colon, port = authority.rpartition(":")
    if not colon or not port.isdigit() or (":" in name and not name.endswith("]")):
        return authority
    return name


# As many as one file can hold: with fewer, a file with more would miss the cache every time.
@lru_cache(maxsize=32768)
def compiled(pattern: str) -> CompiledRegex:
    """Compile an RE2 expression once; reading the document has checked it."""
    return CompiledRegex(Regex(pattern))
