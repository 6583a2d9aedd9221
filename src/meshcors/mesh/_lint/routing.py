"""Rules about where preflights go: decided by routing one, never by the look of a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.subject import SOME_ORIGIN, example_call, is_preflight_rule
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD
from meshcors.mesh._routing.matching import mismatches
from meshcors.mesh._routing.request import GatewayRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.subject import Fate, Journey, PolicyAt, Subject
    from meshcors.mesh._routing.routes import Route

_TAKE_PREFLIGHTS: Final = "let a rule before it take preflights: meshcors fix"
_MOVE_UP: Final = "move it to the top of http"


def lost_preflights(subject: Subject) -> Iterator[Finding]:
    """Find a corsPolicy whose preflights meet no rule, a redirect or a direct response."""
    for at, journey in _first_journeys(subject, "nowhere", "refused"):
        answer = journey.answer
        if answer.route is None:
            end = "no rule takes it, Envoy answers 404"
        else:
            end = f"{answer.rule} answers it with {answer.status}"
        reason = f"a browser's preflight {_lack(journey)}: {end}, and this policy is never asked"
        yield Finding(at.place(), reason, _TAKE_PREFLIGHTS)


def strayed_preflights(subject: Subject) -> Iterator[Finding]:
    """Find a corsPolicy whose preflights another rule sends to another service."""
    for at, journey in _first_journeys(subject, "elsewhere"):
        answer = journey.answer
        end = f"{answer.rule} sends it to {answer.destination}"
        reason = f"a browser's preflight {_lack(journey)}: {end}, and this policy is never asked"
        yield Finding(at.place(), reason, _TAKE_PREFLIGHTS)


def policy_without_service(subject: Subject) -> Iterator[Finding]:
    """Find a corsPolicy beside ``redirect`` or ``directResponse``."""
    for at in subject.policies:
        for name, action in (
            ("redirect", at.rule.redirect),
            ("directResponse", at.rule.direct_response),
        ):
            if action is not None:
                reason = f"Envoy's cors filter does nothing on a rule with {name}"
                yield Finding(at.place(), reason, "answer with route, or remove the corsPolicy")


def routing_header_missing(subject: Subject) -> Iterator[Finding]:
    """Find an allowHeaders without the header that picks the service."""
    asked = {id(at.rule): at for at in subject.asked}
    said: set[tuple[int, str]] = set()
    for journey in subject.journeys:
        lost = journey.fate in {"nowhere", "refused"}
        route = journey.route if lost else journey.answer.route
        at = asked.get(id(route.source)) if route else None
        if at is None:
            continue
        allowed = {name.lower() for name in at.policy.allow_headers}
        for name in journey.names:
            if name in allowed or allowed == {"*"} or (id(at.rule), name) in said:
                continue
            said.add((id(at.rule), name))
            reason = f"{journey.route.rule} is picked by {name}, and pages may not send it"
            yield Finding(at.place("allowHeaders"), reason, f"add {name} to allowHeaders")


def dead_preflight_rules(subject: Subject) -> Iterator[Finding]:
    """Find a rule for preflights that an earlier rule keeps every one from."""
    labels = dict(_entries_for_preflights(subject))
    alive: set[str] = set()
    dead: dict[str, Finding] = {}
    for gateway, port, host in subject.hosts:
        for dropped in host.dropped:
            if dropped.reason == "behind_catch_all" and dropped.rule in labels:
                reason = f"{dropped.detail} takes every request: no preflight gets here"
                dead[dropped.rule] = Finding(dropped.place, reason, _MOVE_UP)
        for route in host.routes:
            asked = _example_preflight(route, host.domain, port)
            if asked is None:
                continue
            taken = gateway.handle(asked).route
            if taken is None or is_preflight_rule(taken):
                alive.add(route.rule)
            else:
                reason = f"{taken.rule} takes its preflights before it"
                dead.setdefault(route.rule, Finding(route.place, reason, _MOVE_UP))
    yield from (hit for label, hit in dead.items() if label not in alive)


def swallowed_options(subject: Subject) -> Iterator[Finding]:
    """Find a rule for preflights that takes every other OPTIONS request as well."""
    for _, _, host in subject.hosts:
        for route in host.routes:
            conditions = {item.name for item in route.match.headers if not item.inverted}
            if is_preflight_rule(route) and REQUEST_METHOD not in conditions:
                reason = "every OPTIONS request ends here, not only browsers' preflights"
                hint = "add headers: {access-control-request-method: {}} to the match"
                yield Finding(route.place, reason, hint)


def unmatched_preflights(subject: Subject) -> Iterator[Finding]:
    """Find a corsPolicy that leaves the preflights of refused origins to the service."""
    for at in subject.asked:
        if at.policy.unmatched_preflights == "UNSPECIFIED":
            reason = (
                "a preflight of any other origin goes on to the service, and if that answers *,"
                " the origin is allowed after all"
            )
            hint = "say unmatchedPreflights: IGNORE, or FORWARD if you mean it"
            yield Finding(at.place(), reason, hint)


def two_owners(subject: Subject) -> Iterator[Finding]:
    """Find header operations that write CORS headers."""
    for document in subject.documents:
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
                reason = f"headers.response writes {listed} beside {other}, for every origin alike"
                hint = "leave CORS to one owner: a corsPolicy, or the service"
                yield Finding(place, reason, hint)


def _first_journeys(subject: Subject, *fates: Fate) -> Iterator[tuple[PolicyAt, Journey]]:
    """Yield each corsPolicy with the first journey of its rule that has one of the fates."""
    for at in subject.policies:
        if not at.rule.route:
            continue
        for journey in subject.journeys_of(at.rule):
            # a GET without headers of its own has no preflight
            simple = journey.call.method in {"GET", "HEAD"} and not at.policy.allow_headers
            if journey.fate in fates and (journey.names or not simple):
                yield at, journey
                break


def _lack(journey: Journey) -> str:
    """Say what a preflight lacks of the conditions of its rule."""
    if journey.names:
        return f"names {', '.join(journey.names)} without carrying it"
    if any(item.name == ":method" for item in journey.route.match.headers):
        return "is an OPTIONS request"
    return "does not meet this rule"


def _example_preflight(route: Route, domain: str, port: int) -> GatewayRequest | None:
    """Return a preflight that a rule for preflights takes."""
    call = example_call(route, domain, port) if is_preflight_rule(route) else None
    if call is None:
        return None
    headers = dict(call.headers)
    headers = {"origin": SOME_ORIGIN, REQUEST_METHOD: "POST", REQUEST_HEADERS: "x-key"} | headers
    asked = GatewayRequest("OPTIONS", call.host, call.path, headers.items(), call.scheme, port)
    return None if any(mismatches(route.match, asked)) else asked


def _entries_for_preflights(subject: Subject) -> Iterator[tuple[str, None]]:
    """Yield the labels of the match entries that ask for OPTIONS, or for a preflight's header."""
    for document in subject.documents:
        for rule in document.http:
            for at, match in enumerate(rule.match):
                options = match.method is not None and match.method.value == "OPTIONS"
                if options or REQUEST_METHOD in dict(match.headers):
                    entry = "match" if document.kind == "VirtualService" else "matches"
                    number = at if document.kind == "VirtualService" else rule.match_index
                    yield f"{rule.label} {entry}[{number}]", None
