"""Random route configurations for a plain Envoy, with what Istio never sends.

The vocabulary is that of `mesh_generator`, whose requests meet these routes too. The same seed
gives the same configuration.
"""

from __future__ import annotations

import random
from typing import Any

from tests import mesh_generator
from tests.mesh_generator import EXACTS, METHODS, PREFIXES, REGEXES, REQUEST_HOSTS

Json = dict[str, Any]

CLUSTERS = ["one", "two", "three"]
_TYPES = "type.googleapis.com/envoy.extensions"
_CORS = "envoy.filters.http.cors"
DOMAINS = [
    "*", "api.example.com", "*.example.com", "api.*", "a.*", "*.b.example.com", "o.test",
    "api.example.com:8080", "y-x.*", "*-x.example.com", "nobody.test", "API.Example.com:8080",
]  # fmt: skip
TEMPLATES = ["/a/{x}", "/{p=**}", "/*/predict", "/v1/**", "/{a}/b", "/a/{x=*}"]
ACTIONS = [
    "APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS"
]  # fmt: skip
NUMBERS = ["1", "5", "-3", "007", "5x", "", "99"]


def manager(rng: random.Random, name: str, log_format: str) -> Json:
    """Make a connection manager with its routes inline."""
    has_cors = rng.random() < 0.93
    cors = {**_filter(_CORS, "cors.v3.Cors"), **_sometimes(rng, 0.1, "disabled", True)}
    filters = [
        *([cors] if has_cors else []),
        _filter("envoy.filters.http.router", "router.v3.Router"),
    ]
    logger = {
        "@type": f"{_TYPES}.access_loggers.stream.v3.StdoutAccessLog",
        "log_format": {"text_format_source": {"inline_string": log_format + "\n"}},
    }
    made: Json = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "use_remote_address": True,
        "route_config": configuration(rng, name),
        "http_filters": filters,
        "access_log": [{"name": "stdout", "typed_config": logger}],
    }
    if rng.random() < 0.6:
        made["normalize_path"] = rng.random() < 0.8
    if rng.random() < 0.2:
        made["merge_slashes"] = True
    if rng.random() < 0.2:
        made["strip_any_host_port"] = True
    return made


def configuration(rng: random.Random, name: str) -> Json:
    """Make a RouteConfiguration."""
    domains = rng.sample(DOMAINS, rng.randint(1, 5))
    if len({domain.lower() for domain in domains}) < len(domains):
        domains = ["*"]
    if rng.random() < 0.8 and "*" not in domains:
        domains.append("*")
    counter = iter(range(1000))
    hosts: list[Json] = []
    while domains:
        size = rng.choice([1, 1, 2])
        own, domains = domains[:size], domains[size:]
        hosts.append(_virtual_host(rng, f"h{len(hosts)}", own, counter))
    made: Json = {
        "name": name,
        "virtual_hosts": hosts,
        "max_direct_response_body_size_bytes": 4096,
        **_sometimes(rng, 0.2, "response_headers_to_add", _additions(rng)),
        **_sometimes(rng, 0.1, "response_headers_to_remove", ["x-resp"]),
        **_sometimes(rng, 0.3, "ignore_port_in_host_matching", True),
    }
    if rng.random() < 0.2:
        made["typed_per_filter_config"] = _policy_config(rng)
    return made


def _virtual_host(rng: random.Random, name: str, domains: list[str], counter: Any) -> Json:
    made: Json = {
        "name": name,
        "domains": domains,
        "routes": [_route(rng, next(counter)) for _ in range(rng.randint(1, 6))],
        **_sometimes(rng, 0.2, "response_headers_to_add", _additions(rng)),
        **_sometimes(rng, 0.1, "response_headers_to_remove", ["access-control-expose-headers"]),
        **_sometimes(rng, 0.05, "require_tls", "ALL"),
    }
    if rng.random() < 0.25:
        made["typed_per_filter_config"] = _policy_config(rng)
    elif rng.random() < 0.1:
        made["cors"] = _policy(rng)
    return made


def _route(rng: random.Random, number: int) -> Json:
    made: Json = {"match": _match(rng)}
    if rng.random() < 0.9:
        made["name"] = f"r{number}"
    kind = rng.random()
    if kind < 0.12:
        made["redirect"] = _redirect(rng)
    elif kind < 0.2:
        body = rng.choice([{"inline_string": "gone"}, {"inline_bytes": "Z29uZQ=="}])
        made["direct_response"] = {"status": rng.choice([200, 204, 403, 503])}
        if made["direct_response"]["status"] != 204 and rng.random() < 0.6:
            made["direct_response"]["body"] = body
    else:
        made["route"] = _action(rng)
    if "path_match_policy" in made["match"]:
        # Envoy refuses the two together
        for action in ("route", "redirect"):
            made.get(action, {}).pop("prefix_rewrite", None)
    if rng.random() < 0.6:
        made["typed_per_filter_config"] = _policy_config(rng)
    made |= _sometimes(rng, 0.25, "response_headers_to_add", _additions(rng))
    made |= _sometimes(rng, 0.1, "response_headers_to_remove", [rng.choice(["x-resp", "vary"])])
    return made


