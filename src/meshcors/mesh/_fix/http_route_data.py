"""A rule for preflights as the plain data of an HTTPRoute: `rule_data` for the Gateway API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._analysis.http_route_cors import cors_filter, cors_origin
from meshcors.mesh._analysis.pod_traffic import http_route_traffic
from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh._fix.errors import cannot_fix
from meshcors.mesh._fix.narrowing import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._documents.model import (
        Destination,
        HttpMatch,
        HttpRule,
        StringMatch,
        VirtualService,
    )
    from meshcors.mesh._fix.options import FixOptions

_PATH_TYPES: Final = {"exact": "Exact", "prefix": "PathPrefix", "regex": "RegularExpression"}


def http_route_rule_data(
    rule: HttpRule, route: VirtualService, *, tries_again: bool = False
) -> dict[str, Any]:
    """Return a rule as the HTTPRoute `route` spells it; one that `tries_again` has a timeout.

    It has no name, because not every release of the API knows one. ``DocumentError`` is raised if
    it allows an origin that an HTTPRoute cannot allow.
    """
    made: dict[str, Any] = {"matches": [_match_data(match) for match in rule.match]}
    if rule.cors_policy is not None:
        policy = rule.cors_policy
        origins = [origin_data(each, route) for each in policy.allow_origins]
        made["filters"] = [
            cors_filter(
                origins,
                methods=policy.allow_methods,
                headers=policy.allow_headers,
                credentials=policy.allow_credentials,
                max_age=policy.max_age,
            )
        ]
    if tries_again:
        made |= http_route_traffic()
    made["backendRefs"] = [_backend_data(to, route) for to in rule.route]
    return made


def grants_needed(documents: Iterable[VirtualService], options: FixOptions) -> list[str]:
    """Say which HTTPRoutes route to a pod in another namespace, which has to allow that."""
    service = service_of_host(options.pod[0])
    if options.responder == "mesh" or service is None or service[1] is None:
        return []
    return [
        f"{each.label} routes to another namespace: this needs a ReferenceGrant in {service[1]}"
        for each in documents
        if each.kind == "HTTPRoute" and each.namespace != service[1]
    ]


def _match_data(match: HttpMatch) -> dict[str, Any]:
    path = match.uri
    made: dict[str, Any] = {
        "path": {"type": _PATH_TYPES[path.kind], "value": path.value}
        if path
        else {"type": "PathPrefix", "value": "/"},
        "method": match.method.value if match.method else "",
        "headers": [_condition(name, wanted) for name, wanted in match.headers],
        "queryParams": [_condition(name, wanted) for name, wanted in match.query_params],
    }
    return {name: value for name, value in made.items() if value}


def _condition(name: str, wanted: StringMatch) -> dict[str, str]:
    if wanted.kind == "exact":
        return {"name": name, "value": wanted.value}
    texts = {"present": ".+", "prefix": literal(wanted.value) + ".*", "regex": wanted.value}
    return {"type": "RegularExpression", "name": name, "value": texts[wanted.kind]}


def origin_data(match: StringMatch, route: VirtualService) -> str:
    """Return a condition on the origin as an entry of the CORS filter.

    ``DocumentError`` is raised if there is none.
    """
    text = cors_origin(match)
    if text is None:
        message = "an HTTPRoute cannot allow every origin that a regular expression does"
        hint = "name origins such as https://ui.example or https://*.ui.example"
        raise cannot_fix(route.place_at("spec", "rules"), message, hint)
    return text


def _backend_data(to: Destination, route: VirtualService) -> dict[str, Any]:
    service = service_of_host(to.host)
    if service is None:
        message = f"{to.host} is not a Service, and an HTTPRoute routes only to Services"
        raise cannot_fix(route.place_at("spec", "rules"), message, "name the pod's Service")
    name, namespace = service
    made: dict[str, Any] = {"name": name}
    if namespace not in (None, route.namespace):
        made["namespace"] = namespace
    # Not every backend is a Service.
    for node in _backends(route):
        fields = {key.value: value.value for key, value in node.value}
        if fields.get("name") == name and fields.get("namespace") == made.get("namespace"):
            made = {kind: fields[kind] for kind in ("group", "kind") if kind in fields} | made
            break
    if to.port:
        made["port"] = to.port
    return made


def _backends(route: VirtualService) -> list[Any]:
    nodes = (route.node_at(*rule.path, "backendRefs") for rule in route.http)
    return [item for node in nodes if node is not None for item in node.value]
