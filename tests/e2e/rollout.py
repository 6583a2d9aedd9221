"""A small cluster: pods behind a real Envoy with the manifests' own settings, and a constant load.

The settings are read from the YAML of the overlays and put into Envoy's configuration as Istio
translates them: a rule's timeout and retries into its route (pilot/pkg/networking/core/route), a
DestinationRule into its cluster (pilot/pkg/networking/core/cluster_traffic_policy.go); or as Envoy
Gateway does (internal/xds/translator: route.go and cluster.go). Envoy learns
the pods from a file, as it does from Istio: a pod is added when it is ready, and removed a while
after the signal to end.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshcors.mesh.envoy import bootstrap
from tests.dummy_process import beside, environment, request
from tests.e2e.processes import free_port
from tests.test_kubernetes import BASE, EXAMPLES, UI, gateway, rendered, with_paths

Json = dict[str, Any]
POLICY = BASE["ConfigMap", "meshcors-dummy-policy"]["data"]["policy.yaml"]
# Istio's own retries, where a rule names none, and if the mesh has no default of its own:
# pilot/pkg/networking/core/route/retry.
ISTIO_RETRIES = {
    "attempts": 2,
    "retryOn": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
}
MANY = 2**32 - 1
OVERLAYS = EXAMPLES / "overlays"
# How a gateway may treat the pods: plain Envoy; Istio's with the ambient overlay, without and with
# istio-retries; Envoy Gateway's; Istio's with the sidecar overlay.
WAYS = ("nothing set", "HTTPRoute", "HTTPRoute and retries", "Envoy Gateway", "VirtualService")
# How long a page waits in vain: longer than any timeout in the manifests.
PATIENCE = 2.5
PREFLIGHT = (
    "OPTIONS /v1/chat HTTP/1.1\r\nhost: api.example.com\r\n"
    f"origin: {UI}\r\naccess-control-request-method: POST\r\n"
    "access-control-request-headers: content-type,model-api-key\r\n\r\n"
).encode()


# --- Envoy


def configuration(endpoints: Path) -> Json:
    """An Envoy with a listener for each of `WAYS` to route preflights to the pods."""
    sidecar, ambient = OVERLAYS / "istio-sidecar", OVERLAYS / "istio-ambient"
    envoy_gateway = OVERLAYS / "envoy-gateway"
    service, route = rendered(sidecar), rendered(ambient)
    rule = service["VirtualService", "models"]["spec"]["http"][0]
    route_rule = route["HTTPRoute", "meshcors-dummy"]["spec"]["rules"][0]
    to = ("DestinationRule", "meshcors-dummy")
    by_route = of_destination_rule(route[to]["spec"]["trafficPolicy"])
    by_service = of_destination_rule(service[to]["spec"]["trafficPolicy"])
    ways = (
        (sidecar, {}, {}),
        (ambient, of_http_route(route_rule), by_route),
        (ambient, patched(of_http_route(route_rule)), by_route),
        (envoy_gateway, *of_envoy_gateway(rendered(envoy_gateway))),
        (sidecar, of_virtual_service(rule), by_service),
    )
    made: Json = {"listeners": [], "clusters": []}
    for name, (overlay, action, traffic) in zip(WAYS, ways, strict=True):
        made["listeners"].append(listener(name, overlay, action))
        made["clusters"].append({"name": name, **cluster(endpoints), **traffic})
    return {"node": {"id": "gateway", "cluster": "gateway"}, "static_resources": made}


def listener(name: str, overlay: Path, action: Json) -> Json:
    """The listener of an overlay with its rule for preflights alone, which has `action`."""
    (made,) = bootstrap({name: gateway(overlay)}, {})["static_resources"]["listeners"]
    manager = made["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    first = host["routes"][0]
    methods = [each for each in first["match"]["headers"] if each["name"] == ":method"]
    assert methods == [{"name": ":method", "string_match": {"exact": "OPTIONS"}}]
    host["routes"] = [{**first, "route": {**first["route"], **action, "cluster": name}}]
    return made


def of_virtual_service(rule: Json) -> Json:
    return {"timeout": seconds(rule["timeout"]), "retry_policy": retries(rule["retries"])}


def of_http_route(rule: Json) -> Json:
    assert "retry" not in rule
    return {
        "timeout": seconds(rule["timeouts"]["request"]),
        "retry_policy": {**retries(ISTIO_RETRIES), "retriable_status_codes": [503]},
    }


def patched(action: Json) -> Json:
    """The action of a route, with the EnvoyFilter's patch merged into it."""
    filters = rendered(EXAMPLES / "istio-retries")["EnvoyFilter", "meshcors-dummy-retries"]
    (patch,) = filters["spec"]["configPatches"]
    value = patch["patch"]["value"]["route"]
    return {**action, "retry_policy": {**action["retry_policy"], **value["retry_policy"]}}


