"""Random files for `fix`: hosts with several rules and corsPolicies, in one to three documents.

Everything comes from one `random.Random`: the same seed gives the same files and calls.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

A, B, C = "https://a.example", "https://b.example", "http://localhost:3000"
STRANGER = "https://stranger.test"
KEYS = ("model-api-key", "x-tenant")
PATHS = ("/", "/v1", "/v1/predict", "/web")
HOSTS = ("api.example", "*.example", "*")
REQUEST_HOSTS = ("api.example", "web.example", "other.test")
SERVICES = ("one", "two", "three")
MODES = ("include", "same-origin")
POD = ("meshcors-dummy", 8080)
DESTINATIONS = (*(f"{name}:80" for name in SERVICES), f"{POD[0]}:{POD[1]}")


def file(rng: random.Random) -> str:
    """Make a file of one to three VirtualServices."""
    count = rng.choice([1, 1, 1, 2, 3])
    # A policy of one pod cannot allow any origin, and credentials.
    is_open = rng.random() < 0.2
    documents = (_document(rng, number, is_open) for number in range(count))
    return "\n---\n".join(json.dumps(each, indent=1) for each in documents)


def call(rng: random.Random) -> dict[str, Any]:
    """Make a page's call: the arguments of `browser.Request`."""
    headers: dict[str, str] = {}
    for name in KEYS:
        if rng.random() < 0.4:
            headers[name] = rng.choice(["xyz", "abc", "guess"])
    if rng.random() < 0.4:
        headers["content-type"] = "application/json"
    if rng.random() < 0.1:
        headers["authorization"] = "secret"
    return {
        "origin": rng.choice([A, A, B, C, STRANGER]),
        "url": f"http://{rng.choice(REQUEST_HOSTS[:1] * 3 + REQUEST_HOSTS)}{rng.choice(PATHS)}",
        "method": rng.choice(["GET", "POST", "POST", "PUT", "DELETE"]),
        "headers": headers,
        # With credentials, the preflight may be that of a lost call without them.
        "credentials": "same-origin" if headers.keys() & set(KEYS) else rng.choice(MODES),
    }


def _document(rng: random.Random, number: int, is_open: bool) -> dict[str, Any]:
    # Most teams have one policy, and some rules with another.
    usual = _policy(rng, is_open)
    rules = [_rule(rng, usual, is_open) for _ in range(rng.choice([1, 2, 2, 3, 4]))]
    if rng.random() < 0.5:
        rules.append(_catch_all(rng, usual, is_open))
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {
            "name": f"vs-{number}",
            "creationTimestamp": f"2026-01-0{rng.randint(1, 9)}T00:00:00Z",
        },
        "spec": {
            "hosts": [rng.choice(HOSTS[:1] * 3 + HOSTS)],
            "gateways": ["gate"],
            "http": rules,
        },
    }


def _rule(rng: random.Random, usual: dict[str, Any], is_open: bool) -> dict[str, Any]:
    match: dict[str, Any] = {}
    if rng.random() < 0.8:
        names = rng.sample(KEYS, 2) if rng.random() < 0.1 else [rng.choice(KEYS[:1] * 4 + KEYS)]
        match["headers"] = {name: {"exact": rng.choice(["xyz", "abc"])} for name in names}
    if rng.random() < 0.5 or not match:
        match["uri"] = {rng.choice(["prefix", "prefix", "exact"]): rng.choice(PATHS[1:])}
    if rng.random() < 0.15:
        match["method"] = {"exact": rng.choice(["GET", "POST", "PUT"])}
    rule: dict[str, Any] = {"match": [match]}
    if rng.random() < 0.75:
        rule["corsPolicy"] = usual if rng.random() < 0.7 else _policy(rng, is_open)
    rule["route"] = _route(rng)
    return rule


def _catch_all(rng: random.Random, usual: dict[str, Any], is_open: bool) -> dict[str, Any]:
    kind = rng.random()
    if kind < 0.1:
        return {"redirect": {"authority": "elsewhere.example"}}
    if kind < 0.2:
        return {"directResponse": {"status": 404}}
    policy = usual if rng.random() < 0.5 else _policy(rng, is_open)
    return {**({"corsPolicy": policy} if kind < 0.6 else {}), "route": _route(rng)}


def _route(rng: random.Random) -> list[dict[str, Any]]:
    return [{"destination": {"host": rng.choice(SERVICES), "port": {"number": 80}}}]


def _policy(rng: random.Random, is_open: bool) -> dict[str, Any]:
    origins = rng.sample([A, B, C], rng.choice([1, 1, 2]))
    policy: dict[str, Any] = {"allowOrigins": [{"exact": origin} for origin in origins]}
    kind = rng.random()
    if kind < 0.1:
        policy["allowOrigins"] = [{"regex": r"https://[a-c]\.example"}]
    elif is_open and kind < 0.5:
        policy["allowOrigins"] = [{"exact": "*"}]
    headers = [name for name in (*KEYS, "content-type", "authorization") if rng.random() < 0.6]
    policy["allowHeaders"] = headers if headers and rng.random() < 0.9 else ["*"]
    if rng.random() < 0.5:
        policy["allowMethods"] = rng.choice([["GET", "POST"], ["PUT"], ["PUT", "DELETE"], ["*"]])
    if not is_open and rng.random() < 0.4:
        policy["allowCredentials"] = True
    if rng.random() < 0.3:
        policy["unmatchedPreflights"] = rng.choice(["IGNORE", "FORWARD"])
    return policy
