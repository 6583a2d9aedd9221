"""A rule for preflights as the plain data of a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcors.mesh._analysis.pod_traffic import virtual_service_traffic
from meshcors.mesh._fix.http_route_data import http_route_rule_data

if TYPE_CHECKING:
    from meshcors.mesh._documents.model import (
        CorsPolicy,
        Destination,
        HttpMatch,
        HttpRule,
        StringMatch,
        VirtualService,
    )


def rule_data(
    rule: HttpRule, document: VirtualService, *, tries_again: bool = False
) -> dict[str, Any]:
    """Return a rule as `document` spells it; of ``match``, ``corsPolicy`` and ``route``.

    A rule that `tries_again` has a timeout too, and in a VirtualService retries. ``DocumentError``
    is raised if `document` cannot say the rest.
    """
    if document.kind == "HTTPRoute":
        return http_route_rule_data(rule, document, tries_again=tries_again)
    made: dict[str, Any] = {"name": rule.name}
    if rule.match:
        made["match"] = [match_data(match) for match in rule.match]
    if rule.cors_policy is not None:
        made["corsPolicy"] = policy_data(rule.cors_policy)
    if tries_again:
        made |= virtual_service_traffic()
    made["route"] = [{"destination": _destination(to)} for to in rule.route]
    return made


def match_data(match: HttpMatch) -> dict[str, Any]:
    """Return one entry of ``match``."""
    made: dict[str, Any] = {
        "uri": _condition(match.uri),
        "ignoreUriCase": match.ignore_uri_case,
        "authority": _condition(match.authority),
        "scheme": _condition(match.scheme),
        "queryParams": {name: _condition(wanted) for name, wanted in match.query_params},
        "port": match.port,
        "gateways": list(match.gateways),
        "sourceLabels": dict(match.source_labels),
        "sourceNamespace": match.source_namespace,
        "method": _condition(match.method),
        "headers": {name: _condition(wanted) for name, wanted in match.headers},
        "withoutHeaders": {name: _condition(wanted) for name, wanted in match.without_headers},
    }
    return {name: value for name, value in made.items() if value}


def policy_data(policy: CorsPolicy) -> dict[str, Any]:
    """Return a ``corsPolicy``."""
    made: dict[str, Any] = {
        "allowOrigins": [{each.kind: each.value} for each in policy.allow_origins],
        "allowMethods": list(policy.allow_methods),
        "allowHeaders": list(policy.allow_headers),
        "exposeHeaders": list(policy.expose_headers),
        "allowCredentials": policy.allow_credentials,
        "maxAge": None if policy.max_age is None else _duration(policy.max_age),
        "unmatchedPreflights": policy.unmatched_preflights,
    }
    if policy.unmatched_preflights == "UNSPECIFIED":
        del made["unmatchedPreflights"]
    return {name: value for name, value in made.items() if value not in ([], None, False)}


def _duration(seconds: int) -> str:
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _condition(match: StringMatch | None) -> dict[str, str]:
    """Return a condition on a string; an empty one asks only that the string is present."""
    return {} if match is None or match.kind == "present" else {match.kind: match.value}


def _destination(destination: Destination) -> dict[str, Any]:
    made: dict[str, Any] = {"host": destination.host}
    if destination.subset:
        made["subset"] = destination.subset
    if destination.port:
        made["port"] = {"number": destination.port}
    return made
