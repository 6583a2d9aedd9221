"""What a gateway runs, or would run: hosts, their rules in order, and where preflights go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshcors._policy.web_ports import WEB_PORTS
from meshcors.mesh._analysis.example_call import announced_headers, example_call, preflight_of
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._routing.gateway import Gateway
from meshcors.mesh._routing.running import RunningRoutes
from meshcors.mesh._routing.translation import gateway_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._routing.gateway import GatewayAnswer
    from meshcors.mesh._routing.routes import DroppedRule, Route, VirtualHost
    from meshcors.mesh._routing.running import Connection

# A connection manager is asked on this port, like a gateway by default.
_PORT: Final = WEB_PORTS["https"]


@dataclass(frozen=True, slots=True)
class ListedRoute:
    """A route, and what happens to the preflight of a call that it takes.

    ``preflight`` is None for a rule that is for preflights alone, and where no such call is found.
    """

    route: Route
    is_preflight_rule: bool
    preflight: GatewayAnswer | None


@dataclass(frozen=True, slots=True)
class ListedHost:
    """Domains that share one table, its routes in order, and the rules that are not in it."""

    domains: tuple[str, ...]
    routes: tuple[ListedRoute, ...]
    dropped: tuple[DroppedRule, ...]


@dataclass(frozen=True, slots=True)
class ListedGateway:
    """A gateway with its hosts; ``connection`` is that of a running one."""

    name: str
    connection: Connection | None
    hosts: tuple[ListedHost, ...]


def listed_gateways(
    documents: Sequence[VirtualService], host: str | None = None
) -> Iterator[ListedGateway]:
    """Yield the gateways of the documents; with ``host``, only the table that serves it."""
    bound: dict[str, list[VirtualService]] = {name: [] for name in gateway_names(documents)}
    for document in documents:
        for name in dict.fromkeys(document.gateways):
            bound[name].append(document)
    for name, own in bound.items():
        gateway = Gateway(tuple(own), name)
        running = next((each for each in own if isinstance(each, RunningRoutes)), None)
        hosts = tuple(_hosts(gateway, host))
        yield ListedGateway(name, running.connection if running else None, hosts)


def _hosts(gateway: Gateway, wanted: str | None) -> Iterator[ListedHost]:
    if wanted is None:
        hosts = gateway.virtual_hosts(_PORT)
    else:
        found = gateway.virtual_host(wanted, _PORT)
        hosts = () if found is None else (found,)
    tables: dict[int, list[VirtualHost]] = {}
    for each in hosts:
        tables.setdefault(id(each.table), []).append(each)
    for sharing in tables.values():
        first = sharing[0]
        routes = tuple(_listed(gateway, route, first.domain) for route in first.routes)
        yield ListedHost(tuple(each.domain for each in sharing), routes, first.dropped)


def _listed(gateway: Gateway, route: Route, domain: str) -> ListedRoute:
    if is_preflight_rule(route):
        return ListedRoute(route, True, None)
    call = example_call(route, domain, _PORT)
    if call is None:
        return ListedRoute(route, False, None)
    answer = gateway.handle(preflight_of(call, announced_headers(route)))
    return ListedRoute(route, False, answer)
