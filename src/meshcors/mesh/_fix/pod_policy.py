"""The policy of the pod behind new rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors.mesh._analysis.http_route_cors import cors_origin
from meshcors.mesh._analysis.useless_names import useless_header, useless_method
from meshcors.mesh._documents.model import StringMatch
from meshcors.mesh._fix.errors import cannot_fix, listed
from meshcors.mesh._fix.narrowing import literal
from meshcors.mesh._fix.origins import closed_origins
from meshcors.mesh._fix.pod_loading import refuse_unloadable
from meshcors.mesh._fix.preflight_rule import preflight_policy
from meshcors.mesh._fix.rule_data import policy_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcors._policy.place import Place
    from meshcors.mesh._documents.model import CorsPolicy
    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.options import FixOptions


def pod_policy(blocked: Iterable[BlockedCalls], options: FixOptions) -> dict[str, Any] | None:
    """Return the policy file, as plain data, of a pod that allows all these calls.

    None if no pod answers, or there is nothing to answer. There are rules by host, if the hosts'
    policies differ.

    ``DocumentError`` is raised if origins have to be named, if one policy's credentials would be
    allowed to another one's origins, and if the pod would refuse the file.
    """
    blocked = tuple(blocked)
    if options.responder == "mesh" or not blocked:
        return None
    policies = {host: _policy(parts, options) for host, parts in _by_host(blocked).items()}
    first, *others = policies.values()
    made = first if all(other == first for other in others) else _rules(policies)
    refuse_unloadable(made, blocked, _origin)
    return made


def summed_policies(blocked: Iterable[BlockedCalls], options: FixOptions) -> list[str]:
    """Say which policies of one host differ: the pod allows what any of them does."""
    found: dict[tuple[Place, ...], None] = {}
    for parts in _by_host(blocked).values():
        places: dict[object, Place] = {}
        for own in (policy for part in parts for policy in part.policies):
            places.setdefault(_grants(own, options), own.place)
        if len(places) > 1:
            found[tuple(places.values())] = None
    return [f"the pod allows the sum of the policies at {listed(places)}" for places in found]


def _by_host(blocked: Iterable[BlockedCalls]) -> dict[str, list[BlockedCalls]]:
    found: dict[str, list[BlockedCalls]] = {}
    for each in blocked:
        for host in each.service.hosts:
            found.setdefault(host, []).append(each)
    return found


def _rules(policies: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return rules by host. The first one that covers a host decides, so exact hosts come first."""
    rules: list[dict[str, Any]] = []
    for host in sorted(policies, key=_breadth):
        same = (rule for rule in rules if _without_hosts(rule) == policies[host])
        # A wildcard among earlier hosts would take some of those between them.
        rule = None if "*" in host else next(same, None)
        if rule is not None:
            rule["hosts"].append(host)
        else:
            rules.append({**({} if host == "*" else {"hosts": [host]}), **policies[host]})
    return {"rules": rules}


def _breadth(host: str) -> tuple[bool, int]:
    return (True, -len(host)) if host.startswith("*") else (False, 0)


def _without_hosts(rule: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in rule.items() if name != "hosts"}


def _policy(parts: list[BlockedCalls], options: FixOptions) -> dict[str, Any]:
    """Return one policy for calls to the same host."""
    found = [preflight_policy(inner, options) for each in parts for inner in each.by_policy()]
    _refuse_mixed(found, parts)
    names = list(dict.fromkeys(name for part in parts for name in part.names))
    is_key = len(names) == 1 and not any(_is_optional(part, options) for part in parts)
    key = names[0] if is_key else None
    allowed = policy_data(_union(found))
    allowed.pop("unmatchedPreflights", None)
    allowed["allowOrigins"] = list(
        dict.fromkeys(_origin(each) for policy in found for each in policy.allow_origins)
    )
    headers = [*allowed.get("allowHeaders", ()), *names]
    headers = [each for each in dict.fromkeys(headers) if each not in _ALWAYS and each != key]
    # Envoy answers * with the names that were asked for, and for a browser * has an exception.
    allowed["allowHeaders"] = ["*", "authorization"] if "*" in headers else headers
    if "*" in allowed["allowOrigins"]:
        allowed["allowOrigins"] = ["*"]
    cors = {
        field: [_origin_data(text) for text in value] if field == "allowOrigins" else value
        for field, value in allowed.items()
        if value
    }
    return {"corsPolicy": cors, **({"key": {"header": key}} if key else {})}


def _refuse_mixed(found: list[CorsPolicy], parts: list[BlockedCalls]) -> None:
    """Raise ``DocumentError`` if an origin would get the credentials of another one's policy."""
    trusted = {_origin(it) for each in found if each.allow_credentials for it in each.allow_origins}
    if not trusted or all(_origin(it) in trusted for each in found for it in each.allow_origins):
        return
    policies = (policy for part in parts for policy in part.policies)
    place = next((it.place for it in policies if not it.allow_credentials), parts[0].service.place)
    message = (
        "another policy of this host allows credentials, and the pod would allow them to the"
        " origins of this policy too"
    )
    raise cannot_fix(place, message, "use --with mesh, which writes a rule for each policy")


def _is_optional(part: BlockedCalls, options: FixOptions) -> bool:
    """Tell whether a rule takes the same URLs without the headers that the calls are routed by."""
    routes = (lost.answer.route for lost in part.calls)
    return any(
        route.is_forward and all(to.host != options.pod[0] for to in route.source.route)
        for route in routes
        if route is not None
    )


def _grants(policy: CorsPolicy, options: FixOptions) -> object:
    """Return what a policy allows, as far as it matters."""
    return (
        frozenset(closed_origins(policy, options)),
        frozenset(name for name in policy.allow_methods if not useless_method(name)),
        frozenset(
            name.lower()
            for name in policy.allow_headers
            if not useless_header(name) and name.lower() not in _ALWAYS
        ),
    )


# The pod allows these without being told.
_ALWAYS: Final = frozenset(SAFELISTED_REQUEST_HEADERS)


def _union(policies: list[CorsPolicy]) -> CorsPolicy:
    first = policies[0]
    ages = [policy.max_age for policy in policies if policy.max_age is not None]
    methods = dict.fromkeys(name for policy in policies for name in policy.allow_methods)
    headers = dict.fromkeys(name for policy in policies for name in policy.allow_headers)
    return replace(
        first,
        allow_methods=("*",) if "*" in methods else tuple(methods),
        allow_headers=("*",) if "*" in headers else tuple(headers),
        allow_credentials=any(policy.allow_credentials for policy in policies) or None,
        max_age=min(ages) if ages else None,
    )


def _origin(match: StringMatch) -> str:
    """Return an origin or a pattern as the pod's flags spell it."""
    if match.kind == "prefix":
        return f"regex:{literal(match.value)}.*"
    pattern = cors_origin(match) if match.kind == "regex" else match.value
    return pattern or f"regex:{match.value}"


def _origin_data(text: str) -> str | dict[str, str]:
    return {"regex": text.removeprefix("regex:")} if text.startswith("regex:") else text
