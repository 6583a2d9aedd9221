"""Random VirtualServices, HTTPRoutes and requests.

The vocabulary is small, so that many requests match a rule. Everything comes from one
`random.Random`: the same seed gives the same documents and requests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

DESTINATIONS = ["one:80", "two:8000", "three:80", "four.ns:9000", "dummy:8080"]
HOSTS = ["*", "*.example.com", "api.example.com", "*.b.example.com", "*-x.example.com", "o.test"]
REQUEST_HOSTS = [
    "api.example.com", "a.b.example.com", "API.Example.com", "api.example.com:8080", "o.test",
    "y-x.example.com", "-x.example.com", ".example.com", "nobody.test", "example.com",
]  # fmt: skip
PREFIXES = ["/", "/a", "/a/", "/A", "/v1/", "/a/b", ""]
EXACTS = ["/a", "/a/b", "/v1/predict", "/A", "/"]
REGEXES = [".*", "/a.*", "/(a|v1)/[a-z]+", "/A", "/a/?"]
PATHS = [
    "/", "/a", "/ab", "/a/", "/a/b", "/A", "/A/b", "/v1/predict", "/v1/predict?q=1", "/a?q=2&q=1",
    "/a/../v1/predict", "/a?Q=1", "/a?q", "/a?q=1&r=x", "/%61", "/a//b", "/b?q=%31", "/a?q=",
]  # fmt: skip
KEY_VALUES = ["xyz", "abc", "", "xyz,abc", "XYZ", "xy"]
NAMES = ["model-api-key", "x-tenant", "accept", "access-control-request-headers", "origin"]
ORIGINS = ["https://ui.example", "https://ui.example.evil.test", "http://ui.example", "null", ""]
METHODS = ["GET", "POST", "OPTIONS", "PUT", "DELETE", "HEAD"]
RESPONSE_NAMES = ["access-control-allow-origin", "x-resp", "access-control-expose-headers", "vary"]


@dataclass(frozen=True)
class Spec:
    """One generated file and the requests to send to it."""

    text: str
    requests: tuple[dict[str, Any], ...]


def spec(rng: random.Random, requests: int) -> Spec:
    """Make one file and a number of requests; a quarter of the files have HTTPRoutes."""
    make = http_route if rng.random() < 0.25 else virtual_service
    objects = [make(rng, number) for number in range(rng.choice([1, 1, 2, 3]))]
    text = "\n---\n".join(json.dumps(item, indent=1) for item in objects)
    return Spec(text, tuple(request(rng) for _ in range(requests)))


def request(rng: random.Random) -> dict[str, Any]:
    """Make one request, often a preflight, and the headers of the service's answer."""
    headers: list[tuple[str, str]] = []
    method = rng.choice(METHODS)
    if rng.random() < 0.75:
        headers.append(("origin", ORIGINS[0] if rng.random() < 0.5 else rng.choice(ORIGINS)))
        if rng.random() < 0.05:
            headers.append(("Origin", rng.choice(ORIGINS)))
    if rng.random() < 0.4:
        method = "OPTIONS"
        headers.append(("access-control-request-method", rng.choice(["POST", "GET", "PURGE", ""])))
        if rng.random() < 0.7:
            asked = rng.choice(["model-api-key", "content-type, model-api-key", "x-other", ""])
            headers.append(("access-control-request-headers", asked))
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        name = rng.choice(["model-api-key", "Model-Api-Key", "x-tenant", "accept"])
        headers.append((name, rng.choice(KEY_VALUES)))
    rng.shuffle(headers)
    answer = [
        (rng.choice(RESPONSE_NAMES), rng.choice(["*", "https://ui.example", "x-app", "a, b"]))
        for _ in range(rng.choice([0, 0, 1, 2, 3]))
    ]
    return {
        "method": method,
        "host": REQUEST_HOSTS[0] if rng.random() < 0.6 else rng.choice(REQUEST_HOSTS),
        "path": _path(rng) if rng.random() < 0.15 else rng.choice(PATHS),
        "headers": tuple(headers),
        "answer": tuple(answer),
    }


