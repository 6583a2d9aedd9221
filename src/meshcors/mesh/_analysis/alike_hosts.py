"""Hosts that route alike: one of them is enough to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcors.mesh._analysis.example_call import example_host
from meshcors.mesh._routing.matching import text_matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._documents.model import StringMatch
    from meshcors.mesh._routing.gateway import Gateway
    from meshcors.mesh._routing.routes import RouteTable


def representatives(gateway: Gateway, ports: Iterable[int]) -> frozenset[str]:
    """Return the first domain of each set of hosts that route alike on every one of ``ports``.

    Two hosts route alike if they share their tables and their names meet the same conditions.
    """
    routing: dict[str, list[object]] = {}
    for port in ports:
        conditions: dict[int, _HostConditions] = {}
        for host in gateway.virtual_hosts(port):
            name = example_host(host.domain)
            # an example for *.example.com may belong to another virtual host
            actual = gateway.virtual_host(name, port)
            on_port: list[object] = [port]
            for table in (host.table, actual.table if actual else None):
                if table is not None and id(table) not in conditions:
                    conditions[id(table)] = _HostConditions.of(table)
                on_port.append(table and (id(table), conditions[id(table)].met_by(name)))
            routing.setdefault(host.domain, []).append(tuple(on_port))
    first: dict[tuple[object, ...], str] = {}
    for domain, on_ports in routing.items():
        first.setdefault(tuple(on_ports), domain)
    return frozenset(first.values())


@dataclass(frozen=True, slots=True)
class _HostConditions:
    """All conditions on the request's host in one table."""

    exact: frozenset[str]
    others: tuple[StringMatch, ...]

    @classmethod
    def of(cls, table: RouteTable) -> _HostConditions:
        found = {
            (item.match.kind, item.match.value): item.match
            for route in table.routes
            for item in route.match.headers
            if item.name == ":authority"
        }
        exact = frozenset(value for kind, value in found if kind == "exact")
        others = tuple(match for match in found.values() if match.kind != "exact")
        return cls(exact, others)

    def met_by(self, name: str) -> tuple[object, ...]:
        """Return which conditions a host's name meets; equal results mean the same conditions."""
        return (
            name if name in self.exact else None,
            *(text_matches(match, name) for match in self.others),
        )
