"""Rules as HTTPRoutes that send preflights to the pod: `virtual_services` for the Gateway API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh._render.hosts import host_groups
from meshcors.mesh._render.names import named, suffixes
from meshcors.mesh._render.paths import rules_by_prefix
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from meshcors._policy.rules import RuleSet
    from meshcors.mesh._render.names import Document, RouteNames

# What an HTTPRoute may have (apis/v1/httproute_types.go): rules, and hostnames. Of matches, a rule
# may have 64 now, and 8 in the first releases of v1.
_MOST_RULES: Final = 16
_MOST_HOSTNAMES: Final = 16
_MOST_MATCHES: Final = 8

_Item = TypeVar("_Item")


def http_routes(
    rules: RuleSet, names: RouteNames, *, without_unmatched: Collection[str] = ()
) -> list[Document]:
    """Return the HTTPRoutes (gateway.networking.k8s.io/v1) of `rules`.

    They route what `virtual_services` routes; HTTPRoutes have no corsPolicy, so the pod answers.
    There is one for each group of hosts, and more where one cannot hold all hosts and paths.
    Raises `ValueError` if the pod's host is not that of a Service.
    """
    # Where each document begins: its hosts, its paths, and whether it is the first for its hosts.
    parts = [
        (hosts, paths, at == 0)
        for group in host_groups(rules)
        for hosts in _chunks(group.hosts, _MOST_HOSTNAMES)
        for at, paths in enumerate(
            _chunks(list(rules_by_prefix(group.rules)), (_MOST_RULES - 1) * _MOST_MATCHES)
        )
    ]
    backend = {"backendRefs": [_backend(names)]}
    documents: list[Document] = []
    for (hosts, paths, first), suffix in zip(parts, suffixes(parts), strict=True):
        metadata = names.metadata(suffix)
        made = [
            {"matches": [_preflight(path) for path in some], **backend}
            for some in _chunks(paths, _MOST_MATCHES)
        ]
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