def _path(rng: random.Random) -> str:
    """Make a path that Envoy normalizes."""
    pieces = ["a", "A", "%61", ".", "..", "%2e", "%2E", ";x", "", "\\", "/", "%2f", "%2F", "~"]
    pieces += ["%7e", "|", "%7C", "v1", "%5c", "%", "%zz", "'", "^"]
    parts = ("".join(rng.choices(pieces, k=rng.choice([1, 1, 2, 3]))) for _ in range(4))
    return "/" + "/".join(parts) + rng.choice(["", "/", "?", "?q=%31&..=/../"])


def virtual_service(rng: random.Random, number: int) -> dict[str, Any]:
    """Make a VirtualService that Istio accepts."""
    hosts = ["*"] if rng.random() < 0.7 else [rng.choice(HOSTS)]
    return {
        "apiVersion": f"networking.istio.io/{rng.choice(['v1', 'v1beta1', 'v1alpha3'])}",
        "kind": "VirtualService",
        "metadata": {
            "name": f"vs-{number}",
            "namespace": "ns",
            "creationTimestamp": f"2026-01-0{rng.randint(1, 9)}T00:00:00Z",
        },
        "spec": {
            "hosts": hosts,
            "gateways": ["gate"],
            "http": [_rule(rng) for _ in range(rng.randint(1, 5))],
        },
    }


def _rule(rng: random.Random) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if rng.random() < 0.85:
        rule["match"] = [_match(rng) for _ in range(rng.choice([1, 1, 1, 2]))]
    if rng.random() < 0.65:
        rule["corsPolicy"] = _cors(rng)
    kind = rng.random()
    if kind < 0.1:
        rule["redirect"] = _redirect(rng)
        uris = [match["uri"] for match in rule.get("match", ()) if "uri" in match]
        if "uri" not in rule["redirect"] and all("prefix" in uri for uri in uris):
            rule["redirect"]["prefixRewrite"] = rng.choice(["/new", "/"])
    elif kind < 0.2:
        rule["directResponse"] = {"status": rng.choice([200, 204, 403, 404, 503])}
        if rng.random() < 0.5:
            rule["directResponse"]["body"] = {"string": "gone"}
    else:
        rule["route"] = _destinations(rng)
        if rng.random() < 0.2:
            rule["rewrite"] = _rewrite(rng)
    if rng.random() < 0.3:
        rule["headers"] = {"response": _operations(rng)}
    return rule


def _match(rng: random.Random) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if rng.random() < 0.5:
        kind = rng.choice(["exact", "prefix", "prefix", "regex"])
        values = {"exact": EXACTS, "prefix": PREFIXES, "regex": REGEXES}[kind]
        match["uri"] = {kind: rng.choice(values)}
        if rng.random() < 0.2:
            match["ignoreUriCase"] = True
    if rng.random() < 0.3:
        match["method"] = rng.choice(
            [{"exact": "OPTIONS"}, {"exact": "POST"}, {"prefix": "P"}, {"regex": "GET|POST"}, {}]
        )
    if rng.random() < 0.4:
        match["headers"] = {rng.choice(NAMES): _text(rng) for _ in range(rng.choice([1, 1, 2]))}
    if rng.random() < 0.2:
        match["withoutHeaders"] = {rng.choice(NAMES): _text(rng)}
    if rng.random() < 0.15:
        values = [{"exact": "1"}, {"exact": ""}, {"prefix": "1"}, {"regex": "[0-9]"}, {}]
        match["queryParams"] = {rng.choice(["q", "r", "Q"]): rng.choice(values)}
    if rng.random() < 0.1:
        match["authority"] = {"exact": rng.choice(REQUEST_HOSTS)}
    if rng.random() < 0.05:
        match["scheme"] = {"exact": rng.choice(["http", "https"])}
    if rng.random() < 0.1:
        match["port"] = rng.choice([80, 443])
    if rng.random() < 0.05:
        match["gateways"] = [rng.choice(["gate", "ns/gate", "other"])]
    return match


