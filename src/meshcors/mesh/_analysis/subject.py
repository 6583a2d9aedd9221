"""What lint looks at: all documents of all files together, and where each rule's preflights go.

A `Journey` is a call that a rule would take, made from the rule's own conditions, and what the
model answers to the preflight that a browser sends before it. A rule whose conditions no example
was found for has none, and nothing is said about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors._policy.headers import is_forbidden_request_header as is_forbidden
from meshcors._policy.regex_examples import example_of
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD
from meshcors.mesh._routing.gateway import Gateway
from meshcors.mesh._routing.matching import mismatches, text_matches
from meshcors.mesh._routing.request import GatewayRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._documents.model import CorsPolicy, HttpRule, StringMatch, VirtualService
    from meshcors.mesh._documents.problems import Place
    from meshcors.mesh._routing.gateway import GatewayAnswer
    from meshcors.mesh._routing.routes import (
        HeaderCondition,
        PathCondition,
        Route,
        RouteTable,
        VirtualHost,
    )

# A page that no rule of anybody names; what it is plays no part in routing.
SOME_ORIGIN: Final = "https://ui.example"
# No rule; a redirect or direct response; the rule itself; another rule's corsPolicy; a rule for
# preflights alone; another rule's service.
Fate: TypeAlias = Literal["nowhere", "refused", "own", "cors", "preflight_rule", "elsewhere"]

_METHODS: Final = ("POST", "GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class PolicyAt:
    """A corsPolicy and the path to it in its document."""

    document: VirtualService
    rule: HttpRule
    policy: CorsPolicy
    path: tuple[str | int, ...]

    def place(self, *inner: str | int) -> Place:
        """Return the place of a part, such as ``("allowHeaders", 2)``."""
        if self.document.kind == "HTTPRoute":
            return self.policy.place
        return self.document.place_at(*self.path, *inner)


@dataclass(frozen=True)
class Journey:
    """A call that ``route`` takes, and what the gateway answers to its preflight.

    ``names`` are the headers the preflight announces.
    """

    route: Route
    call: GatewayRequest
    names: tuple[str, ...]
    answer: GatewayAnswer

    @property
    def is_lost(self) -> bool:
        """Whether nobody answers the preflight who is meant to."""
        return self.fate in {"nowhere", "refused", "elsewhere"}

    @property
    def fate(self) -> Fate:
        """Where the preflight ends."""
        answer = self.answer
        if answer.route is None:
            return "nowhere"
        if answer.kind in {"redirect", "direct_response"}:
            return "refused"
        if answer.route.source is self.route.source:
            return "own"
        if answer.kind == "cors" or answer.route.source.cors_policy is not None:
            return "cors"
        return "preflight_rule" if is_preflight_rule(answer.route) else "elsewhere"


@dataclass(frozen=True)
class Subject:
    """Everything that is read: routes, objects of other kinds, and the text of each file."""

    documents: tuple[VirtualService, ...]
    others: tuple[Cursor, ...]
    texts: dict[str, str]

    @cached_property
    def policies(self) -> tuple[PolicyAt, ...]:
        """Every corsPolicy."""
        found: list[PolicyAt] = []
        for document in self.documents:
            for at, rule in enumerate(document.http):
                if rule.cors_policy is not None:
                    path = ("spec", "http", at, "corsPolicy")
                    found.append(PolicyAt(document, rule, rule.cors_policy, path))
        return tuple(found)

    @cached_property
    def hosts(self) -> tuple[tuple[Gateway, int, VirtualHost], ...]:
        """The virtual hosts of every gateway, on each port that a rule asks for.

        Of hosts that route alike on every port the first stands for all: whatever is sent to one
        of them meets the same rules at the others.
        """
        ports = sorted(
            {443}
            | {
                match.port
                for document in self.documents
                for rule in document.http
                for match in rule.match
                if match.port
            },
            reverse=True,
        )
        bound: dict[str, list[VirtualService]] = {}
        for document in self.documents:
            for name in dict.fromkeys(document.gateways):
                bound.setdefault(name, []).append(document)
        found: list[tuple[Gateway, int, VirtualHost]] = []
        for name, documents in bound.items():
            gateway = Gateway(tuple(documents), name)
            chosen = _representatives(gateway, ports)
            for port in ports:
                hosts = gateway.virtual_hosts(port)
                found += [(gateway, port, host) for host in hosts if host.domain in chosen]
        return tuple(found)

    @cached_property
    def journeys(self) -> tuple[Journey, ...]:
        """A journey for each route that takes calls; rules for preflights alone take none."""
        found: dict[tuple[str, str, str], Journey] = {}
        for gateway, port, host in self.hosts:
            answers: dict[object, GatewayAnswer] = {}
            for route in host.routes:
                key = (gateway.name, host.domain, route.rule)
                if key in found or is_preflight_rule(route):
                    continue
                call = example_call(route, host.domain, port)
                if call is None:
                    continue
                names = announced(route)
                # rules that differ in the key's value have one preflight
                same = (call.host, call.path, call.scheme, call.method, names)
                if same not in answers:
                    answers[same] = gateway.handle(preflight(call, names))
                journey = Journey(route, call, names, answers[same])
                if not journey.is_lost or _takes(gateway, route, call):
                    found[key] = journey
        return tuple(found.values())

    @cached_property
    def asked(self) -> tuple[PolicyAt, ...]:
        """The policies that preflights are answered by, or would be if any arrived."""
        rules: set[int] = set()
        for journey in self.journeys:
            lost = journey.fate in {"nowhere", "refused"}
            route = journey.route if lost else journey.answer.route
            rules.update([id(route.source)] if route else [])
        for _, _, host in self.hosts:
            rules.update(id(route.source) for route in host.routes if is_preflight_rule(route))
        return tuple(at for at in self.policies if id(at.rule) in rules and at.rule.route)

    def journeys_of(self, rule: HttpRule) -> list[Journey]:
        """Return the journeys of one rule."""
        return self._journeys_by_rule.get(id(rule), [])

    def journeys_from(self, document: VirtualService) -> list[Journey]:
        """Return the journeys of one document's rules."""
        return self._journeys_by_document.get(id(document), [])

    def policies_of(self, document: VirtualService) -> list[PolicyAt]:
        """Return the corsPolicies of one document."""
        return self._policies_by_document.get(id(document), [])

    def has_preflight_rule(self, document: VirtualService) -> bool:
        """Tell whether any route of a document is there for preflights."""
        return id(document) in self._preflight_documents

    @cached_property
    def _journeys_by_rule(self) -> dict[int, list[Journey]]:
        found: dict[int, list[Journey]] = {}
        for journey in self.journeys:
            found.setdefault(id(journey.route.source), []).append(journey)
        return found

    @cached_property
    def _journeys_by_document(self) -> dict[int, list[Journey]]:
        found: dict[int, list[Journey]] = {}
        for journey in self.journeys:
            found.setdefault(id(journey.route.document), []).append(journey)
        return found

    @cached_property
    def _policies_by_document(self) -> dict[int, list[PolicyAt]]:
        found: dict[int, list[PolicyAt]] = {}
        for at in self.policies:
            found.setdefault(id(at.document), []).append(at)
        return found

    @cached_property
    def _preflight_documents(self) -> set[int]:
        return {
            id(route.document)
            for _, _, host in self.hosts
            for route in host.routes
            if is_preflight_rule(route)
        }


