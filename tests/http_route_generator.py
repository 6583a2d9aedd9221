"""Random HTTPRoutes, many of them with calls that a browser cannot make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

ORIGINS = ["https://a.example", "https://b.example", "https://*.c.example", "https://*"]


def _rule(rng: random.Random) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if rng.random() < 0.5:
        kind = rng.choice(["PathPrefix", "PathPrefix", "Exact", "RegularExpression"])
        value = "/v1/.+" if kind == "RegularExpression" else rng.choice(["/", "/v1", "/v1/chat"])
        match["path"] = {"type": kind, "value": value}
    if rng.random() < 0.6:
        match["headers"] = [{"name": rng.choice(["k", "j"]), "value": rng.choice(["1", "2"])}]
    if rng.random() < 0.15:
        match["method"] = rng.choice(["POST", "OPTIONS"])
    if rng.random() < 0.15:
        match["queryParams"] = [{"name": "q", "value": "1"}]
    made: dict[str, Any] = {"matches": [match]} if match else {}
    if match and rng.random() < 0.2:
        made["matches"].append({"headers": [{"name": "k", "value": "3"}]})
    if rng.random() < 0.5:
        cors: dict[str, Any] = {"allowOrigins": [rng.choice(ORIGINS)]}
        cors["allowHeaders"] = rng.choice([["k"], ["k", "j"], ["k", "content-type"]])
        if rng.random() < 0.5:
            cors["allowMethods"] = rng.choice([["PUT"], ["PUT", "DELETE"]])
        if rng.random() < 0.3 and cors["allowOrigins"] != ["https://*"]:
            cors["allowCredentials"] = True
        made["filters"] = [{"type": "CORS", "cors": cors}]
    if rng.random() < 0.1:
        redirect = {"hostname": "www.example"}
        return made | {"filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}
    return made | {"backendRefs": [{"name": rng.choice(["one", "two"]), "port": 80}]}


def http_routes(rng: random.Random) -> list[dict[str, Any]]:
    """Make one or two HTTPRoutes of one gateway."""
    documents = []
    for at in range(rng.choice([1, 1, 2])):
        hosts = {"hostnames": ["api.example"]} if rng.random() < 0.7 else {}
        rules = [_rule(rng) for _ in range(rng.randint(1, 4))]
        documents.append(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": f"route-{at}"},
                "spec": {"parentRefs": [{"name": "public"}], **hosts, "rules": rules},
            }
        )
    return documents
