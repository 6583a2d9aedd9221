"""Documents to one route table per host, as Istio's control plane lays it out for Envoy.

The table is what Envoy gets: `gateway` answers requests from it, `envoy` prints it as a bootstrap,
so that both say the same by construction, and the differential test proves the reading of it.

Sources: ``pilot/pkg/networking/core/route/route.go`` (BuildHTTPRoutesForVirtualService,
TranslateRouteMatch, SortVHostRoutes, IsCatchAllRoute) and ``pilot/pkg/networking/core/gateway.go``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from meshcors.mesh._documents.checks import is_claim
from meshcors.mesh._documents.http_route import precedence
from meshcors.mesh._documents.model import HttpMatch, HttpRule, StringMatch, VirtualService
from meshcors.mesh._documents.virtual_service import MESH, resolve_gateway
from meshcors.mesh._routing.index import RouteIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshcors.mesh._documents.problems import Place

CLUSTER_DOMAIN: Final = "svc.cluster.local"


@dataclass(frozen=True, slots=True)
class PathCondition:
    """``prefix`` is raw text, ``segments`` a prefix of whole segments, as HTTPRoutes have it."""

    kind: Literal["prefix", "segments", "exact", "regex"]
    value: str
    ignore_case: bool = False

    def __str__(self) -> str:
        kind = "prefix" if self.kind == "segments" else self.kind
        return f'{kind} "{self.value}"'


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    """A condition on a header, ``:method``, ``:authority`` and ``:scheme`` among them.

    ``field`` is the condition's name in the document (``headers.x-key``, ``withoutHeaders.x-key``,
    ``method``).
    """

    field: str
    name: str
    match: StringMatch
    inverted: bool = False


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All conditions of one route; ``claims`` are (name, inverted) of JWT claims."""

    path: PathCondition
    headers: tuple[HeaderCondition, ...] = ()
    query: tuple[tuple[str, StringMatch], ...] = ()
    claims: tuple[HeaderCondition, ...] = ()

    @property
    def is_catch_all(self) -> bool:
        """Whether every request matches, in the narrow sense Istio gives it."""
        path = (self.path.kind, self.path.value) in {("prefix", "/"), ("regex", ".*")}
        return path and not (self.headers or self.query or self.claims)


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a virtual host: a rule with one of its match entries.

    ``rule`` is its name in answers (``cheetah/model http[0] match[0]``), ``document`` and
    ``source`` are what it was made of, ``port`` is the gateway's port it was made for.
    """

    rule: str
    place: Place
    match: RouteMatch
    document: VirtualService = field(repr=False)
    source: HttpRule = field(repr=False)
    port: int

    @property
    def is_forward(self) -> bool:
        """Whether a service answers; only then does Envoy's cors filter do anything."""
        return self.source.redirect is None and self.source.direct_response is None


@dataclass(frozen=True, slots=True)
class Proxy:
    """Whose table it is: a gateway (``namespace/name``) or the sidecars (``mesh``), at a port.

    ``labels`` and ``namespace`` are its pod's, which ``sourceLabels`` and ``sourceNamespace`` ask
    for.
    """

    gateway: str
    port: int
    labels: tuple[tuple[str, str], ...] = ()
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class DroppedRule:
    """A rule that is in the documents and not in the table, and why."""

    rule: str
    place: Place
    reason: Literal["port", "gateway", "source", "behind_catch_all", "other_owner"]
    detail: str


