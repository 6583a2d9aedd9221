"""How Envoy Gateway treats the pod, as a BackendTrafficPolicy for the HTTPRoutes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors.mesh._analysis.pod_traffic import backend_traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._render.names import Document, RouteNames


def backend_traffic_policy(names: RouteNames, routes: Iterable[Document]) -> Document:
    """Return the BackendTrafficPolicy (gateway.envoyproxy.io/v1alpha1) for the HTTPRoutes `routes`.

    It is in their namespace: the API has no words for a route in another one.
    """
    group = "gateway.networking.k8s.io"
    targets = [
        {"group": group, "kind": each["kind"], "name": each["metadata"]["name"]} for each in routes
    ]
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "BackendTrafficPolicy",
        "metadata": names.metadata(""),
        "spec": {"targetRefs": targets, **backend_traffic()},
    }