def _text(rng: random.Random) -> dict[str, str]:
    return rng.choice(
        [
            {}, {"regex": "*"}, {"exact": "xyz"}, {"exact": ""}, {"exact": "xyz,abc"},
            {"prefix": "x"}, {"regex": "x.*"}, {"regex": "(?i)XYZ"}, {"regex": ".*"},
            {"regex": "(?i)(.*[, ])?model-api-key([, ].*)?"}, {"prefix": "https://"},
        ]
    )  # fmt: skip


def _cors(rng: random.Random) -> dict[str, Any]:
    policy: dict[str, Any] = {}
    origins = [
        {"exact": "*"}, {"exact": "https://ui.example"}, {"prefix": "https://ui.example"},
        {"regex": r"https://ui\.example"}, {"regex": ".*"}, {"exact": "null"}, {"prefix": "*"},
    ]  # fmt: skip
    if rng.random() < 0.9:
        policy["allowOrigins"] = rng.sample(origins, rng.choice([1, 1, 2]))
    elif rng.random() < 0.5:
        policy["allowOrigin"] = ["https://ui.example", "*"][: rng.choice([1, 2])]
    if rng.random() < 0.7:
        policy["allowMethods"] = rng.choice([["GET", "POST"], ["*"], ["GET", "*"], ["PATCH"]])
    if rng.random() < 0.7:
        policy["allowHeaders"] = rng.choice([["model-api-key"], ["*"], ["a", "b"], ["*", "a"]])
    if rng.random() < 0.4:
        policy["exposeHeaders"] = rng.choice([["x-resp"], ["*"], ["a", "b"]])
    if rng.random() < 0.5:
        policy["maxAge"] = rng.choice(["24h", "600s", "1m30s"])
    if rng.random() < 0.5:
        policy["allowCredentials"] = rng.random() < 0.7
    if rng.random() < 0.6:
        policy["unmatchedPreflights"] = rng.choice(["IGNORE", "FORWARD", "UNSPECIFIED"])
    return policy


def _destinations(rng: random.Random) -> list[dict[str, Any]]:
    several = rng.random() < 0.15
    chosen = rng.sample(DESTINATIONS, 3 if several else 1)
    found: list[dict[str, Any]] = []
    for at, label in enumerate(chosen):
        host, _, port = label.partition(":")
        entry: dict[str, Any] = {"destination": {"host": host}}
        if port != "80" or rng.random() < 0.5:
            entry["destination"]["port"] = {"number": int(port)}
        if several:
            entry["weight"] = [30, 70, 0][at]
        if rng.random() < 0.2:
            entry["headers"] = {"response": _operations(rng)}
            if rng.random() < 0.3:
                entry["headers"]["request"] = {"set": {"host": f"set-{at}.test"}}
        found.append(entry)
    return found


def _operations(rng: random.Random) -> dict[str, Any]:
    names = [*RESPONSE_NAMES, "X-Resp"]
    made: dict[str, Any] = {}
    if rng.random() < 0.5:
        made["remove"] = [rng.choice(names)]
    if rng.random() < 0.5:
        made["set"] = {rng.choice(names): rng.choice(["*", "set", "100%%"])}
    if rng.random() < 0.4:
        made["add"] = {rng.choice(names): rng.choice(["*", "added"])}
    return made