@dataclass(frozen=True)
class RouteTable:
    """Routes in order, and what was left out; hosts of the same documents share one."""

    routes: tuple[Route, ...]
    dropped: tuple[DroppedRule, ...]

    @cached_property
    def index(self) -> RouteIndex:
        """The routes as they are looked up."""
        return RouteIndex(self.routes)


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """One domain (``*``, ``*.example.com``, ``api.example.com``) and its table."""

    domain: str
    table: RouteTable

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes in order."""
        return self.table.routes

    @property
    def dropped(self) -> tuple[DroppedRule, ...]:
        """The rules that were left out."""
        return self.table.dropped


def gateway_names(documents: Iterable[VirtualService]) -> tuple[str, ...]:
    """Every gateway the documents bind to, in their order; ``mesh`` among them where one does."""
    return tuple(dict.fromkeys(name for document in documents for name in document.gateways))


def virtual_hosts(documents: Sequence[VirtualService], proxy: Proxy) -> tuple[VirtualHost, ...]:
    """Lay out the route table that one proxy gets for one of its ports."""
    gateway = proxy.gateway
    bound = [document for document in documents if gateway in document.gateways]
    services = [document for document in bound if document.kind == "VirtualService"]
    services.sort(key=_creation)
    http_routes = [document for document in bound if document.kind == "HTTPRoute"]
    http_routes.sort(key=lambda document: (_creation(document)[0], document.label))
    parts: dict[str, list[_Part]] = {}
    for document in services:
        part = _translate(_entries(document), proxy)
        if not part.routes:
            continue
        for domain in _all_domains(document, gateway):
            there = parts.setdefault(domain, [])
            if gateway == MESH and there:
                # sidecars do not merge: the oldest VirtualService of a host owns it
                there.append(part.owned_by(there[0].routes[0].document))
            else:
                there.append(part)
    owners: dict[str, dict[int, VirtualService]] = {}
    for document in http_routes:
        for host in document.hosts:
            owners.setdefault(host, {})[id(document)] = document
    sorted_parts: dict[tuple[int, ...], _Part] = {}
    for host, documents_of in owners.items():
        key = tuple(documents_of)
        if key not in sorted_parts:
            sorted_parts[key] = _translate(_sorted_entries(documents_of.values()), proxy)
        parts.setdefault(host.lower(), []).append(sorted_parts[key])
    tables: dict[tuple[int, ...], RouteTable] = {}
    hosts: list[VirtualHost] = []
    for domain, there in parts.items():
        key = tuple(map(id, there))
        if key not in tables:
            tables[key] = _table(there)
        hosts.append(VirtualHost(domain, tables[key]))
    return tuple(hosts)


@dataclass(frozen=True, eq=False)
class _Part:
    """What one VirtualService, or the HTTPRoutes of one host, put into a table."""

    routes: list[Route]
    dropped: list[DroppedRule]
    _unowned: dict[str, _Part] = field(default_factory=dict, init=False)

    def owned_by(self, owner: VirtualService) -> _Part:
        """Return the part as it is where ``owner`` has the host: nothing of it is left."""
        if owner.label not in self._unowned:
            dropped = [
                DroppedRule(route.rule, route.place, "other_owner", owner.label)
                for route in self.routes
            ]
            self._unowned[owner.label] = _Part([], dropped)
        return self._unowned[owner.label]


_Entry = tuple[VirtualService, HttpRule, HttpMatch | None, str]


def _creation(document: VirtualService) -> tuple[str, str, str]:
    """Istio's order: by creation, then by name and namespace; what is not created yet is last."""
    return (document.created or "~", document.name, document.namespace)


def _entries(document: VirtualService) -> list[_Entry]:
    found: list[_Entry] = []
    for rule in document.http:
        if not rule.match:
            found.append((document, rule, None, rule.label))
        for at, match in enumerate(rule.match):
            found.append((document, rule, match, f"{rule.label} match[{at}]"))
    return found


def _sorted_entries(documents: Iterable[VirtualService]) -> list[_Entry]:
    """Return the entries of HTTPRoutes by the Gateway API's precedence."""
    found: list[_Entry] = [
        (document, rule, rule.match[0], f"{rule.label} matches[{rule.match_index}]")
        for document in documents
        for rule in document.http
    ]
    return sorted(found, key=lambda entry: precedence(entry[1]), reverse=True)