def of_envoy_gateway(documents: dict[tuple[str, str], Json]) -> tuple[Json, Json]:
    """What Envoy Gateway makes of the HTTPRoute and the policy: of a route, and of a cluster."""
    rule = documents["HTTPRoute", "meshcors-dummy"]["spec"]["rules"][0]
    policy = documents["BackendTrafficPolicy", "meshcors-dummy"]["spec"]
    again, timeout, passive = policy["retry"], policy["timeout"], policy["healthCheck"]["passive"]
    retried = {
        "attempts": again["numRetries"],
        "retryOn": ",".join(again["retryOn"]["triggers"]),
        "perTryTimeout": again["perRetry"]["timeout"],
    }
    action = {"timeout": seconds(rule["timeouts"]["request"]), "retry_policy": retries(retried)}
    traffic = {
        "lb_policy": {"RoundRobin": "ROUND_ROBIN"}[policy["loadBalancer"]["type"]],
        "connect_timeout": seconds(timeout["tcp"]["connectTimeout"]),
        "typed_extension_protocol_options": idle(timeout["http"]["connectionIdleTimeout"]),
        "circuit_breakers": {"thresholds": [{"max_retries": 1024}]},
        "outlier_detection": {
            "consecutive_5xx": passive["consecutive5XxErrors"],
            "consecutive_gateway_failure": passive["consecutiveGatewayErrors"],
            "enforcing_consecutive_gateway_failure": 100,
            "interval": seconds(passive["interval"]),
            "base_ejection_time": seconds(passive["baseEjectionTime"]),
            "max_ejection_percent": passive["maxEjectionPercent"],
        },
    }
    return action, traffic


def retries(policy: Json) -> Json:
    made: Json = {
        "num_retries": policy["attempts"],
        "retry_on": policy["retryOn"],
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3"
                    ".PreviousHostsPredicate"
                },
            }
        ],
    }
    if "perTryTimeout" in policy:
        made["per_try_timeout"] = seconds(policy["perTryTimeout"])
    return made


def cluster(endpoints: Path) -> Json:
    """A cluster of the pods in the file `endpoints`, as Istio makes it without any policy."""
    return {
        "type": "EDS",
        "eds_cluster_config": {
            "service_name": "pods",
            "eds_config": {
                "resource_api_version": "V3",
                "path_config_source": {"path": str(endpoints)},
            },
        },
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "10s",
        "circuit_breakers": {
            "thresholds": [
                dict.fromkeys(
                    ("max_retries", "max_requests", "max_connections", "max_pending_requests"), MANY
                )
            ]
        },
    }


def of_destination_rule(policy: Json) -> Json:
    """What the traffic policy of a DestinationRule makes of a cluster."""
    pool, outliers = policy["connectionPool"], policy["outlierDetection"]
    return {
        "lb_policy": policy["loadBalancer"]["simple"],
        "connect_timeout": seconds(pool["tcp"]["connectTimeout"]),
        "typed_extension_protocol_options": idle(pool["http"]["idleTimeout"]),
        "outlier_detection": {
            "enforcing_success_rate": 0,
            "consecutive_5xx": outliers["consecutive5xxErrors"],
            "enforcing_consecutive_5xx": 100,
            "consecutive_gateway_failure": outliers["consecutiveGatewayErrors"],
            "enforcing_consecutive_gateway_failure": 100,
            "interval": seconds(outliers["interval"]),
            "base_ejection_time": seconds(outliers["baseEjectionTime"]),
            "max_ejection_percent": outliers["maxEjectionPercent"],
        },
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }


def idle(timeout: str) -> Json:
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        kind: {
            "@type": f"type.googleapis.com/{kind}",
            "explicit_http_config": {"http_protocol_options": {}},
            "common_http_protocol_options": {"idle_timeout": seconds(timeout)},
        }
    }


def seconds(duration: str) -> str:
    """A duration of Kubernetes (500ms, 2s) as one of protobuf's JSON (0.5s)."""
    if duration.endswith("ms"):
        return f"{int(duration.removesuffix('ms')) / 1000:g}s"
    assert duration.endswith("s")
    return duration


# --- pods


@dataclass
class Pod:
    """A pod with the Deployment's arguments on ports of its own, which a restart keeps."""

    policy: Path
    port: int = field(default_factory=free_port)
    admin: int = field(default_factory=free_port)
    drain: str = "2"
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> Pod:
        self._launch()
        deadline = time.monotonic() + 60
        while not await asyncio.to_thread(self.is_ready):
            assert time.monotonic() < deadline, "the pod does not start"
            await asyncio.sleep(0.05)
        return self

    def _launch(self) -> None:
        flags = ["--host", "127.0.0.1", "--drain", self.drain]
        flags += ["--port", str(self.port), "--admin-port", str(self.admin)]
        words = beside(with_paths(self.policy), flags)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "meshcors.dummy", *words, *flags],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def is_ready(self) -> bool:
        try:
            return request(("127.0.0.1", self.admin), "GET", "/readyz", {}).status == 200
        except OSError:
            return False

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, 20)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


class Cluster:
    """The pods, and the file from which Envoy knows them."""

    def __init__(self, directory: Path) -> None:
        self.policy = directory / "policy.yaml"
        self.policy.write_text(POLICY, encoding="utf-8")
        self.endpoints = directory / "endpoints.json"
        self.pods: list[Pod] = []
        self._started: list[Pod] = []
        self._version = 0
        self.announce([])

    async def start_pod(self) -> Pod:
        pod = Pod(self.policy)
        self._started.append(pod)
        return await pod.start()

    def announce(self, pods: Sequence[Pod]) -> None:
        """Tell Envoy which pods there are; it reads a file that is moved to the name it knows."""
        self.pods = list(pods)
        self._version += 1
        addresses = [{"address": "127.0.0.1", "port_value": pod.port} for pod in pods]
        assignment = {
            "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            "cluster_name": "pods",
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": {"socket_address": each}}} for each in addresses
                    ]
                }
            ],
        }
        new = self.endpoints.with_suffix(".new")
        made = {"version_info": str(self._version), "resources": [assignment]}
        new.write_text(json.dumps(made), encoding="utf-8")
        new.replace(self.endpoints)

    def stop(self) -> None:
        for pod in self._started:
            pod.stop()


# --- the load


@dataclass
class Load:
    """Preflights at a constant rate over kept-alive connections, and what came of them."""

    port: int
    connections: int = 6
    pause: float = 0.02
    counts: Counter[str] = field(default_factory=Counter)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _ends: bool = False

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self.connections)]

    async def end(self) -> Counter[str]:
        """Let every request end, or PATIENCE pass."""
        self._ends = True
        await asyncio.gather(*self._tasks)
        return self.counts

    async def _client(self) -> None:
        writer: asyncio.StreamWriter | None = None
        try:
            while not self._ends:
                started = time.monotonic()
                try:
                    if writer is None:
                        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.write(PREFLIGHT)
                    async with asyncio.timeout(PATIENCE):
                        head = await reader.readuntil(b"\r\n\r\n")
                    status = head.split(b" ", 2)[1].decode()
                    length = next(
                        (
                            int(line.partition(b":")[2])
                            for line in head.lower().split(b"\r\n")
                            if line.startswith(b"content-length:")
                        ),
                        0,
                    )
                    await reader.readexactly(length)
                    allowed = status != "204" or b"access-control-allow-origin: " in head.lower()
                    self.counts[status if allowed else "204 without grant"] += 1
                except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                    self.counts[type(error).__name__] += 1
                    if writer is not None:
                        writer.close()
                    writer = None
                await asyncio.sleep(max(0.0, self.pause - (time.monotonic() - started)))
        finally:
            if writer is not None:
                writer.close()