def _redirect(rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if rng.random() < 0.5:
        made["authority"] = rng.choice(["new.test", "new.test:8443"])
    if rng.random() < 0.5:
        made["uri"] = rng.choice(["/new", "/new?x=1"])
    elif rng.random() < 0.2:
        made["scheme"] = "https"
    if rng.random() < 0.3:
        made["port"] = rng.choice([80, 443, 8443])
    elif rng.random() < 0.3:
        made["derivePort"] = rng.choice(["FROM_REQUEST_PORT", "FROM_PROTOCOL_DEFAULT"])
    if rng.random() < 0.5:
        made["redirectCode"] = rng.choice([301, 302, 303, 307, 308])
    if not made.keys() - {"redirectCode"}:
        made["uri"] = "/elsewhere"
    return made


def _rewrite(rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = rng.choice(
        [
            {"uri": "/new"},
            {"uri": "/"},
            {"uriRegexRewrite": {"match": "/a(.*)", "rewrite": r"/b\1"}},
            {"uriRegexRewrite": {"match": "a", "rewrite": "aa"}},
            {},
        ]
    )
    if not made or rng.random() < 0.3:
        made = {**made, "authority": "rewritten.test"}
    return made


def http_route(rng: random.Random, number: int) -> dict[str, Any]:
    """Make an HTTPRoute that the Gateway API accepts."""
    made: dict[str, Any] = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": f"route-{number}", "namespace": "ns"},
        "spec": {
            "parentRefs": [{"name": "gate"}],
            "rules": [_route_rule(rng) for _ in range(rng.randint(1, 4))],
        },
    }
    if rng.random() < 0.5:
        made["spec"]["hostnames"] = rng.sample(["*.example.com", "api.example.com", "o.test"], 2)
    return made


def _route_rule(rng: random.Random) -> dict[str, Any]:
    rule: dict[str, Any] = {"filters": []}
    if rng.random() < 0.85:
        rule["matches"] = [_route_match(rng) for _ in range(rng.choice([1, 1, 2]))]
    if rng.random() < 0.5:
        rule["filters"].append({"type": "CORS", "cors": _route_cors(rng)})
    if rng.random() < 0.3:
        operations = {"set": [{"name": "x-resp", "value": "set"}], "remove": ["vary"]}
        rule["filters"].append(
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": operations}
        )
    kind = rng.random()
    if kind < 0.15:
        path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}
        redirect = rng.choice(
            [
                {"hostname": "new.test"},
                {"scheme": "https", "statusCode": 301},
                {"port": 8443},
                {"path": path},
            ]
        )
        rule["filters"].append({"type": "RequestRedirect", "requestRedirect": redirect})
    elif kind < 0.9:
        backends = rng.sample(["one", "three"], rng.choice([1, 2]))
        rule["backendRefs"] = [
            {"name": name, "port": 80, "weight": rng.choice([0, 1, 1, 5])} for name in backends
        ]
        if rng.random() < 0.3:
            path = rng.choice(
                [
                    {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"},
                    {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"},
                    {"type": "ReplaceFullPath", "replaceFullPath": "/full"},
                ]
            )
            rule["filters"].append({"type": "URLRewrite", "urlRewrite": {"path": path}})
    return rule


def _route_match(rng: random.Random) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if rng.random() < 0.7:
        kind = rng.choice(["PathPrefix", "PathPrefix", "Exact", "RegularExpression"])
        prefixes = [prefix for prefix in PREFIXES if prefix]
        values = {"PathPrefix": prefixes, "Exact": EXACTS, "RegularExpression": REGEXES}[kind]
        match["path"] = {"type": kind, "value": rng.choice(values)}
    if rng.random() < 0.3:
        match["method"] = rng.choice(["GET", "OPTIONS", "POST"])
    if rng.random() < 0.4:
        match["headers"] = rng.choice(
            [
                [{"name": "Model-Api-Key", "value": "xyz"}],
                [{"name": "x-tenant", "type": "RegularExpression", "value": "x.*"}],
                [{"name": "x-tenant", "value": "abc"}, {"name": "accept", "value": "xyz"}],
            ]
        )
    if rng.random() < 0.15:
        match["queryParams"] = [{"name": "q", "value": "1"}]
    return match


def _route_cors(rng: random.Random) -> dict[str, Any]:
    origins = ["*", "https://ui.example", "https://*.example", "https://ui.*", "http://*.e*"]
    made: dict[str, Any] = {"allowOrigins": rng.sample(origins, 2)}
    if rng.random() < 0.7:
        made["allowMethods"] = rng.choice([["GET", "POST"], ["*"]])
    if rng.random() < 0.7:
        made["allowHeaders"] = rng.choice([["model-api-key"], ["*"]])
    if rng.random() < 0.5:
        made["allowCredentials"] = rng.random() < 0.7
    if rng.random() < 0.4:
        made["exposeHeaders"] = ["x-resp"]
    if rng.random() < 0.5:
        made["maxAge"] = rng.choice([1, 600])
    return made