def _match(rng: random.Random) -> Json:
    made = _path(rng)
    if rng.random() < 0.2:
        made["case_sensitive"] = rng.random() < 0.4
    if rng.random() < 0.35:
        made["headers"] = [_header(rng) for _ in range(rng.choice([1, 1, 2]))]
    if rng.random() < 0.15:
        made["query_parameters"] = [_query(rng)]
    if rng.random() < 0.1:
        numerator = rng.choice([0, 100])
        made["runtime_fraction"] = {
            "default_value": {"numerator": numerator, "denominator": "HUNDRED"},
            "runtime_key": "some.key",
        }
    if rng.random() < 0.03:
        made["grpc"] = {}
    return made


def _path(rng: random.Random) -> Json:
    kind = rng.random()
    if kind < 0.2:
        return {"prefix": "/"}
    if kind < 0.45:
        return {"prefix": rng.choice(PREFIXES)}
    if kind < 0.6:
        return {"path": rng.choice(EXACTS)}
    if kind < 0.75:
        return {"safe_regex": {"regex": rng.choice(REGEXES)}}
    if kind < 0.9:
        return {"path_separated_prefix": rng.choice(["/a", "/v1", "/A", "/a/b"])}
    if kind < 0.97:
        matcher = f"{_TYPES}.path.match.uri_template.v3.UriTemplateMatchConfig"
        config = {"@type": matcher, "path_template": rng.choice(TEMPLATES)}
        name = "envoy.path.match.uri_template.uri_template_matcher"
        return {"path_match_policy": {"name": name, "typed_config": config}}
    return {"connect_matcher": {}}


def _header(rng: random.Random) -> Json:
    name = rng.choice(
        ["model-api-key", "Model-Api-Key", "x-tenant", "accept", ":method", ":authority",
         "access-control-request-method", "access-control-request-headers", "origin", "x-number"]
    )  # fmt: skip
    made: Json = {"name": name, **_header_value(rng, name)}
    if rng.random() < 0.25:
        made["invert_match"] = True
    if rng.random() < 0.25:
        made["treat_missing_header_as_empty"] = True
    return made


def _header_value(rng: random.Random, name: str) -> Json:
    kind = rng.random()
    if name == ":method" and kind < 0.7:
        return {"string_match": {"exact": rng.choice(METHODS)}}
    if kind < 0.15:
        return {"present_match": rng.random() < 0.6}
    if kind < 0.25 or name == "x-number":
        return {"range_match": {"start": rng.choice(["-5", 1]), "end": rng.choice([6, "100"])}}
    if kind < 0.3:
        return {}
    return {"string_match": _string(rng)}


def _string(rng: random.Random) -> Json:
    text = rng.choice(["xyz", "x", "abc", "XYZ", "y", "api.example.com", "POST", "model-api-key"])
    kind = rng.choice(["exact", "exact", "prefix", "suffix", "contains", "safe_regex"])
    if kind == "safe_regex":
        return {"safe_regex": {"regex": rng.choice(["x.*", "(?i)XYZ", ".*", ".*key.*"])}}
    return {kind: text, **_sometimes(rng, 0.3, "ignore_case", True)}


def _query(rng: random.Random) -> Json:
    made: Json = {"name": rng.choice(["q", "r", "Q"])}
    kind = rng.random()
    if kind < 0.3:
        made["present_match"] = rng.random() < 0.5
    elif kind < 0.9:
        values = [{"exact": "1"}, {"prefix": "1"}, {"suffix": "1"}, {"contains": "1"}]
        made["string_match"] = rng.choice([*values, {"safe_regex": {"regex": "[0-9]"}}])
    return made


def _policy_config(rng: random.Random) -> Json:
    kind = f"{_TYPES}.filters.http.cors.v3.CorsPolicy"
    if rng.random() < 0.1:
        wrapped = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig"}
        inner = {"@type": kind, **_policy(rng)}
        return {_CORS: {**wrapped, "config": inner, **_sometimes(rng, 0.4, "disabled", True)}}
    return {_CORS: {"@type": kind, **_policy(rng)}}


