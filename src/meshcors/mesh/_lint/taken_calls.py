"""A lint rule about documents of one host that take each other's calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.example_call import announced_headers, example_call, preflight_of
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD
from meshcors.mesh._routing.index import RouteIndex
from meshcors.mesh._routing.matching import mismatches
from meshcors.mesh._routing.routes import RouteMatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import DocumentKey, HttpRule, VirtualService
    from meshcors.mesh._routing.gateway import Gateway
    from meshcors.mesh._routing.request import GatewayRequest
    from meshcors.mesh._routing.routes import Route

_LAST: Final = "give it no conditions, so that it comes after every other rule"
_KINDS: Final = frozenset(("earlier_rule", "behind_catch_all", "other_owner"))


def taken_calls(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find rules that take the calls of another document.

    These are rules to a preflight pod that take calls with another document's header, and rules
    that get no calls at all.
    """
    yield from _taken_by_a_pod(mesh)
    yield from _never_called(mesh)


def _taken_by_a_pod(mesh: MeshDocuments) -> Iterator[Finding]:
    reported: set[object] = set()
    for gateway, port, host in mesh.hosts:
        pods = _pods(host.routes)
        others = list(_by_header(host.routes)) if pods else []
        for route in host.routes if others else ():
            preflight_rules = pods.get((route.document.key, _host(route)), ())
            if not preflight_rules or is_preflight_rule(route) or route.key in reported:
                continue
            for other in others:
                call = _taken_call(gateway, route, other, host.domain, port)
                if call is None or not _is_pod(preflight_rules, host.routes, other, call):
                    continue
                reported.add(route.key)
                names = ", ".join(announced_headers(other))
                url = f"{call.scheme}://{call.host}{call.path}"
                reason = (
                    f"{call.method} {url} with {names} goes to {_host(route)}, not to {other.rule}"
                )
                yield Finding(route.place, reason, _LAST)
                break


def _pods(routes: Iterable[Route]) -> dict[tuple[DocumentKey, str], list[Route]]:
    """Return the rules for preflights, by their document and service."""
    found: dict[tuple[DocumentKey, str], list[Route]] = {}
    for route in filter(is_preflight_rule, routes):
        found.setdefault((route.document.key, _host(route)), []).append(route)
    return found


def _by_header(routes: Iterable[Route]) -> Iterator[Route]:
    """Yield the rules by headers: one of those that differ only in values."""
    seen: set[object] = set()
    for route in routes:
        names = tuple(item.name for item in route.match.headers)
        alike = (route.document.key, route.match.path, names)
        if announced_headers(route) and alike not in seen and not is_preflight_rule(route):
            seen.add(alike)
            yield route


def _is_pod(
    preflight_rules: Iterable[Route],
    routes: Iterable[Route],
    other: Route,
    call: GatewayRequest,
) -> bool:
    """Tell whether a service answers preflights for others, and not only its own.

    It does if its rule asks for what only a preflight has, and leaves the answer to it. Else it
    does if without its document nothing would answer the preflight of ``call``.
    """
    document = next(iter(preflight_rules)).document.key
    for route in preflight_rules:
        names = {item.name for item in route.match.headers if not item.inverted}
        if REQUEST_METHOD in names and route.source.cors_policy is None:
            return True
    rest = RouteIndex([route for route in routes if route.document.key != document])
    answering = rest.first(preflight_of(call, announced_headers(other)))
    return answering is None or not answering.is_forward


def _taken_call(
    gateway: Gateway, route: Route, other: Route, domain: str, port: int
) -> GatewayRequest | None:
    """Return a call that meets the conditions of both rules, if ``route`` takes it."""
    is_other = other.document.key != route.document.key and _host(other) != _host(route)
    asked = {item.name for item in route.match.headers}
    if not is_other or asked & set(announced_headers(other)):
        return None
    for path in (route.match.path, other.match.path):
        headers = (*route.match.headers, *other.match.headers)
        both = RouteMatch(path, headers, (*route.match.query, *other.match.query))
        call = example_call(replace(route, match=both), domain, port)
        if call is None or any(mismatches(route.match, call)):
            continue
        taken = gateway.handle(call).route
        if not any(mismatches(other.match, call)) and taken and taken.key == route.key:
            return call
    return None


def _never_called(mesh: MeshDocuments) -> Iterator[Finding]:
    documents = {document.label: document for document in mesh.documents}
    reached = {
        rule.key[:2]
        for document in mesh.documents
        for rule in document.http
        if rule.key not in mesh.unreached
    }
    for document in mesh.documents:
        for rule in document.http:
            in_the_way = mesh.unreached.get(rule.key)
            if in_the_way is None or in_the_way.kind not in _KINDS or rule.key[:2] in reached:
                continue
            # documents of one name are versions of one object
            other = documents.get(in_the_way.label.partition(" ")[0])
            if other is None or other.label == document.label:
                continue
            # a policy that no request reaches has a finding of its own
            has_own = rule.cors_policy is not None or _is_for_a_pod(document, rule)
            if has_own or not (_has_cors(mesh, document) or _has_cors(mesh, other)):
                continue
            reason = f"no call reaches this rule: {in_the_way.label} takes them all"
            yield Finding(rule.place, reason, "give one of them a narrower match")


def _has_cors(mesh: MeshDocuments, document: VirtualService) -> bool:
    return bool(mesh.policies_of(document)) or mesh.has_preflight_rule(document)


def _is_for_a_pod(document: VirtualService, rule: HttpRule) -> bool:
    """Tell whether a rule sends preflights, or what no service takes, to a preflight pod."""
    pods = {
        to.host
        for each in document.http
        for match in each.match
        if REQUEST_METHOD in dict(match.headers)
        for to in each.route
    }
    return any(to.host in pods for to in rule.route)


def _host(route: Route) -> str:
    """Return the first service that a rule sends to, or ``""``."""
    return route.source.route[0].host if route.source.route else ""
