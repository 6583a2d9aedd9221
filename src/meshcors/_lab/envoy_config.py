"""What the lab's Envoy runs: two listeners, in front of each the translator, and its access log.

Pure. The routes are those of `meshcors.mesh.envoy`, so that what the lab shows is what the models
are tested with. HTTPS servers of the documents are plain HTTP here.

Sources: Envoy's API v3, ``extensions.filters.http.lua.v3.Lua``,
``extensions.access_loggers.file.v3.FileAccessLog``, ``config.cluster.v3.Cluster``.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from meshcors._lab.scene import SIDES, Address, Scene, SideName
from meshcors.mesh.envoy import bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors._lab.names import LocalOrigins

_TYPES: Final = "type.googleapis.com/envoy.extensions"
# What a line of the access log has, besides what the translator keeps.
_LOGGED: Final = {
    "status": "%RESPONSE_CODE%",
    "rule": "%ROUTE_NAME%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "lab": "%DYNAMIC_METADATA(lab)%",
}


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Where the destinations (``host:port``) of each side are."""

    before: Mapping[str, Address]
    after: Mapping[str, Address]

    def of(self, side: SideName) -> Mapping[str, Address]:
        """Return those of a side."""
        return self.before if side == "before" else self.after


def lab_bootstrap(
    scene: Scene, upstreams: Upstreams, origins: LocalOrigins, access_log: str
) -> dict[str, Any]:
    """Return the bootstrap; its listeners are called ``before`` and ``after``.

    ``access_log`` is the path of a file, to which Envoy appends a line of JSON for each request.
    """
    listeners: list[Any] = []
    clusters: list[Any] = []
    translator = {
        "name": "lab.translator",
        "typed_config": {
            "@type": f"{_TYPES}.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": origins.filter_text()},
        },
    }
    for side in SIDES:
        made = _side(scene, side, upstreams.of(side))
        for listener in made["listeners"]:
            manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
            manager["http_filters"].insert(0, translator)
            manager["access_log"] = [_access_log(access_log, side)]
            scheme = "http" if scene.port == 80 else "https"
            manager["scheme_header_transformation"] = {"scheme_to_overwrite": scheme}
            listeners.append(listener)
        clusters += made["clusters"]
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


def destination_of(cluster: str) -> str:
    """Return the destination (``host:port``) of a cluster in the access log, empty for none."""
    parts = cluster.split("|")
    return f"{parts[3]}:{parts[1]}" if len(parts) == 4 else ""


def _access_log(path: str, side: SideName) -> dict[str, Any]:
    return {
        "name": "lab.traffic",
        "typed_config": {
            "@type": f"{_TYPES}.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": {**_LOGGED, "side": side}},
        },
    }


def _side(scene: Scene, side: SideName, upstreams: Mapping[str, Address]) -> dict[str, Any]:
    """Return a side's listener and clusters, whose names begin with the side's."""
    ports = {label: port for label, (_, port) in upstreams.items()}
    made = bootstrap({side: scene.gateway(side)}, ports, port=scene.port)["static_resources"]
    for cluster in made["clusters"]:
        label = destination_of(cluster["name"])
        if label in upstreams:
            _lead(cluster, upstreams[label])
        cluster["name"] = cluster["load_assignment"]["cluster_name"] = f"{side} {cluster['name']}"
    for action in _actions(made["listeners"]):
        if "cluster" in action:
            action["cluster"] = f"{side} {action['cluster']}"
        for each in action.get("weighted_clusters", {}).get("clusters", ()):
            each["name"] = f"{side} {each['name']}"
    found: dict[str, Any] = made
    return found


def _lead(cluster: dict[str, Any], address: Address) -> None:
    """Lead a cluster to another host than 127.0.0.1."""
    host, port = address
    (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    endpoint["endpoint"]["address"] = {"socket_address": {"address": host, "port_value": port}}
    try:
        ipaddress.ip_address(host)
    except ValueError:
        cluster["type"] = "STRICT_DNS"
        # localhost may be either
        cluster["dns_lookup_family"] = "ALL"


def _actions(listeners: list[Any]) -> Iterator[dict[str, Any]]:
    for listener in listeners:
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        for host in manager["route_config"]["virtual_hosts"]:
            for route in host["routes"]:
                if "route" in route:
                    yield route["route"]
