"""Rules as HTTPRoutes that send preflights to the pod: `virtual_services` for the Gateway API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors.mesh._render.hosts import host_groups
from meshcors.mesh._render.names import suffixes
from meshcors.mesh._routing.cors_filter import REQUEST_METHOD

if TYPE_CHECKING:
    from meshcors._policy.rules import RuleSet
    from meshcors.mesh._render.names import Document


def http_routes(rules: RuleSet, *, name: str, gateway: str, pod: tuple[str, int]) -> list[Document]:
    """Return the HTTPRoutes (gateway.networking.k8s.io/v1) of `rules`, one for each group of hosts.

    The options are those of `virtual_services`; HTTPRoutes have no corsPolicy, so the pod answers.
    """
    groups = host_groups(rules)
    backend: Document = {"backendRefs": [{"name": pod[0], "port": pod[1]}]}
    # "The header is present", as the Gateway API has to say it.
    asks = {"type": "RegularExpression", "name": REQUEST_METHOD, "value": ".+"}
    documents: list[Document] = []
    for group, suffix in zip(groups, suffixes(groups), strict=True):
        paths = [{"type": "PathPrefix", "value": rule.path_prefix} for rule in group.rules]
        preflights = [
            {"matches": [{"path": path, "method": "OPTIONS", "headers": [asks]}], **backend}
            for path in paths
        ]
        unmatched = [{"matches": [{"path": path}], **backend} for path in paths]
        hostnames = {} if group.hosts == ["*"] else {"hostnames": group.hosts}
        documents.append(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": name + suffix},
                "spec": {
                    "parentRefs": [{"name": gateway}],
                    **hostnames,
                    "rules": [*preflights, *unmatched],
                },
            }
        )
    return documents
