"""Rules as HTTPRoutes that send preflights to the pod: `virtual_services` for the Gateway API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeVar

from meshcors.mesh._analysis.http_route_cors import cors_filter, is_cors_origin
from meshcors.mesh._analysis.pod_traffic import http_route_traffic
from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh._documents.checks import CORS_METHODS
from meshcors.mesh._render.hosts import host_groups
from meshcors.mesh._render.names import named, suffixes
from meshcors.mesh._render.paths import rules_by_prefix
from meshcors.mesh._render.virtual_services import cors_policy
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from meshcors._policy.policy import Policy
    from meshcors._policy.rules import Rule, RuleSet
    from meshcors.mesh._render.names import Document, RouteNames

# What an HTTPRoute may have (apis/v1/httproute_types.go): rules, and hostnames. Of matches, a rule
# may have 64 now, and 8 in the first releases of v1.
_MOST_RULES: Final = 16
_MOST_HOSTNAMES: Final = 16
_MOST_MATCHES: Final = 8
# Of origins and of headers in a CORS filter.
_MOST_NAMES: Final = 64

_Item = TypeVar("_Item")


class UnsayableError(ValueError):
    """An HTTPRoute has no words for a policy; the message says for what."""


def http_routes(
    rules: RuleSet,
    names: RouteNames,
    *,
    responder: Literal["pod", "both"] = "pod",
    without_unmatched: Collection[str] = (),
) -> list[Document]:
    """Return the HTTPRoutes (gateway.networking.k8s.io/v1) of `rules`.

    They route what `virtual_services` routes. With the `responder` "both", the rules for preflights
    have a CORS filter, with which Envoy answers all of them. There is one HTTPRoute for each group
    of hosts, and more where one cannot hold all hosts and paths. Raises `UnsayableError` if a CORS
    filter cannot allow an origin, and `ValueError` if the pod's host is not that of a Service.
    """
    backend = {"backendRefs": [_backend(names)]}
    # Where each document begins: its hosts, its rules, and whether it is the first for its hosts.
    parts = [
        (hosts, made, at == 0)
        for group in host_groups(rules)
        for hosts in _chunks(group.hosts, _MOST_HOSTNAMES)
        for at, made in enumerate(
            _chunks(_preflight_rules(group.rules, responder, backend), _MOST_RULES - 1)
        )
    ]
    documents: list[Document] = []
    for (hosts, preflights, first), suffix in zip(parts, suffixes(parts), strict=True):
        metadata = names.metadata(suffix)
        made = list(preflights)
        if first and metadata["name"] not in without_unmatched:
            made.append({"matches": [{"path": _prefix("/")}], **backend})
        documents.append(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": metadata,
                "spec": {
                    "parentRefs": [_parent(names)],
                    **({} if hosts == ["*"] else {"hostnames": hosts}),
                    "rules": made,
                },
            }
        )
    return documents


def _preflight_rules(
    rules: Sequence[Rule], responder: Literal["pod", "both"], backend: Document
) -> list[Document]:
    """Return the rules for preflights: with a CORS filter, paths share one if their policies do."""
    paths_of: dict[Policy | None, list[str]] = {}
    for path, rule in rules_by_prefix(rules).items():
        policy = rule.policy if responder == "both" else None
        paths_of.setdefault(policy, []).append(path)
    return [
        {
            "matches": [_preflight(path) for path in some],
            **({"filters": [_cors(policy)]} if policy else {}),
            **http_route_traffic(),
            **backend,
        }
        for policy, paths in paths_of.items()
        for some in _chunks(paths, _MOST_MATCHES)
    ]


def _cors(policy: Policy) -> Document:
    """Return the filter that says what `cors_policy` says."""
    origins = [str(origin) for origin in policy.allow_origins]
    headers = cors_policy(policy)["allowHeaders"]
    for origin in origins:
        if not is_cors_origin(origin):
            raise UnsayableError(f"a CORS filter cannot allow the origin {origin}")
    for method in policy.allow_methods:
        if method not in CORS_METHODS:
            raise UnsayableError(f"a CORS filter cannot allow the method {method}")
    for names, what in ((origins, "origins"), (headers, "headers")):
        if len(names) > _MOST_NAMES:
            raise UnsayableError(f"a CORS filter allows at most {_MOST_NAMES} {what}")
    return cors_filter(
        origins,
        methods=policy.allow_methods,
        headers=headers,
        credentials=policy.allow_credentials,
        max_age=policy.max_age,
    )


def _preflight(path: str) -> Document:
    # "The header is present", as the Gateway API has to say it.
    asks = {"type": "RegularExpression", "name": REQUEST_METHOD, "value": ".+"}
    return {"path": _prefix(path), "method": "OPTIONS", "headers": [asks]}


def _prefix(path: str) -> Document:
    return {"type": "PathPrefix", "value": path}


def _parent(names: RouteNames) -> Document:
    namespace, _, name = names.gateway.rpartition("/")
    return named(name, namespace or None)


def _backend(names: RouteNames) -> Document:
    host, port = names.pod
    service = service_of_host(host)
    if service is None:
        raise ValueError(f"{host} is not the host of a Service")
    name, namespace = service
    return {**named(name, None if namespace == names.namespace else namespace), "port": port}


def _chunks(items: Sequence[_Item], length: int) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), length):
        yield items[start : start + length]
