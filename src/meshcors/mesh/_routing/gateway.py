"""What a gateway does with a request. Pure: no I/O, no clock.

`Gateway.handle` follows Envoy 1.40 behind Istio's translation of VirtualServices and HTTPRoutes;
``docs/mesh.md`` says what is modelled and what is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors._policy.place import Place
from meshcors._policy.web_ports import WEB_PORTS
from meshcors.mesh._documents.problems import DocumentError, DocumentProblem
from meshcors.mesh._documents.reading import read_documents
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._routing import cors_filter, rewriting
from meshcors.mesh._routing.delegates import merge_delegates
from meshcors.mesh._routing.index import HostIndex
from meshcors.mesh._routing.matching import Mismatch, mismatches
from meshcors.mesh._routing.routes import DroppedRule, Route, VirtualHost
from meshcors.mesh._routing.running import RunningRoutes
from meshcors.mesh._routing.translation import Proxy, gateway_names, virtual_hosts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcors.mesh._documents.model import Destination, VirtualService
    from meshcors.mesh._routing.doubts import Doubt
    from meshcors.mesh._routing.request import GatewayRequest

AnswerKind: TypeAlias = Literal[
    "no_route", "cors", "forward", "direct_response", "redirect", "unknown"
]

# What a `Mismatch` expects where nobody can tell whether a condition is met.
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class TriedRule:
    """A rule that was tried: it matched, or ``mismatches`` lists every condition that failed."""

    rule: str
    place: Place
    mismatches: tuple[Mismatch, ...]

    @property
    def matched(self) -> bool:
        """Whether this rule took the request."""
        return not self.mismatches

    @property
    def is_certain(self) -> bool:
        """Whether it is known that this rule takes the request, or that it does not."""
        return not any(mismatch.expected.startswith(UNKNOWN) for mismatch in self.mismatches)


@dataclass(frozen=True)
class GatewayAnswer:
    """What the gateway does with one request.

    ``status``, ``headers`` and ``body`` are Envoy's own answer; a forwarded request has none. The
    kind is "unknown" if a delegate would answer that is not among the documents. ``doubts`` names
    what may change this answer and is not known, in the configuration of a running Envoy; where
    nothing is known without it, the kind is "unknown" too.
    """

    kind: AnswerKind
    request: GatewayRequest = field(repr=False)
    virtual_host: VirtualHost | None = field(repr=False)
    route: Route | None = field(repr=False)
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    doubts: tuple[Doubt, ...] = ()

    @property
    def rule(self) -> str | None:
        """The rule that took the request, such as ``cheetah/model http[0] match[0]``."""
        return self.route.rule if self.route else None

    @property
    def place(self) -> Place | None:
        """The place of that rule in its file."""
        return self.route.place if self.route else None

    @property
    def destination(self) -> str | None:
        """The ``host:port`` that the request goes to; of several, the one with most weight."""
        return max(self.destinations, key=_weight)[0] if self.destinations else None

    @property
    def destinations(self) -> tuple[tuple[str, int], ...]:
        """Every ``host:port`` that the request may go to, with its weight."""
        if self.kind != "forward" or self.route is None:
            return ()
        return tuple((_label(to, self.route), to.weight) for to in _weighed(self.route))

    @cached_property
    def trail(self) -> tuple[TriedRule, ...]:
        """Every rule that was tried, in order, up to the one that matched."""
        tried: list[TriedRule] = []
        for route in self.virtual_host.routes if self.virtual_host else ():
            failed = tuple(mismatches(route.match, self.request, path=route.path_field))
            if not failed:
                # what cannot be decided ends the search: no later rule is certain
                failed = tuple(
                    Mismatch(doubt.path, f"{UNKNOWN} {doubt.reason}", ())
                    for doubt in route.match.unknown
                )
                tried.append(TriedRule(route.rule, route.place, failed))
                break
            tried.append(TriedRule(route.rule, route.place, failed))
        return tuple(tried)

    @property
    def dropped(self) -> tuple[DroppedRule, ...]:
        """The host's rules for other ports and gateways, and those behind a catch-all."""
        return self.virtual_host.dropped if self.virtual_host else ()

    @property
    def forwarded_path(self) -> str | None:
        """The path and query that the service sees after ``rewrite``.

        None without a service, or if a running Envoy changes it in a way that is not modelled.
        """
        if self.kind != "forward" or self.route is None or self._is_rewritten_unknown:
            return None
        return rewriting.rewritten_path(self.route, self.request)

    def forwarded_host(self, destination: str | None = None) -> str | None:
        """Return the host that the service sees after ``rewrite``; None as for the path."""
        if self.kind != "forward" or self.route is None or self._is_rewritten_unknown:
            return None
        to = self._destination(self.route, destination)
        return rewriting.rewritten_authority(self.route, to, self.request)

    @property
    def _is_rewritten_unknown(self) -> bool:
        rewrite = self.route.source.rewrite if self.route else None
        return rewrite is not None and rewrite.is_partial

    def response_headers(
        self, fields: Iterable[tuple[str, str]], destination: str | None = None
    ) -> list[tuple[str, str]]:
        """Return what the client sees of the (name, value) headers of a service's answer.

        For Envoy's own 503, when the service is not there, pass no headers. ``destination`` is the
        one of several that answered. If no service answers, the result is ``headers``.
        """
        if self.kind != "forward" or self.route is None:
            return list(self.headers)
        to = self._destination(self.route, destination)
        result = rewriting.with_operations(fields, self.route, to)
        policy = self.route.source.cors_policy
        return cors_filter.response_fields(policy, self.request, result) if policy else result

    def _destination(self, route: Route, label: str | None) -> Destination:
        wanted = label or self.destination
        return next(to for to in _weighed(route) if _label(to, route) == wanted)


