"""The route table as a configuration for Envoy, laid out as Istio's control plane would send it.

It is for tests on one machine: plain HTTP, the cors filter and the router, every destination on
loopback. TLS, telemetry, authentication and fault injection are left out. A differential test loads
it into a real Envoy and compares the answers with those of `Gateway`.

Sources: ``pilot/pkg/networking/core/route/route.go`` (TranslateRoute, TranslateCORSPolicy),
``gateway.go``, ``listener_builder.go``; Envoy's ``route_components.proto`` for the names.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

from meshcors._policy.web_ports import WEB_PORTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshcors.mesh._documents.model import (
        CorsPolicy,
        Destination,
        DirectResponse,
        HeaderOperations,
        Headers,
        Redirect,
        StringMatch,
    )
    from meshcors.mesh._routing.gateway import Gateway
    from meshcors.mesh._routing.routes import HeaderCondition, PathCondition, Route, RouteMatch

__all__ = ["bootstrap"]

Json = dict[str, Any]

_TYPES: Final = "type.googleapis.com/envoy.extensions"
_CORS: Final = "envoy.filters.http.cors"
_ROUTER: Final = "envoy.filters.http.router"
_PATHS: Final = {"prefix": "prefix", "segments": "path_separated_prefix", "exact": "path"}
_HTTPS: Final = WEB_PORTS["https"]
# as if the connection had TLS
_AS_HTTPS: Final = {"scheme_header_transformation": {"scheme_to_overwrite": "https"}}
_CODES: Final = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


def bootstrap(
    gateways: Mapping[str, Gateway],
    upstreams: Mapping[str, int | str],
    *,
    port: int = 80,
    log_format: str | Mapping[str, str] | None = None,
    http_filters: Mapping[str, Sequence[Json]] | None = None,
) -> Json:
    """Return an Envoy bootstrap (the JSON form of its protobuf) that serves ``gateways``.

    Each entry becomes a listener of that name on a free port of 127.0.0.1, with the routes that the
    gateway has on ``port``. On port 443, requests have the scheme https, as behind TLS.

    ``upstreams`` maps destinations (``host:port``) to loopback ports, or to an ``address:port``; a
    destination that is missing gets no endpoint, so Envoy answers 503.

    ``log_format`` is the format of Envoy's access log, which it writes to stdout: a text, or the
    fields of a JSON object; ``%ROUTE_NAME%`` is the rule's name. ``http_filters`` are more filters
    for a listener, in front of the cors filter.

    Source: Envoy's API v3, ``envoy.config.bootstrap.v3.Bootstrap``.
    """
    tables = {name: gateway.virtual_hosts(port) for name, gateway in gateways.items()}
    labels = {
        _cluster(to, route): f"{to.host}:{to.port or route.port}"
        for hosts in tables.values()
        for host in hosts
        for route in host.routes
        for to in route.source.route
    }
    log = None if log_format is None else _access_log(log_format)
    more = http_filters or {}
    return {
        "static_resources": {
            "listeners": [
                _listener(
                    name,
                    _manager(name, gateways[name].name, hosts, more.get(name, ()), log)
                    | (_AS_HTTPS if port == _HTTPS else {}),
                )
                for name, hosts in tables.items()
            ],
            "clusters": [_upstream(name, upstreams.get(label)) for name, label in labels.items()],
        }
    }


def _manager(
    name: str, gateway: str, hosts: Iterable[Any], more: Iterable[Json], log: Json | None
) -> Json:
    return {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "normalize_path": True,
        "use_remote_address": True,
        "route_config": {
            "name": gateway,
            "ignore_port_in_host_matching": True,
            "validate_clusters": False,
            "max_direct_response_body_size_bytes": 1024 * 1024,
            "virtual_hosts": [
                {
                    "name": host.domain,
                    "domains": [host.domain],
                    "routes": [
                        # as in Istio, a rule whose delegate is missing is left out
                        _route(route)
                        for route in host.routes
                        if route.source.delegate is None
                    ],
                }
                for host in hosts
            ],
        },
        "http_filters": [
            *more,
            {"name": _CORS, "typed_config": {"@type": f"{_TYPES}.filters.http.cors.v3.Cors"}},
            {"name": _ROUTER, "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}},
        ],
        **({} if log is None else {"access_log": [log]}),
    }


def _access_log(log_format: str | Mapping[str, str]) -> Json:
    if isinstance(log_format, str):
        form: Json = {"text_format_source": {"inline_string": log_format + "\n"}}
    else:
        form = {"json_format": dict(log_format)}
    logger = f"{_TYPES}.access_loggers.stream.v3.StdoutAccessLog"
    return {"name": "stdout", "typed_config": {"@type": logger, "log_format": form}}


def _listener(name: str, manager: Json) -> Json:
    return {
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _upstream(name: str, at: int | str | None) -> Json:
    host, _, port = (at if isinstance(at, str) else f"127.0.0.1:{at or 0}").rpartition(":")
    address = {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}
    endpoints = [] if at is None else [{"endpoint": {"address": address}}]
    # a name such as localhost may have addresses of both kinds, with the service at one of them
    found = {"type": "LOGICAL_DNS", "dns_lookup_family": "ALL"} if isinstance(at, str) else {}
    return {
        "name": name,
        "type": "STATIC",
        **found,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _cluster(destination: Destination, route: Route) -> str:
    port = destination.port or route.port
    return f"outbound|{port}|{destination.subset}|{destination.host}"


def _route(route: Route) -> Json:
    rule = route.source
    made: Json = {"name": route.rule, "match": _match(route.match)}
    alone = rule.route[0].headers if len(rule.route) == 1 else None
    made |= _operations([rule.headers, alone] if alone and route.is_forward else [rule.headers])
    if rule.redirect is not None:
        made["redirect"] = _redirect(rule.redirect, route.port)
    elif rule.direct_response is not None:
        made["direct_response"] = _direct(rule.direct_response)
    else:
        made["route"] = _action(route)
    if rule.cors_policy is not None:
        made["typed_per_filter_config"] = {_CORS: _cors(rule.cors_policy)}
    return made


def _match(match: RouteMatch) -> Json:
    made: Json = _path(match.path)
    made["case_sensitive"] = not match.path.ignore_case
    made["headers"] = [_header(condition) for condition in match.headers]
    made["query_parameters"] = [
        {"name": name, **_present_or("string_match", wanted)} for name, wanted in match.query
    ]
    if match.claims:
        made["dynamic_metadata"] = [_claim(condition) for condition in match.claims]
    return made


def _path(path: PathCondition) -> Json:
    if path.kind == "regex":
        return {"safe_regex": {"regex": path.value}}
    return {_PATHS[path.kind]: path.value}


def _header(condition: HeaderCondition) -> Json:
    made: Json = {"name": condition.name, **_present_or("string_match", condition.match)}
    if condition.inverted:
        made["invert_match"] = True
        if condition.match.kind != "present":
            made["treat_missing_header_as_empty"] = True
    return made


def _claim(condition: HeaderCondition) -> Json:
    name = condition.name.removeprefix("@request.auth.claims")
    keys = name[1:-1].split("][") if name.startswith("[") else name[1:].split(".")
    value = {"string_match": _string(condition.match)}
    return {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "payload"}, *({"key": key} for key in keys)],
        "value": {"present_match": True} if condition.match.kind == "present" else value,
        "invert": condition.inverted,
    }


def _present_or(name: str, match: StringMatch) -> Json:
    return {"present_match": True} if match.kind == "present" else {name: _string(match)}


def _string(match: StringMatch) -> Json:
    if match.kind == "regex":
        return {"safe_regex": {"regex": match.value}}
    return {match.kind: match.value}


def _action(route: Route) -> Json:
    rule = route.source
    action: Json = {"timeout": "0s"}
    if route.document.kind == "HTTPRoute":
        action["cluster_not_found_response_code"] = "INTERNAL_SERVER_ERROR"
    authority = ""
    if rule.rewrite is not None:
        authority = rule.rewrite.authority
        action |= _rewrite(route)
    authority = authority or _authority(rule.headers)
    if len(rule.route) == 1:
        action["cluster"] = _cluster(rule.route[0], route)
        authority = authority or _authority(rule.route[0].headers)
    else:
        clusters = [_weighted(to, route) for to in rule.route if to.weight]
        action["weighted_clusters"] = {"clusters": clusters}
    if authority:
        action["host_rewrite_literal"] = authority
    return action


def _rewrite(route: Route) -> Json:
    rewrite = route.source.rewrite
    if rewrite is None or not (rewrite.regex or rewrite.uri):
        return {}
    regex, substitution = rewrite.regex, rewrite.substitution
    if route.document.kind == "HTTPRoute" and rewrite.uri == "/":
        prefix = route.match.path.value if route.match.path.kind == "segments" else ""
        regex, substitution = f"^{re.escape(prefix)}(/?)(.*)", r"/\2"
    if regex:
        return {"regex_rewrite": {"pattern": {"regex": regex}, "substitution": substitution}}
    return {"prefix_rewrite": rewrite.uri}


def _weighted(destination: Destination, route: Route) -> Json:
    made: Json = {"name": _cluster(destination, route), "weight": destination.weight}
    made |= _operations([destination.headers])
    if authority := _authority(destination.headers):
        made["host_rewrite_literal"] = authority
    return made


def _direct(direct: DirectResponse) -> Json:
    if not direct.body:
        return {"status": direct.status}
    body = base64.b64encode(direct.body).decode()
    return {"status": direct.status, "body": {"inline_bytes": body}}


def _redirect(redirect: Redirect, port: int) -> Json:
    made: Json = {"response_code": _CODES[redirect.code or 301]}
    if redirect.authority:
        made["host_redirect"] = redirect.authority
    if redirect.prefix_rewrite:
        made["prefix_rewrite"] = redirect.prefix_rewrite
    else:
        made["path_redirect"] = redirect.uri
    if redirect.scheme:
        made["scheme_redirect"] = redirect.scheme
    target = port if redirect.derive_port == "FROM_REQUEST_PORT" else redirect.port
    if target and target != WEB_PORTS.get(redirect.scheme or "http"):
        made["port_redirect"] = target
    return made


def _cors(policy: CorsPolicy) -> Json:
    whole = {"numerator": 100, "denominator": "HUNDRED"}
    made: Json = {
        "@type": f"{_TYPES}.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [_string(origin) for origin in policy.allow_origins],
        "allow_methods": ",".join(policy.allow_methods),
        "allow_headers": ",".join(policy.allow_headers),
        "expose_headers": ",".join(policy.expose_headers),
        "forward_not_matching_preflights": policy.unmatched_preflights != "IGNORE",
        "filter_enabled": {"default_value": whole},
    }
    if policy.max_age is not None:
        made["max_age"] = str(policy.max_age)
    if policy.allow_credentials is not None:
        made["allow_credentials"] = policy.allow_credentials
    return made


def _operations(headers: Iterable[Headers]) -> Json:
    made: Json = {}
    for each in headers:
        for direction, operations in (("request", each.request), ("response", each.response)):
            added = [_addition(pair, "OVERWRITE_IF_EXISTS_OR_ADD") for pair in operations.set]
            added += [_addition(pair, "APPEND_IF_EXISTS_OR_ADD") for pair in operations.add]
            added = [item for item in added if not _is_internal(item["header"]["key"])]
            made.setdefault(f"{direction}_headers_to_add", []).extend(added)
            removed = [name for name in operations.remove if not _is_internal(name)]
            made.setdefault(f"{direction}_headers_to_remove", []).extend(removed)
    return {name: items for name, items in made.items() if items}


def _addition(pair: tuple[str, str], action: str) -> Json:
    return {"header": {"key": pair[0], "value": pair[1]}, "append_action": action}


def _is_internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"


def _authority(headers: Headers) -> str:
    operations: HeaderOperations = headers.request
    named = [pair for pair in (*operations.set, *operations.add) if _is_internal(pair[0])]
    return named[0][1] if named else ""
