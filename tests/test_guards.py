"""What stands in front of a gateway, and what it does with a preflight and with a call."""

from __future__ import annotations

import pytest

from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh._analysis.guards import Guards, GuardVerdict
from meshcors.mesh._analysis.mesh_documents import read_mesh

SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: model, namespace: team}
spec:
  hosts: [api.example]
  gateways: [ingress/public]
  http: [{route: [{destination: {host: model}}]}]
"""
PREFLIGHT = GatewayRequest(
    "OPTIONS",
    "api.example",
    "/v1/chat",
    [
        ("accept", "*/*"),
        ("origin", "https://ui.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-key"),
    ],
)
CALL = GatewayRequest(
    "POST",
    "API.example",
    "/v1/chat?q=1",
    [
        ("origin", "https://ui.example"),
        ("x-key", "k0"),
        ("x-none", ""),
        ("content-type", "text/plain"),
    ],
)
WITH_PORT = GatewayRequest("POST", "api.example:8443", "/v1", CALL.headers)


def an_object(kind: str, spec: str, metadata: str = "") -> str:
    groups = {"EnvoyFilter": "networking.istio.io/v1alpha3", "Gateway": "networking.istio.io/v1"}
    version = groups.get(kind, "security.istio.io/v1")
    metadata = metadata or "name: it, namespace: ingress"
    return f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{{metadata}}}\nspec: {spec}\n"


def policy(spec: str, metadata: str = "") -> str:
    return an_object("AuthorizationPolicy", spec, metadata)


def to(operation: str) -> str:
    return policy(f"{{action: DENY, rules: [{{to: [{{operation: {{{operation}}}}}]}}]}}")


def when(condition: str) -> str:
    return policy(f"{{action: DENY, rules: [{{when: [{{{condition}}}]}}]}}")


def source(condition: str, action: str = "DENY") -> str:
    return policy(f"{{action: {action}, rules: [{{from: [{{source: {{{condition}}}}}]}}]}}")


def applying(spec: str, metadata: str = "") -> str:
    """A policy that denies everything where it applies."""
    return policy(f"{{action: DENY, rules: [{{}}]{spec}}}", metadata)


def labels(text: str) -> str:
    return applying(f", selector: {{matchLabels: {{{text}}}}}", "name: it, namespace: other")


def target(kind: str, name: str, namespace: str = "ingress") -> str:
    reference = f", targetRefs: [{{kind: {kind}, name: {name}}}]"
    return applying(reference, f"name: it, namespace: {namespace}")


GATEWAY = an_object("Gateway", "{selector: {istio: edge}}", "name: public, namespace: ingress")
EXT_AUTHZ = (
    "{configPatches: [{applyTo: HTTP_FILTER, match: {context: %s},"
    " patch: {value: {name: envoy.filters.http.ext_authz}}}]}"
)

DENIES, MAY, PASSES = "denies", "may_deny", "passes"
# objects, what the last of them does with the preflight and with the call; none if it is elsewhere
CASES = [
    # the actions
    ("allow-nothing", policy("{}"), DENIES, DENIES),
    ("allow-all", policy("{rules: [{}]}"), PASSES, PASSES),
    ("deny-nothing", policy("{action: DENY}"), PASSES, PASSES),
    ("deny-all", policy("{action: DENY, rules: [{}]}"), DENIES, DENIES),
    ("audit", policy("{action: AUDIT, rules: [{}]}"), None, None),
    ("custom", policy("{action: CUSTOM, rules: [{}]}"), MAY, MAY),
    ("custom-of-nothing", policy("{action: CUSTOM}"), PASSES, PASSES),
    # operations
    ("method", to("methods: [POST]"), PASSES, DENIES),
    ("method-prefix", to('methods: ["OPT*"]'), DENIES, PASSES),
    ("method-suffix", to('methods: ["*ST"]'), PASSES, DENIES),
    ("any-method", to('methods: ["*"]'), DENIES, DENIES),
    ("notMethods", to("notMethods: [OPTIONS]"), PASSES, DENIES),
    ("path", to("paths: [/v1/chat]"), DENIES, DENIES),
    ("another-path", to("paths: [/v1]"), PASSES, PASSES),
    ("path-template", to('paths: ["/v1/{*}"]'), MAY, MAY),
    ("notPaths", to('notPaths: ["/v1/*"]'), PASSES, PASSES),
    ("host", to("hosts: [api.EXAMPLE]"), DENIES, DENIES),
    ("another-host", to('hosts: ["*.example"]'), DENIES, DENIES),
    ("notHosts", to("notHosts: [other.example]"), DENIES, DENIES),
    ("port", to('ports: ["8443"]'), MAY, MAY),
    ("any-port", to('ports: ["*"]'), DENIES, DENIES),
    # sources
    ("token", source('requestPrincipals: ["*"]', "ALLOW"), DENIES, MAY),
    ("no-token", source('notRequestPrincipals: ["*"]'), DENIES, MAY),
    (
        "no-token-beside-preflights",
        policy(
            "{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}],"
            " to: [{operation: {notMethods: [OPTIONS]}}]}]}"
        ),
        *(PASSES, MAY),
    ),
    (
        "nobody-but-preflights",
        policy("{rules: [{to: [{operation: {methods: [OPTIONS]}}]}]}"),
        PASSES,
        DENIES,
    ),
    ("address", source('ipBlocks: ["10.0.0.0/8"]'), MAY, MAY),
    # conditions
    ("header", when('key: "request.headers[X-Key]", values: [k0]'), PASSES, DENIES),
    ("any-value", when('key: "request.headers[x-key]", values: ["*"]'), PASSES, DENIES),
    ("an-empty-value", when('key: "request.headers[x-none]", values: ["*"]'), PASSES, PASSES),
    ("a-prefix", when('key: "request.headers[x-key]", values: ["k*"]'), PASSES, DENIES),
    ("another-value", when('key: "request.headers[x-key]", values: [k1]'), PASSES, PASSES),
    ("notValues", when('key: "request.headers[x-key]", notValues: [k0]'), DENIES, PASSES),
    ("of-browser", when('key: "request.headers[user-agent]", values: [x]'), MAY, MAY),
    ("cookie", when('key: "request.headers[cookie]", values: [x]'), PASSES, MAY),
    ("of-proxy", when('key: "request.headers[x-forwarded-for]", values: [x]'), MAY, MAY),
    ("claim", when('key: "request.auth.claims[a]", values: [x]'), PASSES, MAY),
    ("no-claim", when('key: "request.auth.claims[a]", notValues: [x]'), DENIES, MAY),
    ("address-of-caller", when("key: source.ip, values: [192.0.2.1]"), MAY, MAY),
    # several policies: one that allows is enough, one that denies too
    (
        "another-allows",
        policy("{rules: [{}]}", "name: all, namespace: ingress") + policy("{}"),
        *(PASSES, PASSES),
    ),
    (
        "another-may-allow",
        source('ipBlocks: ["10.0.0.0/8"]', "ALLOW") + policy("{}"),
        *(MAY, MAY),
    ),
    (
        "another-allows-it-perhaps-elsewhere",
        GATEWAY
        + policy("{selector: {matchLabels: {istio: edge, tier: a}}, rules: [{}]}")
        + policy("{}"),
        *(MAY, MAY),
    ),
    (
        "an-allowed-caller-beside-all",
        policy("{rules: [{}]}") + source('ipBlocks: ["10.0.0.0/8"]', "ALLOW"),
        *(PASSES, PASSES),
    ),
    # other kinds
    ("jwt", an_object("RequestAuthentication", "{jwtRules: [{issuer: a}]}"), PASSES, MAY),
    ("no-jwt", an_object("RequestAuthentication", "{}"), None, None),
    ("ext_authz", an_object("EnvoyFilter", EXT_AUTHZ % "GATEWAY"), MAY, MAY),
    ("sidecar", an_object("EnvoyFilter", EXT_AUTHZ % "SIDECAR_INBOUND"), None, None),
    ("another-kind", an_object("PeerAuthentication", "{}"), None, None),
    # where it applies
    ("namespace", applying(""), DENIES, DENIES),
    ("root-namespace", applying("", "name: it, namespace: istio-system"), DENIES, DENIES),
    ("another-namespace", applying("", "name: it, namespace: other"), None, None),
    ("default-namespace", applying("", "name: it"), None, None),
    ("label-of-gateways", labels("istio: ingressgateway"), DENIES, DENIES),
    ("label-of-egress", labels("istio: egressgateway"), None, None),
    ("label-of-an-app", labels("app: shop"), None, None),
    ("name-label", labels("gateway.networking.k8s.io/gateway-name: public"), DENIES, DENIES),
    ("another-name-label", labels("gateway.networking.k8s.io/gateway-name: x"), None, None),
    ("selector", GATEWAY + labels("istio: edge"), DENIES, DENIES),
    ("another-selector", GATEWAY + labels("istio: ingressgateway"), None, None),
    ("more-labels", GATEWAY + labels("istio: edge, tier: a"), MAY, MAY),
    ("target", target("Gateway", "public"), DENIES, DENIES),
    ("another-target", target("Gateway", "private"), None, None),
    ("a-target-elsewhere", target("Gateway", "public", "team"), None, None),
    ("a-target-class", target("GatewayClass", "istio"), MAY, MAY),
    ("a-target-service", target("Service", "public"), None, None),
    (
        "dry-run",
        applying("", "name: it, namespace: ingress, annotations: {istio.io/dry-run: 'true'}"),
        *(None, None),
    ),
]


def verdicts(
    objects: str, request: GatewayRequest, service: str = SERVICE
) -> tuple[GuardVerdict, ...]:
    mesh = read_mesh({"mesh.yaml": service + objects})
    assert not mesh.problems
    gateway = Gateway.of(mesh.documents)
    return Guards(mesh, gateway).verdicts(gateway.handle(request))


def effects(objects: str, request: GatewayRequest, service: str = SERVICE) -> list[str]:
    return [verdict.effect for verdict in verdicts(objects, request, service)]


@pytest.mark.parametrize(
    ("objects", "preflight", "call"), [pytest.param(*case, id=name) for name, *case in CASES]
)
def test_what_a_guard_does(objects: str, preflight: str | None, call: str | None) -> None:
    for request, expected in ((PREFLIGHT, preflight), (CALL, call)):
        found = effects(objects, request)
        assert (found[-1] if found else None) == expected


def test_with_a_port_it_depends_on_how_the_policy_writes_the_host() -> None:
    assert effects(to("hosts: [api.example]"), WITH_PORT) == [MAY]


def test_a_gateway_beside_its_routes_may_have_its_pods_elsewhere() -> None:
    service = SERVICE.replace("ingress/public", "public")
    assert effects(applying("", "name: it, namespace: team"), CALL, service) == [MAY]


def test_sidecars_have_no_namespace_of_their_own() -> None:
    service = SERVICE.replace("ingress/public", "mesh")
    assert effects(applying("", "name: it, namespace: mesh"), CALL, service) == []


IN_TEAM = "name: it, namespace: team"
# the rule's destination, the policy, and the service in front of which it may deny a preflight
BEHIND = [
    ("of-the-namespace", "model", applying("", IN_TEAM), "team/model"),
    (
        "of-its-name",
        "model",
        applying(", selector: {matchLabels: {app: model}}", IN_TEAM),
        "team/model",
    ),
    ("of-another-name", "model", applying(", selector: {matchLabels: {app: x}}", IN_TEAM), None),
    ("of-a-waypoint", "model", target("Service", "model", "team"), "team/model"),
    ("of-another-waypoint", "model", target("Service", "x", "team"), None),
    ("elsewhere", "model", applying("", "name: it, namespace: other"), None),
    (
        "full-name",
        "a.other.svc.cluster.local",
        applying("", "name: i, namespace: other"),
        "other/a",
    ),
    ("short-name", "a.other", applying("", "name: it, namespace: other"), "other/a"),
    ("another-host", "team.example.com", applying("", "name: it, namespace: example"), None),
    ("allowed", "model", policy("{rules: [{}]}", IN_TEAM), None),
    ("once", "model", applying("", "name: it, namespace: istio-system"), ""),
]


@pytest.mark.parametrize(
    ("host", "objects", "at"), [pytest.param(*case, id=name) for name, *case in BEHIND]
)
def test_what_may_deny_a_preflight_at_its_service(host: str, objects: str, at: str | None) -> None:
    found = verdicts(objects, PREFLIGHT, SERVICE.replace("{host: model}", f"{{host: {host}}}"))
    assert [each.at for each in found] == ([] if at is None else [at])
    assert all(each.effect == ("may_deny" if each.at else "denies") for each in found)


def test_nothing_stands_in_front_of_a_service_that_is_not_asked() -> None:
    redirect = SERVICE.replace("route: [{destination: {host: model}}]", "redirect: {uri: /}")
    assert verdicts(applying("", IN_TEAM), PREFLIGHT, redirect) == ()
