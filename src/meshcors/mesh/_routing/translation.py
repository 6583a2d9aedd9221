"""Documents to one route table for each host, as Istio's control plane sends them to Envoy.

The differential test checks the tables against a real Envoy.

Sources: ``pilot/pkg/networking/core/route/route.go`` (BuildHTTPRoutesForVirtualService,
TranslateRouteMatch, SortVHostRoutes, IsCatchAllRoute) and ``pilot/pkg/networking/core/gateway.go``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from meshcors.mesh._documents.checks import is_claim
from meshcors.mesh._documents.http_route import precedence
from meshcors.mesh._documents.model import HttpMatch, HttpRule, VirtualService
from meshcors.mesh._documents.virtual_service import MESH, resolve_gateway
from meshcors.mesh._routing.routes import (
    DroppedRule,
    HeaderCondition,
    PathCondition,
    Route,
    RouteMatch,
    RouteTable,
    VirtualHost,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CLUSTER_DOMAIN: Final = "svc.cluster.local"


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
