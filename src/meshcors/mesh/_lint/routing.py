"""Lint rules about where preflights go, found by routing one through the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.example_call import EXAMPLE_ORIGIN, example_call
from meshcors.mesh._analysis.open_origins import is_open
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._lint.canaries import is_canary
from meshcors.mesh._lint.commands import FIX
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.running import useless_policies
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD
from meshcors.mesh._routing.matching import mismatches, takes_all_of
from meshcors.mesh._routing.request import GatewayRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.located_policy import LocatedPolicy
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.routed_call import PreflightEnd, RoutedCall
    from meshcors.mesh._documents.model import RuleKey, VirtualService
    from meshcors.mesh._routing.routes import Route

_ADD_RULE: Final = f"add a rule for preflights before this one: {FIX}"
_ADD_DOCUMENT: Final = "add a VirtualService with a rule for preflights on the same hosts"
NEVER_APPLIES: Final = ", and this policy never applies"
_MOVE_UP: Final = "move it to the top of http"
_NARROW: Final = "give one of them a narrower match"


def lost_preflights(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a corsPolicy whose preflights match no rule, or meet a redirect or directResponse.

    In what an Envoy runs, also one that its cors filter never reads.
    """
    yield from useless_policies(mesh)
    for located, call in first_calls(mesh, "no_rule", "no_service"):
        answer = call.preflight_answer
        if answer.route is None:
            end = "no rule matches it, Envoy answers 404"
        else:
            end = f"{answer.rule} answers it with {answer.status}"
        lack = what_it_lacks(call.names, call.route)
        yield Finding(
            located.place(), f"{lack}: {end}{NEVER_APPLIES}", how_to_add(located.document)
        )


def how_to_add(document: VirtualService) -> str:
    """Return how to add a rule for preflights: not to what a controller writes."""
    if is_canary(document):
        return _ADD_DOCUMENT
    if document.kind == "VirtualService":
        return _ADD_RULE
    # the order of an HTTPRoute's rules does not matter
    command = f": {FIX}" if document.kind == "HTTPRoute" else ""
    return f"add a rule for preflights{command}"


