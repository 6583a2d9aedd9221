"""How gateways connect to the pod, as a DestinationRule beside the VirtualServices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors.mesh._analysis.pod_traffic import traffic_policy
from meshcors.mesh._analysis.service_host import full_host, service_of_host
from meshcors.mesh._render.names import named

if TYPE_CHECKING:
    from meshcors.mesh._render.names import Document, RouteNames


def destination_rule(names: RouteNames) -> Document:
    """Return the DestinationRule (networking.istio.io/v1) for the pod's host.

    It is in the namespace of the pod's Service, where Istio looks for it whoever calls.
    """
    host = names.pod[0]
    service = service_of_host(host)
    namespace = service[1] if service and service[1] else names.namespace
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": named(service[0] if service else names.name, namespace),
        "spec": {"host": full_host(host), "trafficPolicy": traffic_policy()},
    }
