"""Rules as VirtualServices that send preflights to the pod.

The documents leave the services' own routes to others, which belong to the same host and gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._analysis.pod_traffic import virtual_service_traffic
from meshcors.mesh._analysis.service_host import full_host
from meshcors.mesh._render.hosts import host_groups
from meshcors.mesh._render.names import suffixes
from meshcors.mesh._render.paths import rules_by_prefix
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD

if TYPE_CHECKING:
    from collections.abc import Collection

    from meshcors._policy.policy import Policy
    from meshcors._policy.rules import RuleSet
    from meshcors.mesh._render.names import Document, RouteNames


def virtual_services(
    rules: RuleSet,
    names: RouteNames,
    *,
    responder: Literal["pod", "both"],
    without_unmatched: Collection[str] = (),
) -> list[Document]:
    """Return the VirtualServices (networking.istio.io/v1) of `rules`, one for each group of hosts.

    They route preflights for the rules' paths, and whatever no other rule of the host takes, to the
    pod. The documents whose names are in `without_unmatched` route preflights only. With the
    `responder` "both", the rules for preflights have a corsPolicy, so that Envoy answers allowed
    origins itself.
    """
    groups = host_groups(rules)
    host, port = names.pod
    to = {"host": full_host(host), "port": {"number": port}}
    route: Document = {"route": [{"destination": to}]}
    documents: list[Document] = []
    for group, suffix in zip(groups, suffixes(groups), strict=True):
        metadata = names.metadata(suffix)
        http: list[Document] = []
        by_prefix = rules_by_prefix(group.rules)
        for (prefix, rule), number in zip(by_prefix.items(), suffixes(by_prefix), strict=True):
            made: Document = {"name": f"preflight{number}", "match": _preflights(prefix)}
            if responder == "both":
                made["corsPolicy"] = cors_policy(rule.policy)
            http.append({**made, **virtual_service_traffic(), **route})
        if metadata["name"] not in without_unmatched:
            # Without a match, so Istio puts it behind the rules of every document.
            http.append({"name": "unmatched", **route})
        documents.append(
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": metadata,
                "spec": {"hosts": group.hosts, "gateways": [names.gateway], "http": http},
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


def _preflights(prefix: str) -> list[Document]:
    """Return the matches of preflights for a path: Istio's prefixes are not whole segments."""
    asks = {"method": {"exact": "OPTIONS"}, "headers": {REQUEST_METHOD: {}}}
    if prefix == "/":
        return [asks]
    return [{**asks, "uri": uri} for uri in ({"exact": prefix}, {"prefix": f"{prefix}/"})]