def _translate(entries: Iterable[_Entry], proxy: Proxy) -> _Part:
    routes: list[Route] = []
    dropped: list[DroppedRule] = []
    end: dict[str, str] = {}
    for document, rule, match, label in entries:
        place = match.place if match else rule.place
        # HTTPRoutes of one host are one list; each VirtualService has its own
        owner = document.label if document.kind == "VirtualService" else ""
        if owner in end:
            dropped.append(DroppedRule(label, place, "behind_catch_all", end[owner]))
            continue
        reason = _left_out(document, match, proxy) if match else None
        if reason is not None:
            dropped.append(replace(reason, rule=label))
            continue
        condition = _condition(document, match)
        routes.append(Route(label, place, condition, document, rule, proxy.port))
        if condition.is_catch_all:
            end[owner] = label
    return _Part(routes, dropped)


def _left_out(document: VirtualService, match: HttpMatch, proxy: Proxy) -> DroppedRule | None:
    """Say why a match entry is not for this proxy (``sourceMatchHTTP``)."""
    place = match.place
    if match.port not in {0, proxy.port}:
        return DroppedRule("", place, "port", str(match.port))
    if match.gateways:
        names = {resolve_gateway(name, document.namespace) for name in match.gateways}
        if proxy.gateway not in names:
            return DroppedRule("", place, "gateway", ", ".join(sorted(names)))
        return None
    if missing := set(match.source_labels) - set(proxy.labels):
        detail = ", ".join(f"{name}={value}" for name, value in sorted(missing))
        return DroppedRule("", place, "source", detail)
    if match.source_namespace not in {"", proxy.namespace}:
        return DroppedRule("", place, "source", match.source_namespace)
    return None


def _condition(document: VirtualService, match: HttpMatch | None) -> RouteMatch:
    if match is None:
        return RouteMatch(PathCondition("prefix", "/"))
    named = [
        HeaderCondition(f"{group}.{name}", name.lower(), condition, inverted=inverted)
        for group, pairs, inverted in (
            ("headers", match.headers, False),
            ("withoutHeaders", match.without_headers, True),
        )
        for name, condition in pairs
    ]
    headers = sorted(
        (item for item in named if not is_claim(item.name)), key=lambda item: item.name
    )
    pseudo = (("method", match.method), ("authority", match.authority), ("scheme", match.scheme))
    headers += [HeaderCondition(name, f":{name}", found) for name, found in pseudo if found]
    return RouteMatch(
        path=_path(document, match),
        headers=tuple(headers),
        query=match.query_params,
        claims=tuple(item for item in named if is_claim(item.name)),
    )


def _path(document: VirtualService, match: HttpMatch) -> PathCondition:
    uri, ignore_case = match.uri, match.ignore_uri_case
    if uri is None:
        return PathCondition("prefix", "/", ignore_case)
    if uri.kind == "prefix" and document.kind == "HTTPRoute" and uri.value != "/":
        return PathCondition("segments", uri.value, ignore_case)
    kinds: dict[str, Literal["prefix", "exact", "regex"]] = {"prefix": "prefix", "exact": "exact"}
    return PathCondition(kinds.get(uri.kind, "regex"), uri.value, ignore_case)


def _all_domains(document: VirtualService, gateway: str) -> Iterator[str]:
    for host in document.hosts:
        yield from _domains(host, document.namespace, gateway)


def _domains(host: str, namespace: str, gateway: str) -> tuple[str, ...]:
    """Return Envoy's domains for a host: a name without dots is a service of the namespace."""
    host = host.lower()
    if "." in host or host.startswith("*") or ":" in host:
        return (host,)
    full = f"{host}.{namespace}.{CLUSTER_DOMAIN}"
    if gateway != MESH:
        return (full,)
    return (host, f"{host}.{namespace}", f"{host}.{namespace}.svc", full)


def _table(parts: Sequence[_Part]) -> RouteTable:
    """Move true catch-alls to the end; everything behind the first of them is dead."""
    routes = [route for part in parts for route in part.routes]
    dropped = [rule for part in parts for rule in part.dropped]
    first = [route for route in routes if not route.match.is_catch_all]
    last = [route for route in routes if route.match.is_catch_all]
    dead = [DroppedRule(it.rule, it.place, "behind_catch_all", last[0].rule) for it in last[1:]]
    return RouteTable((*first, *last[:1]), (*dropped, *dead))
