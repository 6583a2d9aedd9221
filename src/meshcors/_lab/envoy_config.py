"""What the lab's Envoy runs: two listeners, in front of each the translator, and its access log.

Pure. The routes are those of `meshcors.mesh.envoy`, so that what the lab shows is what the models
are tested with. HTTPS servers of the documents are plain HTTP here.

Sources: Envoy's API v3, ``extensions.filters.http.lua.v3.Lua``,
``extensions.access_loggers.file.v3.FileAccessLog``, ``config.cluster.v3.Cluster``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from meshcors._lab.settings import LOOPBACK, SIDES, Address, SideName
from meshcors.mesh.envoy import bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors._lab.names import LocalOrigins
    from meshcors._lab.scene import Scene

_TYPES: Final = "type.googleapis.com/envoy.extensions"
# What a line of the access log has, besides what the translator keeps.
_LOGGED: Final = {
    "status": "%RESPONSE_CODE%",
    "rule": "%ROUTE_NAME%",
    "flags": "%RESPONSE_FLAGS%",
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
        made = _side(scene, side, upstreams.of(side), translator)
        for listener in made["listeners"]:
            manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
            manager["access_log"] = [_access_log(access_log, side)]
            listeners.append(listener)
        clusters += made["clusters"]
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


def check_bootstrap(scene: Scene, upstreams: Mapping[str, Address]) -> dict[str, Any]:
    """Return the bootstrap for ``--check``: the side ``before`` alone, by the documents' names."""
    made: dict[str, Any] = bootstrap(
        {"before": scene.before}, _addresses(upstreams), port=scene.port
    )
    return made


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


def _side(
    scene: Scene, side: SideName, upstreams: Mapping[str, Address], translator: dict[str, Any]
) -> dict[str, Any]:
    """Return a side's listener and clusters, whose names begin with the side's."""
    name: str = side
    config = bootstrap(
        {name: scene.gateway(side)},
        _addresses(upstreams),
        port=scene.port,
        http_filters={name: [translator]},
    )
    made: dict[str, Any] = config["static_resources"]
    for cluster in made["clusters"]:
        cluster["name"] = cluster["load_assignment"]["cluster_name"] = f"{side} {cluster['name']}"
    for action in _actions(made["listeners"]):
        if "cluster" in action:
            action["cluster"] = f"{side} {action['cluster']}"
        for each in action.get("weighted_clusters", {}).get("clusters", ()):
            each["name"] = f"{side} {each['name']}"
    return made


def _addresses(upstreams: Mapping[str, Address]) -> dict[str, int | str]:
    return {label: _address(host, port) for label, (host, port) in upstreams.items()}


def _address(host: str, port: int) -> int | str:
    if host == LOOPBACK:
        return port
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _actions(listeners: list[Any]) -> Iterator[dict[str, Any]]:
    for listener in listeners:
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        for host in manager["route_config"]["virtual_hosts"]:
            for route in host["routes"]:
                if "route" in route:
                    yield route["route"]
