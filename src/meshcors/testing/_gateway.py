"""A gateway for tests: a real Envoy on loopback that routes as the documents say.

Its services are the ports that the test gives; everything else is what the documents hold. It has
two listeners without TLS: one stands for the gateway's port 443, the other for port 80.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from meshcors._policy.web_ports import WEB_PORTS
from meshcors._policy.wording import did_you_mean, printable
from meshcors.mesh import Gateway
from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh.envoy import bootstrap
from meshcors.testing._documents import documents_of
from meshcors.testing._envoy_process import EnvoyProcess
from meshcors.testing._fetch import PageCall, Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshcors import browser
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.testing._documents import Documents

Scheme: TypeAlias = Literal["http", "https"]

_LOG: Final = {
    "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "method": "%REQ(:METHOD)%",
    "scheme": "%REQ(:SCHEME)%",
    "host": "%REQ(:AUTHORITY)%",
    "path": "%PATH(NQ:ORIG_OR_PATH)%",
    "rule": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
}
# outbound|8000|subset|model
_CLUSTER: Final = re.compile(r"outbound\|(\d+)\|[^|]*\|(.*)")
_LOG_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class RoutedRequest:
    """A request that the gateway got, from Envoy's access log.

    - `path`: without its query.
    - `rule`: the rule that took it, such as ``cheetah/model http[0] match[0]``, None if none did.
    - `destination`: the service that it went to, ``host:port``, None if the gateway answered.
    - `status`: what the client got; 0 if it left before.
    - `flags`: Envoy's response flags, such as ``NR`` (no route) or ``UH`` (no service there).
    """

    method: str
    scheme: str
    host: str
    path: str
    rule: str | None
    destination: str | None
    status: int
    flags: str


@dataclass(frozen=True, slots=True, repr=False)
class GatewayCall(PageCall):
    """A page's call through a `MeshGateway`.

    - `requests`: what the gateway did with each request of the call, in order.
    """

    gateway: MeshGateway | None = None
    requests: tuple[RoutedRequest, ...] = ()

    @property
    def rule(self) -> str | None:
        """The rule that took the last request."""
        return self.requests[-1].rule if self.requests else None


class MeshGateway:
    """A running gateway; a context manager, as its Envoy has to end.

    - `documents`: files or directories with VirtualServices and HTTPRoutes, or YAML as text (with a
      line break in it), or several of these.
    - `services`: the loopback port of each destination, or its address (``http://10.0.0.5:8000``).
      A destination is written as in the documents, with its port or for all its ports:
      ``model:8000``, ``model``. Those that are missing get Envoy's 503.
    - `name`: the gateway (``namespace/name``), by default the first that the documents name.

    `model` is the same gateway without Envoy, a `meshcors.mesh.Gateway`.

    Raises `DocumentError` for what would not load, `ValueError` for a service that no rule leads
    to, `MissingExtraError` without the extra ``lab``, `EnvoyError` if Envoy does not start.
    """

    def __init__(
        self,
        documents: Documents,
        services: Mapping[str, int | str] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self._name = name
        self._given, self._services = documents, dict(services or {})
        mesh, model, made = self._read(documents, self._services)
        self.mesh: MeshDocuments = mesh
        self.model: Gateway = model
        self._envoy = EnvoyProcess(made)

    def __enter__(self) -> MeshGateway:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End Envoy."""
        self.stop()

    def stop(self) -> None:
        """End Envoy; no file is left."""
        self._envoy.stop()

    def replace(
        self, documents: Documents | None = None, services: Mapping[str, int | str] | None = None
    ) -> None:
        """Route by other documents or to other services, at the same addresses.

        If it raises, for the reasons that the constructor does, nothing has changed.
        """
        given = self._given if documents is None else documents
        targets = self._services if services is None else dict(services)
        mesh, model, made = self._read(given, targets)
        self._envoy.replace(made)
        self._given, self._services, self.mesh, self.model = given, targets, mesh, model

    def url(self, host: str = "127.0.0.1", path: str = "/", *, scheme: Scheme = "https") -> str:
        """Return the URL at which a client without TLS reaches the gateway.

        A browser finds hosts below ``localhost`` without DNS. For any other host, give the client
        the URL of 127.0.0.1 and the header ``Host``. `scheme` is that of the public URL.
        """
        return f"http://{host}:{self.ports[scheme]}{path}"

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports on 127.0.0.1 for what has the scheme ``https``, and ``http``, outside."""
        return self._envoy.ports

    @property
    def log(self) -> str:
        """What Envoy logged so far: its warnings, and a line of JSON for each request."""
        return self._envoy.log

    @property
    def requests(self) -> tuple[RoutedRequest, ...]:
        """The requests that the gateway got so far; Envoy logs them a little later."""
        return tuple(request for _, request in _logged(self._envoy.log))

    def fetch(
        self,
        request: browser.Request,
        body: bytes | None = None,
        *,
        cache: browser.PreflightCache | None = None,
    ) -> GatewayCall:
        """Make a page's call, as `Wire.fetch` does, with the host names of the documents.

        Every host of `request` is taken to be the gateway's, and those that the documents have
        after a redirect. Raises `EnvoyError` if Envoy has ended.
        """
        self._envoy.check()
        before = self._envoy.log.rfind("\n") + 1
        with _GatewayWire(self, (urlsplit(request.url).hostname or "").lower()) as wire:
            made = wire.fetch(request, body, cache=cache)
        requests = self._await_requests(before, wire.client_ports)
        return GatewayCall(
            made.request,
            made.preflight,
            made.answers,
            made.verdict,
            made.hop_preflights,
            self,
            requests,
        )

    def _await_requests(self, before: int, client_ports: list[int]) -> tuple[RoutedRequest, ...]:
        """Return the requests over these connections, once Envoy has logged them.

        What is in the log before ``before`` is older: a port may be used again.
        """
        deadline = time.monotonic() + _LOG_SECONDS
        while True:
            found = dict(_logged(self._envoy.log[before:]))
            if found.keys() >= set(client_ports) or time.monotonic() > deadline:
                return tuple(found[port] for port in client_ports if port in found)
            self._envoy.check()
            time.sleep(0.01)

    def _read(
        self, documents: Documents, services: Mapping[str, int | str]
    ) -> tuple[MeshDocuments, Gateway, dict[str, Any]]:
        mesh = documents_of(documents)
        file = next(iter(mesh.texts), "<documents>")
        gateway = Gateway.of(mesh.documents, file=file, name=self._name)
        labels = {label for port in WEB_PORTS.values() for label in _destinations(gateway, port)}
        upstreams = dict(_upstreams(labels, services))
        parts = [
            bootstrap({scheme: gateway}, upstreams, port=port, log_format=_LOG)
            for scheme, port in WEB_PORTS.items()
        ]
        resources = [part["static_resources"] for part in parts]
        clusters = {each["name"]: each for part in resources for each in part["clusters"]}
        listeners = [each for part in resources for each in part["listeners"]]
        static = {"listeners": listeners, "clusters": list(clusters.values())}
        return mesh, gateway, {"static_resources": static}


class _GatewayWire(Wire):
    """Sends what is for the gateway's hosts to the gateway, and what is for `host`.

    `client_ports` are those of the connections to it.
    """

    def __init__(self, gateway: MeshGateway, host: str) -> None:
        super().__init__()
        self.client_ports: list[int] = []
        self._gateway, self._host = gateway, host
        self._goes_there = False

    def _address(self, scheme: str, host: str, port: int) -> str | None:
        outside = WEB_PORTS["http" if scheme == "http" else "https"]
        known = host == self._host or self._gateway.model.virtual_host(host, outside) is not None
        self._goes_there = known
        if not known:
            return super()._address(scheme, host, port)
        return f"http://127.0.0.1:{self._gateway.ports[scheme]}"

    def _done(self, client_port: int) -> None:
        if self._goes_there and client_port:
            self.client_ports.append(client_port)


def _destinations(gateway: Gateway, port: int) -> Iterator[str]:
    for host in gateway.virtual_hosts(port):
        for route in host.routes:
            for to in route.source.route:
                yield f"{to.host}:{to.port or route.port}"


def _upstreams(
    labels: Iterable[str], services: Mapping[str, int | str]
) -> Iterator[tuple[str, int | str]]:
    """Yield each destination that a service is given for, and its address."""
    names = {label: _names(label) for label in sorted(labels)}
    for name, at in services.items():
        address = _address(name, at)
        found = [label for label, known in names.items() if name in known]
        if not found:
            hint = did_you_mean(name, names) if names else "no rule has a destination"
            raise ValueError(f"services: {printable(name, 120)}: {hint}")
        yield from ((label, address) for label in found)


def _names(label: str) -> set[str]:
    """Return what a destination may be called: with its namespace and port, or without."""
    host, _, port = label.rpartition(":")
    found = service_of_host(host)
    short = {host} if found is None else {host, found[0]}
    return {name for each in short for name in (each, f"{each}:{port}")}


def _address(name: str, at: int | str) -> int | str:
    if isinstance(at, int) and not isinstance(at, bool) and 0 < at < 65536:
        return at
    text = str(at)
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or not parts.hostname or not port or parts.path not in ("", "/"):
        raise ValueError(f"services: {printable(name, 120)}: write a port or http://HOST:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}"


def _logged(log: str) -> Iterator[tuple[int, RoutedRequest]]:
    """Yield each request of an access log, and the client's port."""
    for line in log.splitlines():
        if not line.startswith("{"):
            continue
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            continue  # not yet written to its end
        cluster = _CLUSTER.fullmatch(found.get("cluster") or "")
        port = (found.get("client") or "").rpartition(":")[2]
        yield (
            int(port or 0),
            RoutedRequest(
                method=found.get("method") or "",
                scheme=found.get("scheme") or "",
                host=found.get("host") or "",
                path=(found.get("path") or "").partition("?")[0],
                rule=found.get("rule"),
                destination=f"{cluster[2]}:{cluster[1]}" if cluster else None,
                status=int(found.get("status") or 0),
                flags=(found.get("flags") or "-").strip("-"),
            ),
        )
