"""What an Envoy runs, in the form that `Gateway` answers from: tables that need no translation.

`meshcors.mesh._envoy` reads them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.model import VirtualService
from meshcors.mesh._routing.matching import without_port
from meshcors.mesh._routing.request import GatewayRequest, normalized

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._policy.place import Place
    from meshcors.mesh._routing.doubts import Doubt
    from meshcors.mesh._routing.routes import VirtualHost

ANY_PORT: Final = -1
_ESCAPED_SLASH: Final = re.compile("%(2f|5c)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Connection:
    """How a listener's connection manager reads requests.

    ``name`` is the listener; it is empty if the file has none, and the rest is then as Istio sets
    it. ``filters`` are the names of the HTTP filters in order. ``stripped_port`` is the port that
    is removed from a request's host (`ANY_PORT`, or None), and ``ignore_port`` says whether domains
    are compared without it. ``server_names`` are those of TLS; there are none for any name. The
    last two are what is done with escaped slashes in a path, and with header names that have
    underscores: neither is modelled.
    """

    name: str = ""
    address: str = ""
    filters: tuple[str, ...] = ()
    stripped_port: int | None = None
    ignore_port: bool = True
    normalize_path: bool = True
    merge_slashes: bool = False
    is_encrypted: bool = False
    server_names: tuple[str, ...] = ()
    changes_slashes: Doubt | None = None
    refuses_underscores: Doubt | None = None

    def misfits(self, host: str, scheme: str) -> tuple[bool, bool]:
        """Tell whether calls with this scheme, and to this host, do not come here.

        Without a listener nobody knows: then they may.
        """
        name = without_port(host).lower()
        named = any(
            name == each or (each.startswith("*.") and name.endswith(each[1:]))
            for each in self.server_names
        )
        other_name = bool(self.server_names) and scheme == "https" and not named
        return bool(self.filters) and self.is_encrypted != (scheme == "https"), other_name


@dataclass(frozen=True, slots=True)
class UselessPolicy:
    """A policy for the cors filter that has no effect, and why."""

    place: Place
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRoutes(VirtualService):
    """A RouteConfiguration of an Envoy, as one listener uses it.

    It is its own gateway: ``gateways`` has its one name. ``doubts`` concern every request, also one
    that no route takes. ``is_static`` says that a person wrote it, and no control plane.
    """

    connection: Connection
    running_hosts: tuple[VirtualHost, ...] = field(repr=False)
    doubts: tuple[Doubt, ...] = ()
    useless_policies: tuple[UselessPolicy, ...] = ()
    is_static: bool = False

    def node_at(self, *_path: str | int) -> None:
        """Return None: what an Envoy runs has no YAML of its own fields."""

    def place_at(self, *path: str | int) -> Place:
        """Return the place of a rule or of its policy: the parts of both have none."""
        number = path[2] if len(path) > 2 else None
        if path[:2] != ("spec", "http") or not isinstance(number, int):
            return self.place
        rule = self.http[number]
        return rule.cors_policy.place if rule.cors_policy and "corsPolicy" in path else rule.place

    def doubts_about(self, request: GatewayRequest) -> Iterator[Doubt]:
        """Yield what the connection manager may do with this request, before any route."""
        slashes, underscores = self.connection.changes_slashes, self.connection.refuses_underscores
        if slashes is not None and _ESCAPED_SLASH.search(request.path.partition("?")[0]):
            yield slashes
        if underscores is not None and any("_" in name for name, _ in request.headers):
            yield underscores

    def received(self, request: GatewayRequest) -> GatewayRequest:
        """Return a request as the connection manager hands it to the routes."""
        connection, host = self.connection, request.host
        bare = without_port(host)
        if bare != host and connection.stripped_port in {ANY_PORT, int(host[len(bare) + 1 :])}:
            host = bare
        plain = connection.normalize_path and not connection.merge_slashes
        if plain and host == request.host:
            return request
        return _Received(
            *(request.method, host, request.path, request.headers),
            *(request.scheme, request.port, connection),
        )


@dataclass(frozen=True, eq=False)
class _Received(GatewayRequest):
    connection: Connection = field(default_factory=Connection, repr=False)

    def read_path(self, path: str) -> str:
        """Return the path as the connection manager leaves it."""
        if self.connection.normalize_path:
            path = normalized(path)
        if self.connection.merge_slashes and "//" in path:
            # what consists of slashes alone becomes two of them
            end = "/" if path.endswith("/") else ""
            path = "/" + "/".join(filter(None, path.split("/"))) + end
        return path