@dataclass(frozen=True)
class Gateway:
    """The documents bound to one gateway.

    ``name`` is ``namespace/name`` or ``mesh``. ``labels`` and ``namespace`` are those of the
    gateway's pod, for ``sourceLabels`` and ``sourceNamespace``.
    """

    documents: tuple[VirtualService, ...]
    name: str
    labels: tuple[tuple[str, str], ...] = ()
    namespace: str = ""
    _tables: dict[int, HostIndex] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def from_yaml(
        cls,
        text: str,
        *,
        file: str = "<text>",
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        namespace: str = "",
    ) -> Gateway:
        """Read VirtualServices and HTTPRoutes from YAML; objects of other kinds are ignored.

        ``name`` is the gateway (``namespace/name``, or ``mesh``), by default the first one that a
        document binds to. ``DocumentError`` says what would not load, and where.
        """
        return cls.of(
            read_documents(text, file), file=file, name=name, labels=labels, namespace=namespace
        )

    @classmethod
    def of(
        cls,
        documents: tuple[VirtualService, ...],
        *,
        file: str = "<text>",
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        namespace: str = "",
    ) -> Gateway:
        """Bind documents that have been read; the options are those of `from_yaml`."""
        documents = merge_delegates(documents)
        names = gateway_names(documents)
        if not documents or (name is not None and name not in names):
            wanted = f"bound to {name}" if name and documents else "in this file"
            message = f"no VirtualService and no HTTPRoute {wanted}"
            hint = f"name one of {', '.join(names)}" if names else "pass the file that has it"
            raise DocumentError(
                [DocumentProblem(Place(file, 1, 1), "no_routes", "", message, hint)]
            )
        first = next((each for each in names if each != MESH), MESH)
        return cls(documents, name or first, tuple((labels or {}).items()), namespace)

    @property
    def names(self) -> tuple[str, ...]:
        """Every gateway that the documents name."""
        return gateway_names(self.documents)

    def serving(self, host: str, scheme: str) -> Gateway:
        """Return the gateway of the documents that serves a host, if this is a running Envoy.

        Of several route configurations it is the one whose listener fits best: with TLS for
        ``https``, with the host among its server names, with the host in its domains by name.
        Documents of a control plane say which gateway they are for: there it is this one.
        """
        found: list[tuple[tuple[bool, bool, bool], Gateway]] = []
        for each in self.documents:
            if self._running is None or not isinstance(each, RunningRoutes):
                continue
            other = replace(self, name=each.gateways[0])
            virtual_host = other.virtual_host(host)
            if virtual_host is not None:
                fits = each.connection.misfits(host, scheme)
                found.append(((*fits, virtual_host.domain == "*"), other))
        best = min(found, key=_misfits, default=None)
        return best[1] if best else self

    def virtual_hosts(self, port: int = WEB_PORTS["https"]) -> tuple[VirtualHost, ...]:
        """Return the route table on ``port``, one entry for each host."""
        return self._hosts(port).hosts

    def virtual_host(self, authority: str, port: int = WEB_PORTS["https"]) -> VirtualHost | None:
        """Return the virtual host for requests to ``authority`` on ``port``."""
        return self._hosts(port).find(authority)

    def _hosts(self, port: int) -> HostIndex:
        if port not in self._tables:
            proxy = Proxy(self.name, port, self.labels, self.namespace)
            # a request can have any port: do not keep a table for each
            if len(self._tables) > 16:
                self._tables.clear()
            running = self._running
            if running is not None:
                ignore_port = running.connection.ignore_port
                self._tables[port] = HostIndex(running.running_hosts, ignore_port=ignore_port)
            else:
                self._tables[port] = HostIndex(virtual_hosts(self.documents, proxy))
        return self._tables[port]

    @cached_property
    def _running(self) -> RunningRoutes | None:
        """The configuration of an Envoy, if the gateway is one."""
        running = (each for each in self.documents if isinstance(each, RunningRoutes))
        return next((each for each in running if self.name in each.gateways), None)

    def handle(self, request: GatewayRequest) -> GatewayAnswer:
        """Return what happens to ``request``."""
        running = self._running
        if running is None:
            return self._answer(request)
        answer = self._answer(running.received(request))
        doubts = running.doubts if answer.route is None else answer.route.doubts
        doubts = tuple(doubt for doubt in doubts if _matters(doubt, answer))
        first = running.doubts_about(request)
        return replace(answer, doubts=(*first, *answer.doubts, *doubts))

    def _answer(self, request: GatewayRequest) -> GatewayAnswer:
        host = self._hosts(request.port).find(request.host)
        route = host.table.index.first(request) if host else None
        if route is None:
            return GatewayAnswer("no_route", request, host, None, 404)
        if route.match.unknown:
            return GatewayAnswer("unknown", request, host, route, doubts=route.match.unknown)
        rule = route.source
        if not (rule.redirect or rule.direct_response or rule.route):
            return GatewayAnswer("unknown", request, host, route)
        if rule.redirect is not None:
            fields = [("location", rewriting.location(rule.redirect, route, request))]
            headers = tuple(rewriting.with_operations(fields, route, None))
            return GatewayAnswer(
                "redirect", request, host, route, rule.redirect.code or 301, headers
            )
        if rule.direct_response is not None:
            status, body = rule.direct_response.status, rule.direct_response.body
            headers = tuple(rewriting.with_operations((), route, None))
            return GatewayAnswer("direct_response", request, host, route, status, headers, body)
        if rule.cors_policy is not None:
            own = cors_filter.preflight_answer(rule.cors_policy, request)
            if own is not None:
                return GatewayAnswer("cors", request, host, route, 200, tuple(own))
        return GatewayAnswer("forward", request, host, route)


def _misfits(found: tuple[tuple[bool, bool, bool], Gateway]) -> tuple[bool, bool, bool]:
    return found[0]


def _matters(doubt: Doubt, answer: GatewayAnswer) -> bool:
    """Tell whether a doubt concerns this answer."""
    if doubt.spares_preflights and cors_filter.is_preflight(answer.request):
        return False
    return not (doubt.behind_cors and answer.kind in {"cors", "forward", "unknown"})


def _weighed(route: Route) -> tuple[Destination, ...]:
    """Return the destinations that get requests; a single one needs no weight."""
    several = len(route.source.route) > 1
    return tuple(to for to in route.source.route if to.weight or not several)


def _weight(destination: tuple[str, int]) -> int:
    return destination[1]


def _label(destination: Destination, route: Route) -> str:
    port = destination.port or route.port
    return f"{destination.host}:{port}" if port else destination.host
