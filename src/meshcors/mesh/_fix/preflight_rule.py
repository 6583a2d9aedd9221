"""The rule that takes preflights, as plain data: what it matches, what it allows, where it goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshcors._policy.headers import SAFELISTED_METHODS
from meshcors._policy.max_age import LARGEST_USEFUL_MAX_AGE
from meshcors.mesh._analysis.useless_names import useless_header, useless_method
from meshcors.mesh._fix.origins import allowed_origins
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD

if TYPE_CHECKING:
    from meshcors.mesh._documents.model import Destination, HttpMatch, StringMatch
    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.options import FixOptions


def preflight_rule(blocked: BlockedCalls, options: FixOptions) -> dict[str, Any]:
    """Return the rule; ``DocumentError`` if it is unclear which origins to allow."""
    names = {rule.name for rule in blocked.service.http}
    free = (f"preflight{number}" for number in ("", *(f"-{n}" for n in range(2, 10_000))))
    rule: dict[str, Any] = {"name": next(name for name in free if name not in names)}
    rule["match"] = _matches(blocked)
    if options.responder != "pod":
        rule["corsPolicy"] = preflight_policy(blocked, options)
    if options.responder == "mesh":
        # Envoy answers preflights itself, but only on a rule that routes somewhere.
        destination = _destination(blocked.calls[0].route.source.route[0])
    else:
        host, port = options.pod
        destination = {"host": host, "port": {"number": port}}
    rule["route"] = [{"destination": destination}]
    return rule


def preflight_policy(blocked: BlockedCalls, options: FixOptions) -> dict[str, Any]:
    """Return the corsPolicy with which Envoy answers the preflights of these calls.

    ``DocumentError`` if it is unclear which origins to allow.
    """
    policies = blocked.policies
    methods = [method for policy in policies for method in policy.allow_methods]
    methods += [each.call.method for each in blocked.calls]
    headers = [name.lower() for policy in policies for name in policy.allow_headers]
    headers += [*([] if policies else ["content-type"]), *blocked.names]
    made: dict[str, Any] = {
        "allowOrigins": [{kind: value} for kind, value in allowed_origins(blocked, options)],
        "allowMethods": _union([name for name in methods if not useless_method(name)]),
        "allowHeaders": _union([name for name in headers if not useless_header(name)]),
    }
    if any(policy.allow_credentials for policy in policies):
        made["allowCredentials"] = True
    ages = [policy.max_age for policy in policies if policy.max_age is not None]
    if ages:
        made["maxAge"] = _duration(min(*ages, LARGEST_USEFUL_MAX_AGE))
    made["unmatchedPreflights"] = "IGNORE" if options.responder == "mesh" else "FORWARD"
    return {name: value for name, value in made.items() if value != []}


def _union(names: list[str]) -> list[str]:
    if "*" in names:
        return ["*"]
    return [name for name in dict.fromkeys(names) if name not in SAFELISTED_METHODS]


def _duration(seconds: int) -> str:
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _matches(blocked: BlockedCalls) -> list[dict[str, Any]]:
    """Return the match entries: the conditions that a preflight shares with the calls."""
    entries = {
        (rule.path, match.place): match for rule in blocked.service.http for match in rule.match
    }
    found: dict[str, dict[str, Any]] = {}
    for call in blocked.calls:
        match = entries.get((call.route.source.path, call.route.place))
        shared = _shared(match) if match else {}
        entry = {**shared, "method": {"exact": "OPTIONS"}, "headers": {REQUEST_METHOD: {}}}
        if not shared:
            return [entry]
        found.setdefault(json.dumps(shared, sort_keys=True), entry)
    return list(found.values())


def _shared(match: HttpMatch) -> dict[str, Any]:
    """Return the conditions that a preflight meets if and only if its call does."""
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
    }
    return {name: value for name, value in made.items() if value}


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
