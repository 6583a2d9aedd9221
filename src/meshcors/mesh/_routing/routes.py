"""Documents to one route table for each host, as Istio's control plane sends them to Envoy.

`gateway` answers requests from this table and `envoy` writes it as a bootstrap, so the two agree by
construction. The differential test checks the table against a real Envoy.

Sources: ``pilot/pkg/networking/core/route/route.go`` (BuildHTTPRoutesForVirtualService,
TranslateRouteMatch, SortVHostRoutes, IsCatchAllRoute) and ``pilot/pkg/networking/core/gateway.go``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors.mesh._documents.checks import is_claim
from meshcors.mesh._documents.http_route import precedence
from meshcors.mesh._documents.model import (
    DocumentKey,
    HttpMatch,
    HttpRule,
    StringMatch,
    VirtualService,
)
from meshcors.mesh._documents.virtual_service import MESH, resolve_gateway
from meshcors.mesh._routing.index import RouteIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshcors.mesh._documents.problems import Place
    from meshcors.mesh._routing.doubts import Doubt

# A route's document, and its name in answers.
RouteKey: TypeAlias = tuple[DocumentKey, str]

CLUSTER_DOMAIN: Final = "svc.cluster.local"


@dataclass(frozen=True, slots=True)
class PathCondition:
    """A condition on the path; ``segments`` is a prefix of whole segments, as in HTTPRoutes."""

    kind: Literal["prefix", "segments", "exact", "regex"]
    value: str
    ignore_case: bool = False

    def __str__(self) -> str:
        kind = "prefix" if self.kind == "segments" else self.kind
        return f'{kind} "{self.value}"'


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    """A condition on a header, including ``:method``, ``:authority`` and ``:scheme``.

    ``field`` is the condition's name in the document (``headers.x-key``, ``withoutHeaders.x-key``,
    ``method``).
    """

    field: str
    name: str
    match: StringMatch
    inverted: bool = False
    empty_if_missing: bool | None = None

    @property
    def missing_is_empty(self) -> bool:
        """Whether a missing header counts as an empty one: in Istio, if inverted."""
        return self.inverted if self.empty_if_missing is None else self.empty_if_missing


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All conditions of one route; ``claims`` are those on JWT claims.

    Of what an Envoy runs, ``absent_query`` names parameters that must not be there, and ``unknown``
    the conditions that nobody can decide here.
    """

    path: PathCondition
    headers: tuple[HeaderCondition, ...] = ()
    query: tuple[tuple[str, StringMatch], ...] = ()
    claims: tuple[HeaderCondition, ...] = ()
    absent_query: tuple[str, ...] = ()
    unknown: tuple[Doubt, ...] = ()

    @property
    def is_catch_all(self) -> bool:
        """Whether Istio regards it as matching every request."""
        path = (self.path.kind, self.path.value) in {("prefix", "/"), ("regex", ".*")}
        return path and not (self.headers or self.query or self.claims)


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a virtual host: a rule with one of its match entries.

    ``rule`` is its name in answers (``cheetah/model http[0] match[0]``). It is made from the rule
    ``source`` of ``document``, for the gateway's ``port``. ``doubts`` may change its answers.
    """

    rule: str
    place: Place
    match: RouteMatch
    document: VirtualService = field(repr=False)
    source: HttpRule = field(repr=False)
    port: int
    doubts: tuple[Doubt, ...] = ()

    @property
    def key(self) -> RouteKey:
        """What tells this route from all others of a table."""
        return self.document.key, self.rule

    @property
    def is_forward(self) -> bool:
        """Whether it leads to a service; Envoy's cors filter does nothing on other routes."""
        return self.source.redirect is None and self.source.direct_response is None


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy a table is for: a port of a gateway (``namespace/name``) or sidecar (``mesh``).

    ``labels`` and ``namespace`` are those of its pod, for ``sourceLabels`` and
    ``sourceNamespace``.
    """

    gateway: str
    port: int
    labels: tuple[tuple[str, str], ...] = ()
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class DroppedRule:
    """A rule of the documents that is not in the table, and the reason.

    A "conflict" is one between the conditions of a delegate's rule and those of the root.
    """

    rule: str
    place: Place
    reason: Literal[
        "port", "gateway", "source", "behind_catch_all", "other_owner", "conflict", "not_exported"
    ]
    detail: str


@dataclass(frozen=True)
class RouteTable:
    """Routes in order, and the rules left out. Hosts of the same documents share one table."""

    routes: tuple[Route, ...]
    dropped: tuple[DroppedRule, ...]

    @cached_property
    def index(self) -> RouteIndex:
        """The routes, indexed for look-up."""
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
        """The rules left out."""
        return self.table.dropped


def gateway_names(documents: Iterable[VirtualService]) -> tuple[str, ...]:
    """Return every gateway that the documents bind to, in their order, including ``mesh``."""
    return tuple(dict.fromkeys(name for document in documents for name in document.gateways))


def virtual_hosts(documents: Sequence[VirtualService], proxy: Proxy) -> tuple[VirtualHost, ...]:
    """Return the virtual hosts that one proxy gets for one of its ports."""
    gateway = proxy.gateway
    bound = [document for document in documents if gateway in document.gateways]
    services = [document for document in bound if document.kind == "VirtualService"]
    services.sort(key=_creation)
    http_routes = [document for document in bound if document.kind == "HTTPRoute"]
    http_routes.sort(key=lambda document: (_creation(document)[0], document.label))
    parts: dict[str, list[_TablePart]] = {}
    for document in services:
        part = _translate(_entries(document), proxy)
        if not part.routes:
            continue
        for domain in _all_domains(document, gateway):
            there = parts.setdefault(domain, [])
            if gateway == MESH and there:
                # sidecars do not merge: the oldest VirtualService owns the host
                there.append(part.owned_by(there[0].routes[0].document))
            else:
                there.append(part)
    owners: dict[str, dict[int, VirtualService]] = {}
    for document in http_routes:
        for host in document.hosts:
            owners.setdefault(host, {})[id(document)] = document
    sorted_parts: dict[tuple[int, ...], _TablePart] = {}
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
class _TablePart:
    """What one VirtualService, or the HTTPRoutes of one host, add to a table."""

    routes: list[Route]
    dropped: list[DroppedRule]
    _unowned: dict[str, _TablePart] = field(default_factory=dict, init=False)

    def owned_by(self, owner: VirtualService) -> _TablePart:
        """Return the part for a host that ``owner`` owns: all its rules are dropped."""
        if owner.label not in self._unowned:
            dropped = [
                DroppedRule(route.rule, route.place, "other_owner", owner.label)
                for route in self.routes
            ]
            self._unowned[owner.label] = _TablePart([], dropped)
        return self._unowned[owner.label]


_Entry = tuple[VirtualService, HttpRule, HttpMatch | None, str]


def _creation(document: VirtualService) -> tuple[str, str, str]:
    """Return the key for Istio's order: creation (unknown is last), then name and namespace."""
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
    """Return the entries of HTTPRoutes in the Gateway API's order of precedence."""
    found: list[_Entry] = [
        (document, rule, rule.match[0], f"{rule.label} matches[{rule.match_index}]")
        for document in documents
        for rule in document.http
    ]
    return sorted(found, key=lambda entry: precedence(entry[1]), reverse=True)


