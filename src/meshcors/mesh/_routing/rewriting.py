"""How Envoy rewrites the path and host of a request, and the headers of a response.

Sources: ``source/common/router/config_impl.cc`` (finalizePathHeader, newUri, processRequestHost)
and ``header_parser.cc``; ``ApplyRedirect`` and ``TranslateHeadersOperations`` in Istio's
``route.go``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors._policy.web_ports import WEB_PORTS
from meshcors.mesh._routing.cors_filter import Fields
from meshcors.mesh._routing.request import join

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._documents.model import Destination, HeaderOperations, Redirect
    from meshcors.mesh._routing.request import GatewayRequest
    from meshcors.mesh._routing.routes import PathCondition, Route

# Envoy's filters register these with its header map: several lines become one.
_JOINED: Final = re.compile("access-control-(allow|expose)-|access-control-max-age|vary")


def rewritten_path(route: Route, request: GatewayRequest) -> str:
    """Return the path and query that the service sees."""
    rewrite = route.source.rewrite
    target = request.target
    if rewrite is None:
        return target
    path, query = request.path_only, target[len(request.path_only) :]
    if rewrite.regex:
        return _regex_replaced(rewrite.regex, rewrite.substitution, path) + query
    if not rewrite.uri:
        return target
    condition = route.match.path
    if route.document.kind == "HTTPRoute" and rewrite.uri == "/":
        # Istio uses a regex that removes the prefix and keeps one slash
        prefix = condition.value if condition.kind == "segments" else ""
        return "/" + path[len(prefix) :].removeprefix("/") + query
    return _prefix_replaced(condition, path, rewrite.uri) + query


def _regex_replaced(regex: str, substitution: str, path: str) -> str:
    r"""Replace what a regex matches as RE2 does: ``\0`` to ``\9`` are groups, ``\10`` is not."""
    import re2  # of the extra "regex", which reading the document has required

    def replaced(found: re.Match[str]) -> str:
        return re.sub(
            r"\\(.)",
            lambda escape: "\\" if escape[1] == "\\" else found[int(escape[1])] or "",
            substitution,
        )

    return str(re2.sub(regex, replaced, path))


def _prefix_replaced(condition: PathCondition, path: str, new: str) -> str:
    if condition.kind in {"exact", "regex"}:
        return new
    return new + path[len(condition.value) :]


def rewritten_authority(route: Route, destination: Destination, request: GatewayRequest) -> str:
    """Return the host that the service sees; the rule's setting beats the destination's."""
    rewrite = route.source.rewrite
    own = (rewrite.authority if rewrite else "") or _authority(route.source.headers.request)
    return own or _authority(destination.headers.request) or request.host


def _authority(operations: HeaderOperations) -> str:
    found = [
        value
        for name, value in (*operations.set, *operations.add)
        if name.lower() in {"host", ":authority"}
    ]
    return found[0] if found else ""


def location(redirect: Redirect, route: Route, request: GatewayRequest) -> str:
    """Return the URL of a redirect."""
    scheme = redirect.scheme or request.scheme
    port = redirect.port
    if redirect.derive_port == "FROM_REQUEST_PORT":
        port = route.port
    own_port = port == WEB_PORTS.get(redirect.scheme or "http")
    if own_port and not redirect.as_written:
        port = 0
    own_host = request.host if redirect.keep_port else _host(request, scheme, bool(port))
    host = redirect.authority or own_host
    query = "" if redirect.strip_query else request.target[len(request.path_only) :]
    target = request.path_only + query
    if redirect.uri:
        target = redirect.uri + (query if "?" not in redirect.uri else "")
    elif redirect.prefix_rewrite:
        path = _prefix_replaced(route.match.path, request.path_only, redirect.prefix_rewrite)
        target = path + query
    elif redirect.regex:
        target = _regex_replaced(redirect.regex, redirect.substitution, request.path_only) + query
    return f"{scheme}://{host}{f':{port}' if port else ''}{target}"


def _host(request: GatewayRequest, scheme: str, has_port: bool) -> str:
    """Return the request's host, without a port that is replaced or the old scheme's default."""
    name, colon, port = request.host.rpartition(":")
    if not colon or not port.isdigit():
        return request.host
    is_default = port == str(WEB_PORTS.get(request.scheme))
    return name if has_port or (scheme != request.scheme and is_default) else request.host


def with_operations(
    fields: Iterable[tuple[str, str]], route: Route, to: Destination | None
) -> Fields:
    """Return a response's headers after ``headers.response`` of the rule and the destination."""
    own = route.source.headers.response
    result = list(fields)
    if to is None:
        result = _operated(result, [own])
    elif len(route.source.route) > 1 or route.document.kind == "RouteConfiguration":
        # Envoy applies them in two steps, the destination's first
        result = _operated(_operated(result, [to.headers.response]), [own])
    else:
        result = _operated(result, [own, to.headers.response])
    for outer in route.source.outer_headers:
        result = _operated(result, [outer.response])
    return result


def joined(fields: Iterable[tuple[str, str]]) -> Fields:
    """Join the lines of each CORS header with a comma, as Envoy's header map does."""
    result: Fields = []
    at: dict[str, int] = {}
    for name, value in fields:
        key = name.lower()
        if _JOINED.match(key) and key in at:
            result[at[key]] = (key, join((result[at[key]][1], value)))
            continue
        at.setdefault(key, len(result))
        result.append((name, value))
    return result


def _operated(fields: Fields, operations: list[HeaderOperations]) -> Fields:
    """Remove, then set, then add; ``%%`` is a percent sign, other formats stay as written."""
    removed = {name.lower() for each in operations for name in each.remove}
    result = [(name, value) for name, value in fields if name.lower() not in removed]
    present = {name.lower() for name, _ in result}
    replaced = [
        pair
        for each in operations
        for at, pair in enumerate(each.set)
        if at not in each.set_if_present or pair[0].lower() in present
    ]
    for name, value in replaced:
        result = [pair for pair in result if pair[0].lower() != name.lower()]
        result.append((name.lower(), value.replace("%%", "%")))
    added = [
        pair
        for each in operations
        for at, pair in enumerate(each.add)
        if at not in each.add_if_absent or pair[0].lower() not in present
    ]
    return joined([*result, *((name.lower(), value.replace("%%", "%")) for name, value in added)])
