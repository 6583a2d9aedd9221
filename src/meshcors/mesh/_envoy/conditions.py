"""Envoy's RouteMatch, as the conditions of a route.

Source: ``envoy/config/route/v3/route_components.proto`` (RouteMatch), and ``matches`` in
``source/common/router/config_impl.cc``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from meshcors.mesh._documents.checks import regex_error
from meshcors.mesh._documents.model import StringMatch
from meshcors.mesh._envoy.text_conditions import read_header, read_query, read_regex, read_string
from meshcors.mesh._routing.routes import HeaderCondition, PathCondition, RouteMatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcors.mesh._envoy.part import Part

_T = TypeVar("_T")

_PATHS: Final = (
    "prefix", "path", "path_separated_prefix", "safe_regex", "connect_matcher", "path_match_policy"
)  # fmt: skip
_MODELLED: Final = (
    *_PATHS, "case_sensitive", "runtime_fraction", "headers", "query_parameters", "grpc",
    "dynamic_metadata",
)  # fmt: skip
_JWT: Final = "envoy.filters.http.jwt_authn"
# A variable's name and its pattern, an operator, or other text of a URI template.
_TEMPLATE_PIECE: Final = re.compile(r"\{\w+(?:=([^{}]*))?\}|(\*\*?)|([^{}*]+)")
# What a * of a template stands for: characters of a segment, without * and =.
_SEGMENT: Final = r"a-zA-Z0-9\-._~%!$&'()+,;:@"
_OPERATORS: Final = {"*": f"[{_SEGMENT}]+", "**": f"[{_SEGMENT}/]*"}


def read_match(part: Part) -> RouteMatch:
    """Read a RouteMatch. What cannot be decided here is in ``unknown``, never left out."""
    part = part.scope()
    part.only(_MODELLED)
    headers = list(_certain(part, "headers", read_header))
    queries = list(_certain(part, "query_parameters", read_query))
    path = _path_of(part, headers)
    grpc = part.child("grpc")
    if grpc is not None:
        # exactly this type, or followed by +proto and the like
        match = StringMatch("regex", r"application/grpc(\+.*)?", grpc.place)
        headers.append(HeaderCondition("headers.content-type", "content-type", match))
    claims = list(_certain(part, "dynamic_metadata", _claim))
    _fraction(part, headers)
    return RouteMatch(
        path=path,
        headers=tuple(headers),
        query=tuple((name, match) for name, match in queries if match is not None),
        claims=tuple(claim for claim in claims if claim is not None),
        absent_query=tuple(name for name, match in queries if match is None),
        unknown=tuple(part.doubts),
    )


def _certain(part: Part, name: str, read: Callable[[Part], _T]) -> Iterator[_T]:
    """Yield the conditions of a list that are certain; the others only leave their doubts."""
    for each in part.children(name):
        own = each.scope()
        found = read(own)
        part.doubts.extend(own.doubts)
        if not own.doubts:
            yield found


def never(part: Part, field: str) -> HeaderCondition:
    """Return a condition that no request meets."""
    return HeaderCondition(field, ":method", StringMatch("exact", "", part.place))


def _path_of(part: Part, headers: list[HeaderCondition]) -> PathCondition:
    own = part.scope()
    found = _path(own, headers)
    part.doubts.extend(own.doubts)
    return PathCondition("prefix", "") if own.doubts else found


def _path(part: Part, headers: list[HeaderCondition]) -> PathCondition:
    ignore_case = not part.flag("case_sensitive", default=True)
    kind = next((kind for kind in _PATHS if part.has(kind)), "")
    if kind == "safe_regex":
        return PathCondition("regex", read_regex(part, kind), ignore_case)
    if kind == "connect_matcher":
        match = StringMatch("exact", "CONNECT", part.place)
        headers.append(HeaderCondition("method", ":method", match))
        return PathCondition("prefix", "")
    if kind == "path_match_policy":
        return _template(part.child(kind))
    if kind == "path":
        return PathCondition("exact", part.text(kind), ignore_case)
    if kind == "path_separated_prefix":
        return PathCondition("segments", part.text(kind), ignore_case)
    if kind == "prefix":
        return PathCondition("prefix", part.text(kind), ignore_case)
    part.doubt("", "has no condition on the path that is modelled")
    return PathCondition("prefix", "")


def _template(policy: Part | None) -> PathCondition:
    """Read a URI template as a regex (``uri_template_matcher``)."""
    config = policy.child("typed_config") if policy else None
    template = config.text("path_template") if config else ""
    pieces = list(_TEMPLATE_PIECE.finditer(template))
    if config is None or "".join(piece[0] for piece in pieces) != template or not template:
        if policy is not None:
            policy.doubt("", "is a condition on the path that is not modelled")
        return PathCondition("prefix", "")
    pattern = "".join(map(_template_regex, pieces))
    if error := regex_error(pattern):
        config.doubt("path_template", f"cannot be compared: {error}")
        return PathCondition("prefix", "")
    return PathCondition("regex", pattern)


def _template_regex(piece: re.Match[str]) -> str:
    inner, operator, literal = piece.groups()
    if literal is not None:
        return re.escape(literal)
    if operator is not None:
        return _OPERATORS[operator]
    found = re.split(r"(\*\*?)", inner if inner is not None else "*")
    return "".join(_OPERATORS.get(text) or re.escape(text) for text in found)


def _claim(part: Part) -> HeaderCondition | None:
    """Read a condition on metadata: those of the JWT filter are claims, others are unknown."""
    keys = [each.text("key") for each in part.children("path")]
    value = part.child("value")
    inner = value.child("string_match") if value else None
    if part.text("filter") != _JWT or value is None:
        part.doubt("", "is a condition on metadata, which is not modelled")
        return None
    field = "headers.@request.auth.claims." + ".".join(keys[1:])
    match = read_string(inner.scope()) if inner else StringMatch("present", "", part.place)
    return HeaderCondition(field, field.partition(".")[2], match, inverted=part.flag("invert"))


def _fraction(part: Part, headers: list[HeaderCondition]) -> None:
    """Read ``runtime_fraction``: the share of requests that the route takes."""
    share = part.fraction("runtime_fraction")
    if share is None or share == 1:
        return
    if share == 0:
        headers.append(never(part, "runtime_fraction"))
    else:
        part.doubt("runtime_fraction", f"takes {share:.2%} of these requests")
