"""Who may reach the pod where the gateway is in istio-system, and where the marks move it.

NetworkPolicies and AuthorizationPolicies are evaluated as Kubernetes and Istio do: what policies
select a pod allow together, and nothing else passes.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.test_kubernetes import CHART, CONTAINER, EXAMPLES, LABELS, OVERLAYS, Document, rendered

PORTS = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
HTTP, ADMIN, TUNNEL = 8080, 9090, 15008
PREFLIGHT = {"origin": "https://ui.example.com", "access-control-request-method": "POST"}
# What a comment marks, and what stands in the lines below it.
MARKS = {
    "gateway": re.compile(
        r"(# (?:Where your gateway's pods run|Your gateway):\n(?:.*\n){0,3}?.*?)"
        r"(?:istio-system|envoy-gateway-system)"
    ),
    "Prometheus": re.compile(r"(# Where your Prometheus runs\b.*:\n(?:.*\n){0,3}?.*?)monitoring"),
}


@dataclass(frozen=True)
class Place:
    """Where the gateway and Prometheus run."""

    gateway: str
    prometheus: str = "monitoring"

    def documents(self, top: Path) -> list[Document]:
        """An overlay and the monitoring, in which the marks are followed; not to be changed."""
        return _documents(self, top)

    def text(self, path: Path) -> str:
        text = path.read_text(encoding="utf-8")
        moved = {"gateway": self.gateway, "Prometheus": self.prometheus}
        for mark, namespace in moved.items():
            text = MARKS[mark].sub(lambda at, to=namespace: at[1] + to, text)
        return text

    def read(self, path: Path) -> Document:
        document: Document = YAML(typ="safe", pure=True).load(self.text(path))
        return document


@cache
def _documents(place: Place, top: Path) -> list[Document]:
    tops = (top, EXAMPLES / "monitoring")
    return [each for it in tops for each in rendered(it, place.read).values()]


@dataclass(frozen=True)
class Peer:
    """Who calls, or is called."""

    namespace: str
    address: str = "10.0.0.1"
    labels: Document = field(default_factory=dict)


def network_allows(documents: list[Document], direction: str, peer: Peer, port: int) -> bool:
    """Source: networking.k8s.io/v1, NetworkPolicy."""
    policies = [
        each["spec"]
        for each in documents
        if each["kind"] == "NetworkPolicy"
        and each["spec"]["podSelector"]["matchLabels"].items() <= LABELS.items()
        and direction.capitalize() in each["spec"]["policyTypes"]
    ]
    rules = [rule for policy in policies for rule in policy.get(direction, [])]
    side = "from" if direction == "ingress" else "to"
    return not policies or any(
        any(is_meant(each, peer) for each in rule[side])
        and any(PORTS.get(each["port"], each["port"]) == port for each in rule["ports"])
        for rule in rules
    )


def is_meant(selector: Document, peer: Peer) -> bool:
    if "ipBlock" in selector:
        network = ipaddress.ip_network(selector["ipBlock"]["cidr"])
        return ipaddress.ip_address(peer.address) in network
    assert set(selector) == {"namespaceSelector"}
    labels = {"kubernetes.io/metadata.name": peer.namespace}
    return bool(selector["namespaceSelector"]["matchLabels"].items() <= labels.items())


def mesh_allows(
    documents: list[Document], peer: Peer, port: int, method: str, headers: Document
) -> bool:
    """Source: security.istio.io/v1, AuthorizationPolicy; only what these policies use."""
    policies = [
        each["spec"]
        for each in documents
        if each["kind"] == "AuthorizationPolicy"
        and each["spec"]["selector"]["matchLabels"].items() <= LABELS.items()
    ]
    assert {policy["action"] for policy in policies} <= {"ALLOW"}
    return not policies or any(
        rule_allows(rule, peer, port, method, headers)
        for policy in policies
        for rule in policy["rules"]
    )


def rule_allows(rule: Document, peer: Peer, port: int, method: str, headers: Document) -> bool:
    assert set(rule) <= {"from", "to", "when"}
    sources = [each["source"] for each in rule.get("from", [])]
    if sources and not any(peer.namespace in source["namespaces"] for source in sources):
        return False
    for condition in rule.get("when", []):
        name = re.fullmatch(r"request\.headers\[(.+)\]", condition["key"])
        assert name
        assert condition["values"] == ["*"]
        if not headers.get(name[1]):
            return False
    return any(
        str(port) in it["ports"]
        and method in it.get("methods", [method])
        and method not in it.get("notMethods", [])
        for it in (to["operation"] for to in rule["to"])
    )


SIDECAR, AMBIENT = (EXAMPLES / "overlays" / name for name in ("istio-sidecar", "istio-ambient"))
PLACES = [
    pytest.param(Place("istio-system"), id="istio-system"),
    pytest.param(Place("envoy-gateway-system"), id="envoy-gateway-system"),
    pytest.param(Place("ingress", "observability"), id="elsewhere"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("top", OVERLAYS, ids=lambda top: top.name)
def test_the_gateway_reaches_the_pod_and_nobody_else_does(top: Path, place: Place) -> None:
    documents = place.documents(top)
    # In an ambient mesh calls arrive in the tunnel, and the mesh looks at the port inside.
    arrives = TUNNEL if top == AMBIENT else HTTP
    gateway, prometheus = Peer(place.gateway), Peer(place.prometheus)
    strangers = [Peer(it) for it in ("models", "default", "istio-system", "kube-system")]
    strangers = [each for each in strangers if each.namespace != place.gateway]
    for method, headers in (("OPTIONS", PREFLIGHT), ("POST", {}), ("GET", {})):
        assert network_allows(documents, "ingress", gateway, arrives)
        assert mesh_allows(documents, gateway, HTTP, method, headers)
        for peer in [*strangers, prometheus]:
            there = network_allows(documents, "ingress", peer, arrives)
            assert not (there and mesh_allows(documents, peer, HTTP, method, headers))
    if top == SIDECAR:
        assert not mesh_allows(documents, gateway, HTTP, "OPTIONS", {"origin": "https://ui.x"})
    for peer in strangers:
        assert not network_allows(documents, "ingress", peer, ADMIN)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("top", OVERLAYS, ids=lambda top: top.name)
def test_prometheus_reads_the_admin_port(top: Path, place: Place) -> None:
    documents = place.documents(top)
    prometheus = Peer(place.prometheus)
    assert network_allows(documents, "ingress", prometheus, ADMIN)
    if top == AMBIENT:
        # In the mesh itself, too.
        assert network_allows(documents, "ingress", prometheus, TUNNEL)
        assert mesh_allows(documents, prometheus, ADMIN, "GET", {})
        (peers,) = (each for each in documents if each["kind"] == "PeerAuthentication")
        # ztunnel ignores DISABLE.
        assert peers["spec"]["portLevelMtls"] == {str(ADMIN): {"mode": "PERMISSIVE"}}
    if top == SIDECAR:
        # Past the sidecar, which would ask for mutual TLS.
        (deployment,) = (each for each in documents if each["kind"] == "Deployment")
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        assert annotations["traffic.sidecar.istio.io/excludeInboundPorts"] == str(ADMIN)


def test_the_kubelets_probes_reach_a_pod_in_an_ambient_mesh() -> None:
    documents = Place("istio-system").documents(AMBIENT)
    kubelet = Peer("", "169.254.7.127")
    assert network_allows(documents, "ingress", kubelet, ADMIN)
    assert not network_allows(documents, "ingress", kubelet, HTTP)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("top", OVERLAYS, ids=lambda top: top.name)
def test_a_pod_calls_nobody_but_what_its_sidecar_needs(top: Path, place: Place) -> None:
    documents = place.documents(top)
    istiod, dns = (Peer("istio-system"), 15012), (Peer("kube-system"), 53)
    for peer, port in (istiod, dns):
        assert network_allows(documents, "egress", peer, port) == (top == SIDECAR)
    for peer, port in ((Peer("models"), 8000), (Peer(place.gateway), 80)):
        assert not network_allows(documents, "egress", peer, port)


def test_every_place_is_marked() -> None:
    """Where the gateway and Prometheus move, only istiod's own namespace is left."""
    place = Place("ingress", "observability")
    named = re.compile(r"istio-system|envoy-gateway-system|: monitoring$")
    for path in set(EXAMPLES.rglob("*.yaml")) - CHART:
        lines = [it for it in place.text(path).splitlines() if not it.lstrip().startswith("# In ")]
        for number, line in enumerate(lines):
            if named.search(line) and not line.lstrip().startswith("#"):
                above = lines[max(0, number - 3) : number]
                assert any("# Where istiod runs" in each for each in above), f"{path}: {line}"