def _representatives(gateway: Gateway, ports: Iterable[int]) -> frozenset[str]:
    """Return the first domain of each set of hosts that route alike on every port."""
    fates: dict[str, list[object]] = {}
    for port in ports:
        conditions: dict[int, _Authorities] = {}
        for host in gateway.virtual_hosts(port):
            name = _example_host(host.domain)
            # what is sent to *.example.com may have a host of its own
            met = gateway.virtual_host(name, port)
            fate: list[object] = [port]
            for table in (host.table, met.table if met else None):
                if table is not None and id(table) not in conditions:
                    conditions[id(table)] = _Authorities.of(table)
                fate.append(table and (id(table), conditions[id(table)].met_by(name)))
            fates.setdefault(host.domain, []).append(tuple(fate))
    first: dict[tuple[object, ...], str] = {}
    for domain, fate in fates.items():
        first.setdefault(tuple(fate), domain)
    return frozenset(first.values())


@dataclass(frozen=True, slots=True)
class _Authorities:
    """All that the routes of a table ask of the request's host."""

    exact: frozenset[str]
    others: tuple[StringMatch, ...]

    @classmethod
    def of(cls, table: RouteTable) -> _Authorities:
        asked = {
            (item.match.kind, item.match.value): item.match
            for route in table.routes
            for item in route.match.headers
            if item.name == ":authority"
        }
        exact = frozenset(value for kind, value in asked if kind == "exact")
        others = tuple(match for match in asked.values() if match.kind != "exact")
        return cls(exact, others)

    def met_by(self, name: str) -> tuple[object, ...]:
        """Return which of them a host's name meets: two of equal results meet the same."""
        return (
            name if name in self.exact else None,
            *(text_matches(match, name) for match in self.others),
        )