def _policy(rng: random.Random) -> Json:
    origins = [
        {"exact": "*"}, {"exact": "https://ui.example"}, {"prefix": "https://ui.example"},
        {"safe_regex": {"regex": r"https://ui\.example"}}, {"suffix": ".example"},
        {"contains": "UI", "ignore_case": True}, {"exact": "null"}, {"suffix": "*"},
        {"exact": "HTTPS://ui.example", "ignore_case": True},
    ]  # fmt: skip
    whole = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    none = {"default_value": {"numerator": 0, "denominator": "TEN_THOUSAND"}}
    return {
        **_sometimes(rng, 0.85, "allow_origin_string_match", rng.sample(origins, 3)),
        **_sometimes(rng, 0.6, "allow_methods", rng.choice(["GET, POST", "*", "GET,*", "PATCH"])),
        **_sometimes(rng, 0.6, "allow_headers", rng.choice(["model-api-key", "*", "a , b"])),
        **_sometimes(rng, 0.4, "expose_headers", rng.choice(["x-resp", "*", "a,  b"])),
        **_sometimes(rng, 0.5, "max_age", rng.choice(["600", "1d", "0"])),
        **_sometimes(rng, 0.5, "allow_credentials", rng.random() < 0.7),
        **_sometimes(rng, 0.4, "forward_not_matching_preflights", rng.random() < 0.5),
        **_sometimes(rng, 0.4, "allow_private_network_access", rng.random() < 0.7),
        **_sometimes(rng, 0.3, "filter_enabled", rng.choice([whole, whole, none])),
        **_sometimes(rng, 0.1, "shadow_enabled", whole),
    }


def _action(rng: random.Random) -> Json:
    made: Json = {}
    if rng.random() < 0.2:
        chosen = [_weighted(rng, name, weight) for name, weight in (("one", 3), ("two", 1))]
        made["weighted_clusters"] = {"clusters": chosen}
    else:
        made["cluster"] = rng.choice(CLUSTERS)
    kind = rng.random()
    if kind < 0.15:
        made["prefix_rewrite"] = rng.choice(["/new", "/", "/new/"])
    elif kind < 0.25:
        made["regex_rewrite"] = {"pattern": {"regex": "/(a|v1)"}, "substitution": r"/x\1"}
    if rng.random() < 0.15:
        made["host_rewrite_literal"] = "set.test"
    if rng.random() < 0.08:
        made["cors"] = _policy(rng)
    return made


def _weighted(rng: random.Random, name: str, weight: int) -> Json:
    return {
        "name": name,
        "weight": weight,
        **_sometimes(rng, 0.3, "response_headers_to_add", _additions(rng)),
        **_sometimes(rng, 0.2, "host_rewrite_literal", f"{name}.test"),
    }


def _redirect(rng: random.Random) -> Json:
    made: Json = {
        **_sometimes(rng, 0.4, "host_redirect", "new.test"),
        **_sometimes(rng, 0.3, "port_redirect", rng.choice([80, 443, 8443])),
        **_sometimes(rng, 0.3, "strip_query", True),
        **_sometimes(rng, 0.6, "response_code", rng.choice(["FOUND", "SEE_OTHER", 3, 4])),
    }
    made |= rng.choice([{}, {"https_redirect": True}, {"scheme_redirect": "http"}])
    made |= rng.choice(
        [{}, {"path_redirect": "/new"}, {"path_redirect": "/new?x=1"}, {"prefix_rewrite": "/new"},
         {"regex_rewrite": {"pattern": {"regex": "/(a|v1)"}, "substitution": r"/x\1"}}]
    )  # fmt: skip
    return made


def _additions(rng: random.Random) -> list[Json]:
    names = [*mesh_generator.RESPONSE_NAMES, "X-Resp"]
    return [
        {
            "header": {"key": rng.choice(names), "value": rng.choice(["*", "set", "100%%"])},
            **_sometimes(rng, 0.8, "append_action", rng.choice(ACTIONS)),
        }
        for _ in range(rng.choice([1, 1, 2]))
    ]


def request(rng: random.Random) -> Json:
    """Make one request, as `mesh_generator` does, with headers that only these routes look at."""
    made = mesh_generator.request(rng)
    extra = []
    if rng.random() < 0.15:
        extra.append(("x-number", rng.choice(NUMBERS)))
    if rng.random() < 0.2:
        extra.append(("access-control-request-private-network", rng.choice(["true", "false"])))
    if rng.random() < 0.1:
        types = ["application/grpc", "application/grpc+proto", "application/grpcx"]
        extra.append(("content-type", rng.choice(types)))
    if rng.random() < 0.3:
        hosts = [*REQUEST_HOSTS, "api.test", "a.b", "y-x.", "o.test:443", "api.example.com:80"]
        made["host"] = rng.choice(hosts)
    return made | {"headers": (*made["headers"], *extra)}


def bootstrap(managers: Json, ports: dict[str, int]) -> Json:
    """Return a bootstrap with a listener for each manager."""
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": name,
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": made}]}],
                }
                for name, made in managers.items()
            ],
            "clusters": [_cluster(name, ports[name]) for name in CLUSTERS],
        }
    }


def _cluster(name: str, port: int) -> Json:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def _filter(name: str, kind: str) -> Json:
    return {"name": name, "typed_config": {"@type": f"{_TYPES}.filters.http.{kind}"}}


def _sometimes(rng: random.Random, chance: float, name: str, value: Any) -> Json:
    return {name: value} if rng.random() < chance else {}
