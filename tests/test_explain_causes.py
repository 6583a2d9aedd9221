"""``meshcors explain`` names the cause of every verdict, and each command that it prints works."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from meshcors._cli import run
from meshcors.mesh._explain import fixes

UI = "https://ui.example"
POST = ("--method", "POST")
KEY = ("--header", "x-model: k0")
CORS = 'corsPolicy: {allowOrigins: [{exact: "https://ui.example"}], allowHeaders: [x-model]}'
TO = "route: [{destination: {host: model, port: {number: 80}}}]"
PREFLIGHT = "match: [{method: {exact: OPTIONS}, headers: {access-control-request-method: {}}}]"
POD = "route: [{destination: {host: meshcors-dummy, port: {number: 8080}}}]"


def service(*rules: str, name: str = "model", host: str = "api.example") -> str:
    """A VirtualService; each rule is its lines, joined by ``|``."""
    items = (
        indent("\n".join(rule.split("|")), "    ").replace("    ", "  - ", 1) for rule in rules
    )
    return (
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: team}}\n"
        f'spec:\n  hosts: ["{host}"]\n  gateways: [ingress/public]\n  http:\n'
        + "\n".join(items)
        + "\n"
    )


def policy(spec: str, metadata: str = "name: guard, namespace: ingress") -> str:
    return (
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{{metadata}}}\nspec: {spec}\n"
    )


def guard(kind: str, spec: str, version: str = "security.istio.io/v1") -> str:
    head = f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: guard"
    return f"{head}, namespace: ingress}}\nspec: {spec}\n"


BY_KEY = f"match: [{{headers: {{x-model: {{exact: k0}}}}}}]|{CORS}|{TO}"
OTHER_KEY = BY_KEY.replace("k0", "k1")
MESH = (f"{PREFLIGHT}|{CORS}|{TO}", BY_KEY)
ALL_PODS = (f"{PREFLIGHT}|{POD}", BY_KEY)
OPEN = f"match: [{{uri: {{prefix: /v1}}}}]|{CORS}|{TO}"
ELSEWHERE = OPEN.replace("https://ui.example", "https://other.example")
NEEDS_TOKEN = '{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ["*"]}}]}]}'
ROUTE = """---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: model, namespace: team}
spec:
  parentRefs: [{name: public, namespace: ingress}]
  hostnames: [api.example]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v1}, method: GET}]
    backendRefs: [{name: model, port: 80}]
"""
SHOP = """---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: team}
spec:
  parentRefs: [{name: public, namespace: ingress}]
  hostnames: [api.example]
  rules:
  - backendRefs: [{name: shop, port: 80}]
"""


def security_policy(target: str) -> str:
    """An object of Envoy Gateway's, in the namespace of what it is for."""
    namespace = "ingress" if "Gateway" in target else "team"
    return (
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\n"
        f"metadata: {{name: cors, namespace: {namespace}}}\n"
        f"spec:\n  cors: {{allowOrigins: [{UI}]}}\n  {target}\n"
    )


RUNNING = {
    "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    "name": "public",
    "virtual_hosts": [
        {
            "name": "api",
            "domains": ["api.example"],
            "routes": [{"match": {"prefix": "/v1"}, "route": {"cluster": "model"}}],
        }
    ],
}
DELEGATE = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: routes, namespace: other}
spec:
  exportTo: ["."]
  http: [{route: [{destination: {host: model}}]}]