def _takes(gateway: Gateway, route: Route, call: GatewayRequest) -> bool:
    """Tell whether no earlier rule and no other host takes the call."""
    taken = gateway.handle(call).route
    return taken is not None and taken.rule == route.rule


def is_preflight_rule(route: Route) -> bool:
    """Tell whether a rule is there for preflights: OPTIONS alone, or a preflight's own header."""
    for condition in route.match.headers:
        if condition.inverted:
            continue
        if condition.name == REQUEST_METHOD:
            return True
        if condition.name == ":method" and not any(
            text_matches(condition.match, method) for method in _METHODS[:-1]
        ):
            return text_matches(condition.match, "OPTIONS")
    return False


def preflight(
    call: GatewayRequest, names: tuple[str, ...], origin: str = SOME_ORIGIN
) -> GatewayRequest:
    """Return the preflight that a browser sends before ``call`` (Fetch, CORS-preflight fetch)."""
    headers = [("origin", origin), (REQUEST_METHOD, call.method)]
    if names:
        headers.append((REQUEST_HEADERS, ",".join(names)))
    return GatewayRequest("OPTIONS", call.host, call.path, headers, call.scheme, call.port)


def announced(route: Route) -> tuple[str, ...]:
    """Return the headers of a call that its preflight names: those a script has to set."""
    return tuple(sorted({item.name for item in route.match.headers if _is_of_script(item)}))


def _is_of_script(condition: HeaderCondition) -> bool:
    name = condition.name
    own = name in SAFELISTED_REQUEST_HEADERS or name == "user-agent" or is_forbidden(name)
    return not (condition.inverted or own or name.startswith((":", "x-forwarded")))


def example_call(route: Route, domain: str, port: int) -> GatewayRequest | None:
    """Return a request that meets all conditions of ``route``, None where none is found."""
    path = _example_path(route.match.path)
    query = [(name, _example_text(match)) for name, match in route.match.query]
    if path is None or any(value is None for _, value in query):
        return None
    headers: list[tuple[str, str]] = []
    special = {":method": "POST", ":authority": _example_host(domain), ":scheme": "https"}
    for condition in route.match.headers:
        if condition.inverted:
            continue
        if condition.name == ":method":
            special[":method"] = _example_method(condition.match)
            continue
        text = _example_text(condition.match)
        if text is None:
            return None
        if condition.name in special:
            special[condition.name] = text
        else:
            headers.append((condition.name, text))
    target = path + ("?" + "&".join(f"{name}={value}" for name, value in query) if query else "")
    try:
        call = GatewayRequest(
            special[":method"], special[":authority"], target, headers, special[":scheme"], port
        )
    except ValueError:
        return None
    return None if any(mismatches(route.match, call)) else call


def _example_path(condition: PathCondition) -> str | None:
    return example_of(condition.value) if condition.kind == "regex" else condition.value


def _example_text(match: StringMatch) -> str | None:
    if match.kind == "regex":
        return example_of(match.value)
    return match.value or "x"


def _example_method(match: StringMatch) -> str:
    return next((method for method in _METHODS if text_matches(match, method)), match.value)


def _example_host(domain: str) -> str:
    return "any.example" if domain == "*" else domain.replace("*", "any", 1)
