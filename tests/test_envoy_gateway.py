"""What is written for Envoy Gateway has only fields and values that its API knows.

Its schema is in no package, so the fields that are used are described here. Source: envoyproxy/
gateway, api/v1alpha1, with the file next to each part.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from ruamel.yaml import YAML

from meshcors._cli import run
from meshcors.mesh._analysis.pod_traffic import backend_traffic, traffic_policy
from meshcors.mesh._analysis.pod_traffic import virtual_service_traffic as of_virtual_service
from tests.test_kubernetes import EXAMPLES, rendered

Json = dict[str, Any]


def fields(required: tuple[str, ...] = (), **known: Json) -> Json:
    return {
        "type": "object",
        "properties": known,
        "required": list(required),
        "additionalProperties": False,
    }


def number(least: int = 0, most: int = 2**31 - 1) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most}


# The Gateway API's Duration: apis/v1/shared_types.go.
DURATION = {"type": "string", "pattern": r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
NAME = {"type": "string", "minLength": 1, "maxLength": 253}
# policy_helpers.go, and the rules for targetRefs above BackendTrafficPolicySpec
TARGET = fields(
    ("group", "kind", "name"),
    group={"const": "gateway.networking.k8s.io"},
    kind={"enum": ["Gateway", "GRPCRoute", "HTTPRoute", "TCPRoute", "TLSRoute", "UDPRoute"]},
    name=NAME,
    sectionName=NAME,
)
# loadbalancer_types.go; the types that need no further field
LOAD_BALANCER = fields(("type",), type={"enum": ["LeastRequest", "Random", "RoundRobin"]})
# retry_types.go
TRIGGERS = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
]
RETRY = fields(
    numRetries=number(),
    perRetry=fields(timeout=DURATION),
    retryOn=fields(
        triggers={"type": "array", "items": {"enum": TRIGGERS}},
        httpStatusCodes={"type": "array", "items": number(100, 599)},
    ),
)
# timeout_types.go
TIMEOUT = fields(
    tcp=fields(connectTimeout=DURATION),
    http=fields(
        connectionIdleTimeout=DURATION, maxConnectionDuration=DURATION, requestTimeout=DURATION
    ),
)
# healthcheck_types.go
PASSIVE = fields(
    baseEjectionTime=DURATION,
    consecutive5XxErrors=number(),
    consecutiveGatewayErrors=number(),
    interval=DURATION,
    maxEjectionPercent=number(0, 100),
)
# backendtrafficpolicy_types.go
POLICY = fields(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "gateway.envoyproxy.io/v1alpha1"},
    kind={"const": "BackendTrafficPolicy"},
    metadata=fields(("name",), name=NAME, namespace=NAME, labels={"type": "object"}),
    spec=fields(
        ("targetRefs",),
        targetRefs={"type": "array", "items": TARGET, "minItems": 1},
        loadBalancer=LOAD_BALANCER,
        retry=RETRY,
        timeout=TIMEOUT,
        healthCheck=fields(passive=PASSIVE),
    ),
)
VALIDATOR = Draft202012Validator(POLICY)
OVERLAY = rendered(EXAMPLES / "overlays" / "envoy-gateway")
KIND = "BackendTrafficPolicy"


def test_the_overlays_policy_is_valid() -> None:
    kinds = {kind for (kind, _), it in OVERLAY.items() if "envoyproxy" in it["apiVersion"]}
    assert kinds == {KIND}
    VALIDATOR.validate(OVERLAY[KIND, "meshcors-dummy"])


@pytest.mark.parametrize(
    ("flags", "targets"),
    [
        ([], ["meshcors-dummy-1", "meshcors-dummy-2"]),
        (["--name", "cors", "--namespace", "web"], ["cors-1", "cors-2"]),
    ],
)
def test_what_render_writes_is_valid(
    flags: list[str], targets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "policy.yaml"
    rule = "hosts: [{}.example], corsPolicy: {{allowOrigins: [https://ui.example]}}"
    rules = [f"{{{rule.format(host)}}}" for host in ("a", "b")]
    config.write_text(f"rules: [{', '.join(rules)}]", encoding="utf-8")
    form = ["--config", str(config), "--to", "httproute", "--for", "envoy-gateway"]
    assert run(["render", *form, *flags]) == 0
    *routes, policy = YAML(typ="safe", pure=True).load_all(capsys.readouterr().out)
    VALIDATOR.validate(policy)
    assert [each["metadata"]["name"] for each in routes] == targets
    assert [each["name"] for each in policy["spec"]["targetRefs"]] == targets
    homes = {each["metadata"].get("namespace") for each in (*routes, policy)}
    assert len(homes) == 1


def change(*path: str | int, to: Any) -> Callable[[Json], None]:
    def made(document: Json) -> None:
        node: Any = document
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = to

    return made


@pytest.mark.parametrize(
    "broken",
    [
        change("spec", "retries", to={}),
        change("spec", "retry", "attempts", to=4),
        change("spec", "retry", "retryOn", "triggers", 0, to="connection-failure"),
        change("spec", "retry", "perRetry", "timeout", to="0.5s"),
        change("spec", "timeout", "http", "idleTimeout", to="60s"),
        change("spec", "healthCheck", "passive", "consecutive5xxErrors", to=3),
        change("spec", "healthCheck", "passive", "maxEjectionPercent", to=101),
        change("spec", "loadBalancer", "type", to="ROUND_ROBIN"),
        change("spec", "targetRefs", 0, "kind", to="Service"),
        change("spec", "targetRefs", to=[]),
    ],
)
def test_a_mistake_is_found(broken: Callable[[Json], None]) -> None:
    document = copy.deepcopy(OVERLAY[KIND, "meshcors-dummy"])
    broken(document)
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document)


def test_istio_and_envoy_gateway_treat_the_pod_alike() -> None:
    policy, of_istio, retries = backend_traffic(), traffic_policy(), of_virtual_service()["retries"]
    again, passive = policy["retry"], policy["healthCheck"]["passive"]
    assert again["numRetries"] == retries["attempts"]
    assert again["perRetry"]["timeout"] == retries["perTryTimeout"]
    assert ",".join(again["retryOn"]["triggers"]) == retries["retryOn"]
    pool, timeout = of_istio["connectionPool"], policy["timeout"]
    assert timeout["http"]["connectionIdleTimeout"] == pool["http"]["idleTimeout"]
    assert timeout["tcp"] == pool["tcp"]
    # Both spell a number of errors in their own way.
    spelled = {name.lower(): value for name, value in passive.items()}
    assert spelled == {name.lower(): value for name, value in of_istio["outlierDetection"].items()}
