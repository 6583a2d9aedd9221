"""Rules as VirtualServices that send preflights to the pod.

The documents leave the services' own routes to others, which belong to the same host and gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._render.hosts import host_groups
from meshcors.mesh._render.names import suffixes
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD

if TYPE_CHECKING:
    from meshcors._policy.policy import Policy
    from meshcors._policy.rules import Rule, RuleSet
    from meshcors.mesh._render.names import Document


def virtual_services(
    rules: RuleSet,
    *,
    name: str,
    gateway: str,
    pod: tuple[str, int],
    responder: Literal["pod", "both"],
) -> list[Document]:
    """Return the VirtualServices (networking.istio.io/v1) of `rules`, one for each group of hosts.

    They are called `name`, with a number if there are several, and bound to `gateway`. They route
    preflights, and requests that no other rule of the host takes, to `pod` (host and port). With
    the `responder` "both", the rules for preflights have a corsPolicy, so that Envoy answers
    allowed origins itself.
    """
    groups = host_groups(rules)
    route: Document = {"route": [{"destination": {"host": pod[0], "port": {"number": pod[1]}}}]}
    documents: list[Document] = []
    for group, suffix in zip(groups, suffixes(groups), strict=True):
        preflights: list[Document] = []
        unmatched: list[Document] = []
        for rule, number in zip(group.rules, suffixes(group.rules), strict=True):
            paths = _paths(rule)
            asks = {"method": {"exact": "OPTIONS"}, "headers": {REQUEST_METHOD: {}}}
            preflight: Document = {
                "name": f"preflight{number}",
                "match": [{**asks, **it} for it in paths],
            }
            if responder == "both":
                preflight["corsPolicy"] = cors_policy(rule.policy)
            preflights.append({**preflight, **route})
            match = {"match": paths} if any(paths) else {}
            unmatched.append({"name": f"unmatched{number}", **match, **route})
        documents.append(
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": {"name": name + suffix},
                "spec": {
                    "hosts": group.hosts,
                    "gateways": [gateway],
                    "http": [*preflights, *unmatched],
                },
            }
        )
    return documents


def cors_policy(policy: Policy) -> Document:
    """Return `policy` as Istio's corsPolicy.

    Envoy checks less than meshcors: neither the method nor the headers, and it sends no Vary. Names
    that meshcors always allows are written out for it: the key's header and the safelisted ones.
    """
    names = [*policy.allow_headers, *([policy.key.name] if policy.key else [])]
    made: Document = {
        "allowOrigins": [dict([origin_match(str(origin))]) for origin in policy.allow_origins],
        "allowMethods": list(policy.allow_methods),
        "allowHeaders": list(dict.fromkeys([*names, *SAFELISTED_REQUEST_HEADERS])),
        "exposeHeaders": list(policy.expose_headers),
        "allowCredentials": policy.allow_credentials,
        "maxAge": None if policy.max_age is None else f"{policy.max_age}s",
        "unmatchedPreflights": "FORWARD",
    }
    return {name: value for name, value in made.items() if value not in ([], False, None)}


def _paths(rule: Rule) -> list[Document]:
    """Return the conditions for a rule's paths: Istio's prefixes do not end at whole segments."""
    prefix = rule.path_prefix
    if prefix == "/":
        return [{}]
    return [{"uri": {"exact": prefix}}, {"uri": {"prefix": f"{prefix}/"}}]