def policy_without_service(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a corsPolicy beside ``redirect`` or ``directResponse``."""
    for located in mesh.policies:
        for name, action in (
            ("redirect", located.rule.redirect),
            ("directResponse", located.rule.direct_response),
        ):
            if action is not None:
                reason = f"Envoy's cors filter does nothing on a rule with {name}"
                hint = "route to a service, or remove the corsPolicy"
                yield Finding(located.place(), reason, hint)


def routing_header_missing(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find an allowHeaders without the header that picks the service."""
    policies = {located.rule.key: located for located in mesh.preflight_policies}
    reported: set[tuple[RuleKey, str]] = set()
    # a list in another rule's policy is the smaller part of what is wrong there
    strayed = {
        each.calls.route.source.key for each in mesh.answered_elsewhere if each.refused is not None
    }
    for call in mesh.calls:
        route = call.route if call.is_unanswered else call.preflight_answer.route
        located = policies.get(route.source.policy_key) if route else None
        own = call.route.source.key
        if located is None or own in strayed or own._replace(root=None) in mesh.unreached:
            continue
        allowed = {name.lower() for name in located.policy.allow_headers}
        for name in call.names:
            if name in allowed or allowed == {"*"} or (located.rule.key, name) in reported:
                continue
            reported.add((located.rule.key, name))
            reason = f"calls to {call.route.rule} carry {name}, which this list does not allow"
            yield Finding(located.place("allowHeaders"), reason, f"add {name} to allowHeaders")


def dead_preflight_rules(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a rule for preflights that no preflight reaches, because of an earlier rule."""
    entries = set(entries_for_preflights(mesh))
    alive: set[str] = set()
    dead: dict[str, Finding] = {}
    for gateway, port, host in mesh.hosts:
        for dropped in host.dropped:
            if dropped.reason == "behind_catch_all" and dropped.rule in entries:
                reason = f"{dropped.detail} takes every request, so no preflight reaches this rule"
                dead[dropped.rule] = Finding(dropped.place, reason, _MOVE_UP)
        for route in host.routes:
            preflight = _example_preflight(route, host.domain, port)
            if preflight is None:
                continue
            taken = gateway.handle(preflight).route
            if (
                taken is None
                or is_preflight_rule(taken)
                or not takes_all_of(taken.match, route.match)
            ):
                alive.add(route.rule)
            else:
                reason = f"{taken.rule} takes its preflights first"
                # the order of HTTPRoutes is not that of the file
                hint = _MOVE_UP if route.document.kind == "VirtualService" else _NARROW
                dead.setdefault(route.rule, Finding(route.place, reason, hint))
    yield from (finding for label, finding in dead.items() if label not in alive)


def swallowed_options(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a rule for preflights that takes all other OPTIONS requests too."""
    for _, _, host in mesh.hosts:
        for route in host.routes:
            conditions = {item.name for item in route.match.headers if not item.inverted}
            if is_preflight_rule(route) and REQUEST_METHOD not in conditions:
                reason = "this rule takes every OPTIONS request, not only browsers' preflights"
                hint = "add headers: {access-control-request-method: {}} to the match"
                yield Finding(route.place, reason, hint)


def unmatched_preflights(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a corsPolicy that leaves the preflights of refused origins to the service."""
    for located in mesh.preflight_policies:
        refuses_some = not any(map(is_open, located.policy.allow_origins))
        # Flagger's corsPolicy does not have the field
        can_tell = refuses_some and not is_canary(located.document)
        if can_tell and located.policy.unmatched_preflights == "UNSPECIFIED":
            reason = (
                "preflights of other origins go on to the service, and if it answers *, those"
                " origins are allowed after all"
            )
            hint = "set unmatchedPreflights: IGNORE, or FORWARD if that is intended"
            yield Finding(located.place(), reason, hint)


def two_owners(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find header operations that write CORS headers."""
    for document in mesh.documents:
        for at, rule in enumerate(document.http):
            for headers in (rule.headers, *(to.headers for to in rule.route)):
                pairs = (*headers.response.set, *headers.response.add)
                names = [name for name, _ in pairs if name.lower().startswith("access-control-")]
                if not names:
                    continue
                path = ("spec", "http", at, "headers" if headers is rule.headers else "route")
                place = rule.place if document.kind == "HTTPRoute" else document.place_at(*path)
                other = "the corsPolicy" if rule.cors_policy else "the service"
                listed = ", ".join(sorted(set(names)))
                reason = f"headers.response writes {listed} for every origin, on top of {other}"
                hint = "let only one of them write CORS headers: a corsPolicy, or the service"
                yield Finding(place, reason, hint)


def first_calls(
    mesh: MeshDocuments, *ends: PreflightEnd
) -> Iterator[tuple[LocatedPolicy, RoutedCall]]:
    """Yield each corsPolicy with the first call of its rule whose preflight ends so."""
    for located in mesh.policies:
        if not located.rule.leads_on:
            continue
        for call in mesh.calls_of_rule(located.rule):
            if call.preflight_end in ends and call.has_preflight:
                yield located, call
                break


def what_it_lacks(names: tuple[str, ...], route: Route) -> str:
    """Return why a preflight does not match the rule of its call."""
    if names:
        them = "them" if len(names) > 1 else "it"
        lack = f"names {', '.join(names)} but does not carry {them}"
    elif any(item.name == ":method" for item in route.match.headers):
        lack = "is an OPTIONS request"
    else:
        lack = "does not match this rule"
    return f"a browser's preflight {lack}"


def _example_preflight(route: Route, domain: str, port: int) -> GatewayRequest | None:
    """Return a preflight that a rule for preflights takes."""
    call = example_call(route, domain, port) if is_preflight_rule(route) else None
    if call is None:
        return None
    headers = {"origin": EXAMPLE_ORIGIN, REQUEST_METHOD: "POST", REQUEST_HEADERS: "x-key"}
    headers |= dict(call.headers)
    sent = GatewayRequest("OPTIONS", call.host, call.path, headers.items(), call.scheme, port)
    return None if any(mismatches(route.match, sent)) else sent


def entries_for_preflights(mesh: MeshDocuments) -> Iterator[str]:
    """Yield the labels of the match entries that ask for OPTIONS, or for a preflight's header."""
    for document in mesh.documents:
        for rule in document.http:
            for at, match in enumerate(rule.match):
                options = match.method is not None and match.method.value == "OPTIONS"
                if options or REQUEST_METHOD in dict(match.headers):
                    entry = "match" if document.kind == "VirtualService" else "matches"
                    number = at if document.kind == "VirtualService" else rule.match_index
                    yield f"{rule.label} {entry}[{number}]"