"""
REFUSED = (
    "the corsPolicy of team/model http[0] match[0] (mesh.yaml:10:17) does not allow"
    ' https://ui.example (it allows exact "https://other.example"), and '
)

CANARY = BY_KEY.replace("x-model", "x-canary")
STABLE = f"{CORS.replace('[x-model]', '[]')}|{TO.replace('model', 'shop')}"
BY_METHOD = OPEN.replace("/v1}", "/v1}, method: {exact: POST}")
NOT_CANARY = f"match: [{{withoutHeaders: {{x-canary: {{}}}}}}]|{STABLE}"
# The preflight goes to another rule than the call: documents, flags, what is said.
STRAYED = [
    pytest.param(
        service(BY_KEY, STABLE.replace("ui.", "web.")),
        KEY,
        "Why: the preflight goes to team/model http[1] (mesh.yaml:12:5), because it does not carry"
        " x-model; the call goes to team/model http[0] match[0] (mesh.yaml:9:13).\n"
        "Fix: Put a rule that takes preflights first:\n"
        "     meshcors fix mesh.yaml --with pod\n",
        id="to-another-team",
    ),
    pytest.param(
        service(CANARY, STABLE),
        ("--header", "x-canary: k0"),
        "http[1] (mesh.yaml:12:5), because it does not carry x-canary; the call",
        id="of-a-canary",
    ),
    pytest.param(
        service(BY_KEY, TO.replace("model", "web")),
        KEY,
        "http[1] (mesh.yaml:12:5), because it does not carry x-model; the call",
        id="to-a-catch-all",
    ),
    pytest.param(
        service(BY_METHOD, STABLE),
        (*POST, *KEY, "--path", "/v1"),
        "http[1] (mesh.yaml:12:5), because it is an OPTIONS request; the call",
        id="by-its-method",
    ),
]

# documents, flags, exit code, the code of the cause, what is said
CASES = [
    pytest.param(
        service(BY_KEY, STABLE),
        *((*KEY, "--header", "x-more: 1"), 1, "preflight_strayed"),
        "Fix: Add x-more to allowHeaders in the corsPolicy of team/model http[0] match[0]"
        " (mesh.yaml:10:17).\n     Then explain the call again, for the command that writes a",
        id="a-strayed-preflight-whose-rule-allows-less",
    ),
    pytest.param(
        service(NOT_CANARY, CANARY.partition("|")[2]),
        *(("--header", "x-canary: k0"), 1, "preflight_strayed"),
        "http[0] match[0] (mesh.yaml:9:13), because it does not carry x-canary; the call",
        id="a-preflight-of-a-rule-without-the-header",
    ),
    pytest.param(
        *(service(BY_KEY.replace(f"|{CORS}", ""), POD), KEY, 0, "pod_unknown"),
        "http[1] (mesh.yaml:11:5) leads to meshcors-dummy:8080, the pod,",
        id="a-preflight-that-goes-to-the-pod-with-all-others",
    ),
    pytest.param(
        *(service(OPEN, TO), (*KEY, "--path", "/v1", "--credentials"), 1),
        *("credentials_not_allowed", "set allowCredentials: true in it.\n"),
        id="a-preflight-with-its-call",
    ),
    pytest.param(
        *(service(BY_KEY.replace(f"|{CORS}", ""), TO), KEY, 0, "service_unknown"),
        "model:80 must answer the OPTIONS request itself",
        id="two-rules-alike",
    ),
    # 1. what stands in front
    pytest.param(
        *(service(*MESH) + policy(NEEDS_TOKEN), KEY, 1, "denied_in_front"),
        "AuthorizationPolicy ingress/guard (mesh.yaml:19:30) denies the preflight before any"
        " corsPolicy applies: this rule matches it.",
        id="deny-without-a-token",
    ),
    pytest.param(
        *(service(*MESH) + policy("{}"), KEY, 1, "denied_in_front"),
        "denies the preflight before any corsPolicy applies: none of its rules allows it.",
        id="allow-nothing",
    ),
    pytest.param(
        *(service(*MESH) + policy("{}"), KEY, 1, "denied_in_front"),
        "Fix: A preflight never carries credentials. Add a rule to AuthorizationPolicy"
        " ingress/guard (mesh.yaml:19:7):\n     - to: [{operation: {methods: [OPTIONS]}}]\n",
        id="what-to-write-for-ALLOW",
    ),
    pytest.param(
        *(service(*MESH) + policy(NEEDS_TOKEN), KEY, 1, "denied_in_front"),
        "Fix: A preflight never carries credentials. Leave it out of this rule of"
        " AuthorizationPolicy ingress/guard (mesh.yaml:19:30),\n     in each of its operations:\n"
        "     to: [{operation: {notMethods: [OPTIONS]}}]\n",
        id="what-to-write-for-DENY",
    ),
    pytest.param(
        service(*MESH) + policy("{rules: [{to: [{operation: {methods: [GET, POST]}}]}]}"),
        *(KEY, 1, "denied_in_front"),
        "(mesh.yaml:19:16) denies it, with a 403 without CORS headers: none of its rules allows",
        id="allow-other-methods",
    ),
    pytest.param(
        service(OPEN) + policy('{action: DENY, rules: [{to: [{operation: {paths: ["/v1/*"]}}]}]}'),
        *(("--path", "/v1/x"), 1, "denied_in_front"),
        "denies the call before any corsPolicy applies: this rule matches it.",
        id="a-call-is-denied-too",
    ),
    pytest.param(
        service(OPEN.replace("[x-model]", "[x-a]"))
        + policy(
            '{action: DENY, rules: [{when: [{key: "request.headers[x-a]", values: ["1*"]}]}]}'
        ),
        *(("--path", "/v1/x", "--header", "x-a: 12", "--config", "POLICY"), 1, "denied_in_front"),
        "denies the call before any",
        id="a-call-is-denied-by-its-header",
    ),
    pytest.param(
        *(service(*MESH) + policy(NEEDS_TOKEN, "name: guard, namespace: other"), KEY, 0, None),
        "The script may read the answer.",
        id="another-namespace",
    ),
    pytest.param(
        service(*MESH)
        + policy(
            NEEDS_TOKEN,
            'name: guard, namespace: ingress, annotations: {istio.io/dry-run: "true"}',
        ),
        *(KEY, 0, None, "The script may read the answer."),
        id="dry-run",
    ),
    pytest.param(
        service(*MESH) + policy('{rules: [{from: [{source: {ipBlocks: ["10.0.0.0/8"]}}]}]}'),
        *(KEY, 0, None),
        "AuthorizationPolicy ingress/guard (mesh.yaml:19:16) may deny it, without CORS headers:"
        " whether its rules allow it depends on the caller.",
        id="it-depends-on-the-caller",
    ),
    pytest.param(
        service(*MESH) + policy("{}") + policy("{rules: [{}]}", "name: all, namespace: ingress"),
        *(KEY, 0, None),
        "AuthorizationPolicy ingress/guard (mesh.yaml:19:7) lets it pass: another policy allows",
        id="one-of-two-policies-allows-it",
    ),
    pytest.param(
        service(*MESH) + policy("{selector: {matchLabels: {istio: egressgateway}}}"),
        *(KEY, 0, None, "The script may read the answer."),
        id="another-workload",
    ),
    pytest.param(
        service(*MESH).replace("ingress/public", "public")
        + policy(NEEDS_TOKEN, "name: guard, namespace: team"),
        *(KEY, 0, None),
        "may deny it, without CORS headers: this rule matches it, if it applies here.",
        id="perhaps-another-workload",
    ),
    pytest.param(
        service(*MESH) + policy("{action: CUSTOM, provider: {name: opa}, rules: [{}]}"),
        *(KEY, 0, None),
        "its provider is asked, and a preflight carries no credentials; notMethods: [OPTIONS] in"
        " the operation of the rule keeps preflights from it.",
        id="custom",
    ),
    pytest.param(
        service(*MESH)
        + guard(
            "EnvoyFilter",
            "{configPatches: [{applyTo: HTTP_FILTER, patch: {value:"
            " {name: envoy.filters.http.ext_authz}}}]}",
            "networking.istio.io/v1alpha3",
        ),
        *(KEY, 0, None, "EnvoyFilter ingress/guard (mesh.yaml:19:24) may deny it"),
        id="ext_authz",
    ),
    pytest.param(
        service(*MESH)
        + guard("RequestAuthentication", "{jwtRules: [{issuer: https://id.example}]}"),
        *(KEY, 0, None),
        "may deny it, without CORS headers: a token that it does not accept gets 401.",
        id="jwt",
    ),
    pytest.param(
        service(*ALL_PODS) + policy(NEEDS_TOKEN, "name: guard, namespace: team"),
        *(KEY, 0, None),
        "AuthorizationPolicy team/guard (mesh.yaml:18:30) may deny it at team/meshcors-dummy: this"
        " rule matches it, if it applies here.",
        id="in-front-of-the-pod",
    ),
    *(
        pytest.param(
            SHOP + security_policy(target),
            *((*POST, "--header", "x-model: k0"), 0, "not_modelled"),
            f"Why: SecurityPolicy {where} (mesh.yaml:15:9) {does} CORS here and is not modelled,"
            " and the answer to the preflight depends on it.\n",
            id=f"SecurityPolicy-{name}",
        )
        for name, target, where, does in (
            ("route", "targetRefs: [{kind: HTTPRoute, name: shop}]", "team/cors", "applies"),
            ("gateway", "targetRef: {kind: Gateway, name: public}", "ingress/cors", "applies"),
            ("selector", "targetSelectors: [{kind: HTTPRoute}]", "team/cors", "may apply"),
        )
    ),
    *(
        pytest.param(
            SHOP + security_policy(target),
            *((*POST, "--header", "x-model: k0"), 0, "service_unknown", "has no corsPolicy"),
            id=f"SecurityPolicy-of-another-{name}",
        )
        for name, target in (
            ("route", "targetRefs: [{kind: HTTPRoute, name: web}]"),
            ("gateway", "targetRef: {kind: Gateway, name: private}"),
        )
    ),
    # 2. a corsPolicy refuses the origin
    pytest.param(
        *(service(ELSEWHERE), (*POST, *KEY, "--path", "/v1"), 0, "origin_refused"),
        f"{REFUSED}the preflight goes on to model:80.",
        id="origin-refused-unset",
    ),
    pytest.param(
        service(ELSEWHERE.replace("[x-model]}", "[x-model], unmatchedPreflights: FORWARD}")),
        *((*POST, *KEY, "--path", "/v1"), 0, "origin_refused"),
        f"{REFUSED}the preflight goes on to model:80.",
        id="origin-refused-forward",
    ),
    pytest.param(
        service(ELSEWHERE.replace("[x-model]}", "[x-model], unmatchedPreflights: IGNORE}")),
        *((*POST, *KEY, "--path", "/v1"), 1, "origin_refused"),
        f"{REFUSED}Envoy answers the preflight without access-control-allow-origin.",
        id="origin-refused-ignore",
    ),
    pytest.param(
        *(service(ELSEWHERE), ("--path", "/v1"), 0, "origin_refused"),
        f"{REFUSED}what model:80 answers reaches the page unchanged.",
        id="origin-refused-without-a-preflight",
    ),
    pytest.param(
        *(service(ELSEWHERE), ("--path", "/v1", "--config", "POLICY"), 0, None),
        'Its corsPolicy (mesh.yaml:10:17) does not allow https://ui.example: it allows exact "https'
        '://other.example".',
        id="origin-refused-but-the-service-allows-it",
    ),
    pytest.param(
        *(service(ELSEWHERE), ("--path", "/v1", "--origin", "null"), 0, "origin_refused"),
        'Add {exact: "null"} to allowOrigins in it.',
        id="null-is-refused",
    ),
    pytest.param(
        service(f"directResponse: {{status: 200}}|{CORS.replace('ui.', 'other.')}"),
        *((), 1, "direct_response", "answers the call itself, with directResponse, and no"),
        id="a-policy-that-does-not-apply",
    ),
    # 3. no rule takes it
    pytest.param(
        *(service(OPEN.replace("/v1}", "/v1}, port: 8443")), ("--path", "/v1/x?k=s3cret"), 1),
        *("other_port", "is for port 8443 of the gateway; the call goes to 443."),
        id="port",
    ),
    pytest.param(
        service(OPEN.replace("/v1}", "/v1}, port: 8443"), BY_KEY),
        *(("--path", "/v1"), 1, "other_port"),
        "Fix: Call that port: --url https://api.example:8443/v1, or change port in the",
        id="port-beside-another-rule",
    ),
    pytest.param(
        service(PREFLIGHT.replace("{method", "{port: 8443, method") + f"|{POD}", BY_KEY),
        *(KEY, 1, "other_port"),
        "http[0] match[0] (mesh.yaml:9:13) would take the preflight, but is for port 8443",
        id="port-of-a-preflight-rule",
    ),
    pytest.param(
        service(BY_KEY.replace("{headers", "{port: 8443, headers"), OPEN),
        *(KEY, 1, "other_port"),
        "http[0] match[0] (mesh.yaml:9:13) would take the call, but is for port 8443",
        id="port-of-a-call-whose-preflight-is-lost",
    ),
    pytest.param(
        service(OPEN.replace("/v1}", "/v1}, gateways: [mesh]")).replace(
            "[ingress/public]", "[ingress/public, mesh]"
        ),
        *(("--path", "/v1"), 1, "other_gateway"),
        "is for gateway mesh; the call goes through ingress/public.",
        id="gateways",
    ),
    pytest.param(
        service(BY_KEY) + service(OPEN, host="b.example").replace("ingress/public", "ingress/b"),
        *(("--url", "https://b.example/v1"), 1, "other_gateway"),
        "Fix: Explain that gateway: --gateway ingress/b, or list ingress/public in the rule's",
        id="another-gateway",
    ),
    pytest.param(
        (service(BY_KEY) + service(OPEN, name="other")).replace("ingress/public", "mesh"),
        *(("--path", "/v1"), 1, "other_owner"),
        "would take the call, but sidecars do not merge VirtualServices, and team/model has this",
        id="another-owner",
    ),
    pytest.param(
        service(OPEN.replace("/v1}", "/v1}, gateways: [else/where]"), BY_KEY),
        *(
            ("--path", "/v1"),
            1,
            "other_gateway",
            "Fix: List ingress/public in the rule's gateways.",
        ),
        id="gateways-of-nobody",
    ),
    pytest.param(
        service(OPEN.replace("/v1}", "/v1}, sourceLabels: {app: shop}"), BY_KEY),
        *(("--path", "/v1"), 1, "other_source", "only from certain pods: app=shop."),
        id="sourceLabels",
    ),
    pytest.param(
        service(OPEN.replace("/v1}", "/v1}, sourceNamespace: shop")),
        *(("--path", "/v1"), 1, "other_source", "only from certain pods: shop."),
        id="sourceNamespace-of-the-only-rule",
    ),
    pytest.param(
        *(service(TO, BY_KEY), KEY, 0, "behind_catch_all"),
        "team/model http[1] match[0] (mesh.yaml:10:13) would take the call, but team/model http[0]"
        " (mesh.yaml:9:5) stands before it and takes every request.",
        id="behind-a-catch-all",
    ),
    pytest.param(
        service(BY_KEY.replace("k0", "s3cret")),
        *(("--header", "x-model: other", "--config", "POLICY"), 1, "wrong_header"),
        "x-model has another value than team/model http[0] match[0] (mesh.yaml:9:13) asks for.",
        id="wrong-value",
    ),
    pytest.param(
        *(service(*MESH, OTHER_KEY), ("--header", "x-model: k2"), 1, "wrong_header"),
        "x-model has another value than team/model http[1] match[0] (mesh.yaml:12:13) and 1 other"
        " rule ask for.",
        id="wrong-value-for-several",
    ),
    pytest.param(
        *(service(BY_KEY), (), 1, "missing_header"),
        "the call lacks x-model, which team/model http[0] match[0] (mesh.yaml:9:13) asks for.",
        id="missing-header",
    ),
    pytest.param(
        *(service(BY_KEY), ("--url", "https://apt.example/"), 1, "unknown_host"),
        "no document serves the host apt.example at gateway ingress/public.",
        id="unknown-host",
    ),
    pytest.param(
        service(OPEN.replace("/v1}", "/v1}, port: 8443")),
        *(("--url", "https://apt.example/"), 1, "unknown_host"),
        "Fix: No host is served there on port 443.",
        id="no-host-on-the-port",
    ),
    pytest.param(
        "".join(service(BY_KEY, name=f"m{at}", host=f"h{at}.example") for at in range(7)),
        *(("--url", "https://h6.exampl/"), 1, "unknown_host"),
        "Fix: This gateway serves h6.example, h5.example, h4.example, h3.example, h2.example and 2"
        " more. Call one of them, or add h6.exampl to a document's hosts.",
        id="hosts-are-bounded",
    ),
    pytest.param(
        service(OPEN, OPEN.replace("/v1", "/v2/chat"), OPEN.replace("prefix: /v1", "regex: /z.*")),
        *(("--path", "/v2/embed"), 1, "no_path"),
        "Fix: The closest rules match paths that begin with /v2/chat, or that begin with /v1, or"
        " that match the regex /z.*. Call such a path, or add a rule for this one.\n",
        id="no-path",
    ),
    pytest.param(
        service(*(OPEN.replace("/v1", f"/v1/{at}") for at in range(9))),
        *(("--path", "/v1"), 1, "no_path"),
        "with /v1/0, or that begin with /v1/1, or that begin with /v1/2. Call such a path,",
        id="paths-are-bounded",
    ),
    pytest.param(
        *(ROUTE, ("--path", "/v2"), 1, "no_path"),
        'matches[0] (mesh.yaml:9:15) does not match: path must begin with "/v1", but is /v2.\n',
        id="the-path-of-an-HTTPRoute",
    ),
    pytest.param(
        *(ROUTE, ("--path", "/v2"), 1, "no_path"),
        "Fix: The closest rule matches paths that begin with /v1. Call such a path,",
        id="one-path",
    ),
    pytest.param(
        *(ROUTE, ("--url", "https://foo.example/v1"), 1, "unknown_host"),
        "Fix: This gateway serves api.example. Call that host, or add foo.example to a document's"
        " hostnames.\n",
        id="one-host-of-an-HTTPRoute",
    ),
    pytest.param(
        *(json.dumps(RUNNING), ("--url", "https://foo.example/v1"), 1, "unknown_host"),
        "Why: no virtual host of public is for the host foo.example.\n"
        "Fix: This gateway serves api.example. Call that host.\n",
        id="no-virtual-host",
    ),
    pytest.param(
        *(json.dumps(RUNNING), ("--path", "/v2"), 1, "no_path"),
        'does not match: path must begin with "/v1", but is /v2.\n',
        id="the-path-of-a-virtual-host",
    ),
    pytest.param(
        service(BY_KEY.replace("x-model", "x-a"), BY_KEY),
        *(("--header", "x-model: k9"), 1, "wrong_header"),
        "x-model has another value than team/model http[1]",
        id="a-wrong-value-is-nearer-than-none",
    ),
    pytest.param(
        service(BY_KEY.replace("{x-model", "{x-a: {exact: b}, x-model"), BY_KEY),
        *((), 1, "missing_header", "the call lacks x-model, which team/model http[1]"),
        id="one-condition-is-nearer-than-two",
    ),
    pytest.param(
        *(service(BY_KEY.replace("{x-model", '{"@request.auth.claims.a"')), (), 1, "condition"),
        "but the call does not meet its condition on headers.@request.auth.claims.a.",
        id="claim",
    ),
    pytest.param(
        *(service("delegate: {name: routes, namespace: other}"), (), 0, "unknown_delegate"),
        "the delegate of team/model http[0] (mesh.yaml:9:5) is not in the given files.",
        id="a-delegate-elsewhere",
    ),
    pytest.param(
        service("delegate: {name: routes, namespace: other}") + DELEGATE,
        *((), 1, "not_exported"),
        "team/model http[0] (mesh.yaml:9:5) would take the call, but its delegate is not exported",
        id="a-delegate-of-others",
    ),
    pytest.param(
        service("match: [{uri: {prefix: /a}}]|delegate: {name: routes, namespace: other}", BY_KEY)
        + DELEGATE.replace('["."]', '["*"]').replace(
            "[{route", "[{match: [{uri: {exact: /b}}], route"
        ),
        *(("--path", "/b"), 1, "missing_header", "the call lacks x-model"),
        id="a-delegate-in-conflict",
    ),
    pytest.param(
        *(ROUTE, (*POST, "--path", "/v1"), 1, "no_method"),
        "no rule takes the method POST here: team/model rules[0] matches[0] (mesh.yaml:9:15) asks"
        ' for exact "GET".',
        id="no-method",
    ),
    pytest.param(
        service(OPEN.replace("/v1}", "/v1}, queryParams: {v: {exact: s3cret}}")),
        *(("--path", "/v1?v=1"), 1, "condition"),
        "team/model http[0] match[0] (mesh.yaml:9:13) comes nearest, but the call does not"
        " meet its condition on queryParams.v.",
        id="query",
    ),
    pytest.param(
        *(service(f"{PREFLIGHT}|{POD}"), KEY, 1, "no_rule"),
        "the rules of api.example take preflights alone, not calls.",
        id="preflights-alone",
    ),
    # a rule takes the call, and none its preflight
    pytest.param(
        *(service(BY_KEY), KEY, 1, "header_not_in_preflight"),
        "a preflight names x-model but does not carry it, and team/model http[0] match[0]"
        " (mesh.yaml:9:13), which takes the call, asks for its value.",
        id="header-not-in-preflight",
    ),
    pytest.param(
        service(OPEN.replace("/v1}", "/v1}, method: {exact: POST}")),
        *((*POST, *KEY, "--path", "/v1"), 1, "method_of_preflight"),
        "the preflight is an OPTIONS request, and team/model http[0] match[0] (mesh.yaml:9:13)"
        " takes the call by its method.",
        id="method-of-a-preflight",
    ),
    pytest.param(
        service(BY_KEY) + service(*ALL_PODS, name="b").replace("ingress/public", "ingress/b"),
        *((*KEY, "--gateway", "ingress/public"), 1, "header_not_in_preflight"),
        "a preflight names x-model but does not carry it",
        id="another-gateway-takes-preflights",
    ),
    pytest.param(
        service(OPEN.replace("/v1}", "/v1}, withoutHeaders: {access-control-request-method: {}}")),
        *((*POST, *KEY, "--path", "/v1"), 1, "preflight_not_taken"),
        "takes the call, but not its preflight: withoutHeaders.access-control-request-method.",
        id="another-condition",
    ),
    # who answers
    pytest.param(
        *(service("redirect: {uri: /}"), KEY, 1, "redirected"),
        "team/model http[0] (mesh.yaml:9:5) redirects the preflight, and no corsPolicy applies",
        id="redirected",
    ),
    pytest.param(
        *(service("directResponse: {status: 200}"), (), 1, "direct_response"),
        "team/model http[0] (mesh.yaml:9:5) answers the call itself, with directResponse, and no",
        id="direct-response",
    ),
    pytest.param(
        *(service(*MESH), (*KEY, "--method", "PUT"), 1, "method_not_allowed"),
        "the corsPolicy of team/model http[0] match[0] (mesh.yaml:10:17) does not list PUT in"
        " allowMethods.",
        id="policy-lacks-a-method",
    ),
    pytest.param(
        *(service(*MESH), (*KEY, "--credentials"), 1, "credentials_not_allowed"),
        "the call sends credentials, and the corsPolicy of team/model http[0] match[0]"
        " (mesh.yaml:10:17) does not allow them.",
        id="policy-lacks-credentials",
    ),
    pytest.param(
        *(service(OPEN), ("--path", "/v1", "--credentials"), 0, "credentials_not_allowed"),
        "the call sends credentials, and the corsPolicy of team/model http[0] match[0]",
        id="policy-lacks-credentials-for-a-call",
    ),
    pytest.param(
        *(service('redirect: {uri: "/b?k=s3cret"}'), KEY, 1, "redirected"),
        "     location: https://api.example/b?…\n",
        id="where-a-redirect-leads",
    ),
    pytest.param(
        *(service("redirect: {uri: /}"), KEY, 1, "redirected"),
        "Fix: Put a rule that takes preflights before this one:\n",
        id="fix-of-a-redirect",
    ),
    pytest.param(
        *(service(TO), KEY, 0, "service_unknown"),
        "team/model http[0] (mesh.yaml:9:5) has no corsPolicy: model:80 answers.",
        id="a-service-answers",
    ),
    pytest.param(
        *(service(TO), KEY, 0, "service_unknown"),
        "     To assume that they answer by a policy, pass its file with --config.\n",
        id="a-service-may-answer-by-a-policy",
    ),
    pytest.param(
        *(service(TO), (*KEY, "--method", "PUT", "--config", "POLICY"), 1, "service_refuses"),
        "leads to model:80, and the policy there does not allow PUT.",
        id="a-service-refuses",
    ),
    # 4. the pod
    pytest.param(
        *(service(*ALL_PODS), KEY, 0, None),
        "Assumed: the pod runs with python -m meshcors.dummy --allow-origin https://ui.example"
        " --key-header x-model",
        id="the-pod-is-known-by-its-name",
    ),
    pytest.param(
        service(*ALL_PODS),
        *((*KEY, "--header", "x-more: 1"), 1, "service_refuses"),
        "leads to meshcors-dummy:8080, and the policy there does not allow x-more.",
        id="the-pod-would-refuse-a-header",
    ),
    pytest.param(
        *(service(*ALL_PODS).replace("dummy", "dummy.cors.svc.cluster.local"), KEY, 0, None),
        "Assumed: the pod runs with",
        id="the-pod-by-its-full-name",
    ),
    pytest.param(
        *(service(*ALL_PODS, POD), ("--header", "x-model: k9"), 0, "wrong_header"),
        "x-model has another value than team/model http[1] match[0] (mesh.yaml:11:13) asks for, so"
        " the pod answers.\nFix: Send a value that a rule asks for, or add a rule for this one.\n",
        id="what-no-rule-takes-goes-to-the-pod",
    ),
    pytest.param(
        *(service(f"{PREFLIGHT}|{POD}", POD), KEY, 0, "pod_unknown"),
        "leads to meshcors-dummy:8080, the pod, and these files do not say which policy it"
        " has.\nFix: Start the pod with a policy that allows the call:\n"
        "     python -m meshcors.dummy --allow-origin https://ui.example --allow-header x-model\n"
        "     or pass its policy with --config.\n",
        id="the-pod-alone",
    ),
    pytest.param(
        *(service(f"{PREFLIGHT}|{POD}", POD), (*KEY, "--origin", "null"), 0, "pod_unknown"),
        "\nFix: Pass the pod's policy with --config.\n",
        id="the-pod-alone-and-no-origin",
    ),
    pytest.param(
        *(service(*ALL_PODS).replace("meshcors-dummy", "cors"), KEY, 0, "service_unknown"),
        "cors:8080 must answer the OPTIONS request itself",
        id="a-service-of-another-name",
    ),
    pytest.param(
        service(*ALL_PODS).replace("meshcors-dummy", "cors"),
        *((*KEY, "--pod", "cors:8080"), 0, None, "Assumed: the pod runs with"),
        id="--pod",
    ),
    pytest.param(
        service(*ALL_PODS).replace(f"|{CORS}", "").replace(f"    {CORS}\n", ""),
        (*KEY, "--header", "content-type: application/json", "--method", "PUT", "--credentials"),
        *(0, "pod_unknown", "--allow-method PUT --allow-header x-model --allow-credentials\n"),
        id="the-pod's-origins-are-unknown",
    ),
    pytest.param(
        service(ELSEWHERE, f"{PREFLIGHT}|{POD}", BY_KEY),
        *(KEY, 0, None),
        "Assumed: the pod runs with python -m meshcors.dummy --allow-origin https://ui.example"
        " --key-header x-model\n",
        id="the-pod-allows-what-is-sent-to-it",
    ),
    pytest.param(
        service(*ALL_PODS)
        + service(*ALL_PODS, name="b", host="b.example").replace("ui.example", "other.example"),
        *((*KEY, "--host", "api.example"), 0, None),
        "Assumed: the pod runs with a rule for each host\n",
        id="the-pod-has-a-rule-for-each-host",
    ),
    pytest.param(
        *(service(*ALL_PODS), (*KEY, "--config", "RULES"), 0, None),
        "The script may read the answer.",
        id="--config-has-rules",
    ),
    pytest.param(
        service(*ALL_PODS, host="b.example"),
        *((*KEY, "--config", "RULES"), 1, "service_refuses"),
        "the policy there does not allow https://ui.example.",
        id="--config-has-no-rule-for-the-host",
    ),
    pytest.param(
        *(service(*ALL_PODS), (*KEY, "--config", "POLICY", "--origin", "https://b.example"), 1),
        *("service_refuses", "the policy there does not allow https://b.example."),
        id="--config-is-the-pod's-policy",
    ),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    key = {"header": "x-model"}
    data = {"corsPolicy": {"allowOrigins": [UI], "allowHeaders": ["x-a"]}, "key": key}
    Path("policy.json").write_text(json.dumps(data), encoding="utf-8")
    rules = {"rules": [{**data, "hosts": ["api.example"]}]}
    Path("rules.json").write_text(json.dumps(rules), encoding="utf-8")


def explain(text: str, flags: tuple[str, ...]) -> list[str]:
    Path("mesh.yaml").write_text(text, encoding="utf-8")
    files = {"POLICY": "policy.json", "RULES": "rules.json"}
    flags = tuple(files.get(flag, flag) for flag in flags)
    origin = () if "--origin" in flags else ("--origin", UI)
    return ["explain", "mesh.yaml", *origin, *flags]


@pytest.mark.parametrize(("text", "flags", "exit_code", "code", "sentence"), CASES)
def test_the_cause_is_named(
    text: str,
    flags: tuple[str, ...],
    exit_code: int,
    code: str | None,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = explain(text, flags)
    assert run(arguments) == exit_code
    printed = capsys.readouterr().out
    assert sentence in printed
    assert "s3cret" not in printed

    assert run([*arguments, "--format", "json"]) == exit_code
    report = json.loads(capsys.readouterr().out)
    cause = report["cause"]
    assert (cause and cause["code"]) == code
    if cause is not None:
        assert f"Why: {cause['text']}.\n" in printed
    if report["assumed"] and report["assumed"].startswith("python "):
        python, option, module, *options = shlex.split(report["assumed"])
        assert (python, option, module) == ("python", "-m", "meshcors.dummy")
        assert run(["dummy", *options, "--check"]) == 0
        capsys.readouterr()
    for line in report["hint"]:
        assert f"{line}\n" in printed
        if line.startswith("python "):
            assert run(["dummy", *shlex.split(line)[3:], "--check"]) == 0
            policy = json.loads(capsys.readouterr().out)
            Path("started.json").write_text(json.dumps(policy), encoding="utf-8")
            assert run([*arguments, "--config", "started.json"]) == 0
            assert "The script may read" in capsys.readouterr().out
        if line.startswith("meshcors "):
            assert run(shlex.split(line)[1:]) in (0, 1)
            capsys.readouterr()


@pytest.mark.parametrize(("text", "flags", "sentence"), STRAYED)
def test_a_strayed_preflight_is_named_and_its_commands_bring_it_back(
    text: str, flags: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Regression: the advice was to allow the call in the policy of somebody else."""
    report = report_of(text, flags, capsys)
    assert report["cause"]["code"] == "preflight_strayed"
    run(explain(text, flags))
    assert sentence in capsys.readouterr().out
    commands = [line for line in report["hint"] if line.startswith("meshcors ")]
    assert commands
    for command in commands:
        call = explain(text, flags)
        assert run([*shlex.split(command)[1:], "--write"]) == 0
        capsys.readouterr()
        assert run([*call, "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["verdict"] == "allowed"


OWNER = "ownerReferences: [{kind: InferenceService, name: model}]"


@pytest.mark.parametrize("policy", [f"|{CORS}", ""])
@pytest.mark.parametrize("owned", [True, False])
def test_a_document_that_fix_does_not_change_gets_a_second_one(
    owned: bool, policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = service(BY_KEY.replace(f"|{CORS}", policy))
    if owned:
        text = text.replace("namespace: team}", f"namespace: team, {OWNER}}}")
    else:
        head, rules = text.split("  http:\n")
        text = f"{head}  <<:\n    http:\n{indent(rules, '    ')}"
    hint = report_of(text, KEY, capsys)["hint"]
    commands = [line for line in hint if line.startswith("meshcors ")]
    assert [command.split()[3:6] for command in commands] == [
        ["--separate", "--with", "pod"],
        ["--separate", "--with", "mesh"],
    ]
    assert hint[-1].startswith(
        "This adds a second document, because fix cannot change the first: mesh.y"
    )
    assert ("KServe (InferenceService model) writes team/model" in hint[-1]) == owned
    for command in commands:
        Path("mesh-preflight.yaml").unlink(missing_ok=True)
        assert run([*shlex.split(command)[1:], "--write"]) == 0
        capsys.readouterr()
        files = ("mesh-preflight.yaml", "--format", "json")
        assert run([*explain(text, KEY), *files]) == 0
        verdict = json.loads(capsys.readouterr().out)["verdict"]
        assert verdict == ("allowed" if policy else "depends")


def report_of(
    text: str, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    run([*explain(text, flags), "--format", "json"])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_the_keys_of_the_report_are_stable(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(service(*MESH) + policy(NEEDS_TOKEN), KEY, capsys)
    assert list(report) == [
        *("verdict", "code", "step", "field", "messages", "cause", "hint", "assumed", "steps"),
    ]
    assert list(report["cause"]) == ["code", "text", "place"]
    step = report["steps"][0]
    assert list(step) == [
        *("step", "verdict", "code", "request", "tried", "guards", "not_certain"),
        *("refusing_policy", "answer"),
    ]
    assert step["guards"] == [
        {
            "kind": "AuthorizationPolicy",
            "name": "ingress/guard",
            "place": "mesh.yaml:19:30",
            "effect": "denies",
            "reason": "this rule matches it",
            "at": None,
        }
    ]
    assert step["answer"]["kind"] == "denied"
    assert step["answer"]["status"] == 403


def test_no_policy_refuses_a_page_of_the_same_origin(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--path", "/v1", "--origin", "https://api.example")
    report = report_of(service(ELSEWHERE), flags, capsys)
    assert report["cause"] is None
    assert [step["refusing_policy"] for step in report["steps"]] == [None]


def test_many_rules_get_one_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each try reads the whole file again, which takes seconds for hundreds of rules."""
    monkeypatch.setattr(fixes, "_MANY_RULES", 5)
    for count, commands in ((5, 2), (6, 1)):
        text = service(*(BY_KEY.replace("k0", f"k{at}") for at in range(count)))
        report = report_of(text, KEY, capsys)
        assert sum(line.startswith("meshcors fix") for line in report["hint"]) == commands


def test_values_are_told_apart_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = service(*(BY_KEY.replace("k0", key) for key in ("s3cret-a", "s3cret-b", "s3cret-c")))
    call = ("--header", "x-model: s3cret-b")
    assert run(explain(text, call)) == 1
    printed = capsys.readouterr().out
    assert "s3cret" not in printed
    assert "     x-model: …1\n" in printed
    assert (
        "\nHeader values are hidden. Within one header, the same number stands for the same"
        " value.\n" in printed
    )
    wanted = [line for line in printed.splitlines() if "must be exactly" in line]
    # the preflight's three rules, and the one that the call does not meet
    values = [line.partition("exactly ")[2] for line in wanted]
    assert values == [
        *('"…2", but is absent.', '"…1", but is absent.', '"…3", but is absent.'),
        '"…2", but is …1.',
    ]


def many(count: int) -> str:
    return service(OPEN, *(BY_KEY.replace("k0", f"s3cret-{at}") for at in range(count)))


def test_rules_that_fail_alike_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(explain(many(60), ("--header", "x-model: s3cret-59"))) == 1
    preflight, request = capsys.readouterr().out.split("\n2. ")
    alike = [line for line in request.splitlines() if " to team/model" in line]
    assert alike == [
        "   team/model http[1] match[0] (mesh.yaml:12:13) to team/model http[59] match[0]"
        " (mesh.yaml:186:13), 59 rules, do not match: headers.x-model must be exactly another"
        " value, but is …1."
    ]
    # the rule that takes the call stands alone
    assert "http[60] match[0] (mesh.yaml:189:13) does not match" not in request
    assert "http[60] match[0] (mesh.yaml:189:13) does not match: headers.x-model" in preflight
    assert len(preflight.splitlines()) < 20


@pytest.mark.parametrize("count", [1, 5])
def test_a_rule_with_a_name_is_called_by_it(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    rules = (f"name: a-{at}|{BY_KEY.replace('k0', f'k{at}')}" for at in range(count))
    run(explain(service(*rules), ("--header", "x-model: k9")))
    printed = capsys.readouterr().out
    assert '   team/model http[0] match[0] "a-0" (mesh.yaml:10:13) ' in printed
    assert (' to team/model http[4] match[0] "a-4" (mesh.yaml:26:13), 4 rules' in printed) == (
        count == 5
    )


def test_the_json_report_has_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(many(50), ("--header", "x-model: s3cret-7"), capsys)
    assert [len(step["tried"]) for step in report["steps"]] == [51, 9]


def test_one_value_needs_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(explain(service(BY_KEY.replace("k0", "s3cret")), ("--header", "x-model: s3cret"))) == 1
    )
    printed = capsys.readouterr().out
    assert 'must be exactly "…", but is absent' in printed
    assert "     x-model: …\n" in printed
    assert "numbers" not in printed


def test_few_rules_are_listed_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(explain(many(3), ())) == 1
    assert capsys.readouterr().out.count("does not match") == 4


BOLD = "\x1b[1m"


class Terminal:
    """A standard output that is a terminal."""

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)]
)
def test_what_mattered_stands_out_on_a_terminal(
    variables: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", terminal)
    assert run(explain(service(OPEN, BY_KEY), ("--header", "x-model: k9"))) == 1
    bold = [line for line in terminal.written.splitlines() if BOLD in line]
    assert bool(bold) == colored
    if colored:
        assert len(bold) == 3
        assert all("http[1] match[0]" in line for line in bold[:2])
        assert "The browser blocks the call" in bold[2]


@pytest.mark.parametrize(
    ("text", "deciding"),
    [
        pytest.param(service(*MESH), [], id="allowed"),
        pytest.param(service(*MESH) + policy("{}"), ["AuthorizationPolicy"], id="denied"),
    ],
)
def test_what_decided_stands_out(
    text: str, deciding: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout", terminal)
    run(explain(text, KEY))
    bold = [line.partition(BOLD)[2].strip() for line in terminal.written.splitlines()]
    *found, _verdict = filter(None, bold)
    kinds = [line.split()[0] for line in found if line.startswith("AuthorizationPolicy")]
    assert kinds == deciding * 2
    assert bool(found) == bool(deciding)


def test_nobody_answers_what_is_denied(capsys: pytest.CaptureFixture[str]) -> None:
    run(explain(service(*MESH) + policy("{}"), KEY))
    assert "which answers it" not in capsys.readouterr().out


def test_no_color_where_the_output_is_piped(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(explain(service(BY_KEY), KEY)) == 1
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        pytest.param(("--url", "api.example/x"), "--url: write https://HOST/PATH", id="no-scheme"),
        pytest.param(("--url", "ftp://a.example/"), "--url: write https://HOST/PATH", id="scheme"),
        pytest.param(("--url", "https:///x"), "--url: write https://HOST/PATH", id="no-host"),
        pytest.param(("--url", "https://a:s3cret@b.example"), "--url: write https", id="user-info"),
        pytest.param(("--url", "https://a.example:x/"), "--url: write https", id="port"),
        pytest.param(("--url", "https://a.example:0/"), "--url: write https", id="port-0"),
        pytest.param(("--url", "https://["), "--url: write https", id="bracket"),
        *(
            pytest.param(
                ("--url", "https://a.example/?k=s3cret", f"--{name}", value),
                f"--url has the {name} already: leave out --{name}",
                id=f"mixed-with-{name}",
            )
            for name, value in (("host", "b"), ("path", "/"), ("scheme", "https"))
        ),
        pytest.param(("--path", "x?k=s3cret"), "x?…: begin the path with /", id="path"),
        pytest.param(("--host", "https://a.example/"), "a whole URL goes with --url", id="host"),
        pytest.param(("--pod", "s"), "write host:port", id="pod"),
    ],
)
def test_a_mistake_is_one_line(
    flags: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(explain(service(OPEN), flags)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert line in said.err
    assert "s3cret" not in said.err


@pytest.mark.parametrize(
    ("url", "called", "port"),
    [
        ("https://api.example/v1/x", "https://api.example/v1/x", 443),
        ("https://API.example:8443/v1", "https://api.example:8443/v1", 8443),
        ("http://api.example", "http://api.example/", 80),
        ("https://api.example:443/v1?k=s3cret#part", "https://api.example/v1?…", 443),
        ("https://api.example/v1/é x", "https://api.example/v1/%C3%A9%20x", 443),
    ],
)
def test_a_url_is_called(
    url: str, called: str, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = OPEN.replace("prefix: /v1}", f"prefix: /}}, port: {port}")
    assert run(explain(service(rule), ("--url", url))) == 0
    printed = capsys.readouterr().out
    assert f" calls GET {called}\n" in printed
    assert "s3cret" not in printed