def _translate(entries: Iterable[_Entry], proxy: Proxy) -> _TablePart:
    routes: list[Route] = []
    dropped: list[DroppedRule] = []
    end: dict[str, str] = {}
    for document, rule, match, label in entries:
        place = match.place if match else rule.place
        if rule.left_out:
            dropped.append(DroppedRule(label, place, rule.left_out, ""))
            continue
        # the HTTPRoutes of one host share a list; each VirtualService has its own
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
    return _TablePart(routes, dropped)


def _left_out(document: VirtualService, match: HttpMatch, proxy: Proxy) -> DroppedRule | None:
    """Return why a match entry is not for this proxy (``sourceMatchHTTP``)."""
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
    """Return Envoy's domains for a host; a name without dots is a service of the namespace."""
    host = host.lower()
    if "." in host or host.startswith("*") or ":" in host:
        return (host,)
    full = f"{host}.{namespace}.{CLUSTER_DOMAIN}"
    if gateway != MESH:
        return (full,)
    return (host, f"{host}.{namespace}", f"{host}.{namespace}.svc", full)


def _table(parts: Sequence[_TablePart]) -> RouteTable:
    """Return the table, with the first catch-all last and the other catch-alls dropped."""
    routes = [route for part in parts for route in part.routes]
    dropped = [rule for part in parts for rule in part.dropped]
    first = [route for route in routes if not route.match.is_catch_all]
    last = [route for route in routes if route.match.is_catch_all]
    dead = [DroppedRule(it.rule, it.place, "behind_catch_all", last[0].rule) for it in last[1:]]
    return RouteTable((*first, *last[:1]), (*dropped, *dead))
