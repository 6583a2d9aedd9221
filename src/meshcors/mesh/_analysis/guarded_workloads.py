"""Which workloads an object of Istio's is for: the pods of a gateway, or those of a service.

What the files do not say, such as the labels of pods, leaves it open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh._analysis.untyped_objects import (
    fields_of,
    group_and_kind,
    items_of,
    text_of,
    value_at,
)
from meshcors.mesh._documents.virtual_service import MESH

if TYPE_CHECKING:
    from meshcors.mesh._analysis.authorization import Holds
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._routing.gateway import Gateway, GatewayAnswer

_ROOT_NAMESPACE: Final = "istio-system"
_GATEWAY_NAME: Final = "gateway.networking.k8s.io/gateway-name"


def applies_to_gateway(other: Cursor, mesh: MeshDocuments, gateway: Gateway) -> Holds:
    """Tell whether an object is for the pods of a gateway, as far as the files tell."""
    named = targets(other)
    if named:
        is_named = ("Gateway", gateway.name) in named
        return "always" if is_named else "maybe" if _is_class(named) else "never"
    if labels := _labels(other):
        return _selects(labels, mesh, gateway)
    namespace = namespace_of(other)
    if namespace == _ROOT_NAMESPACE:
        return "always"
    if gateway.name == MESH or namespace != gateway.name.partition("/")[0]:
        return "never"
    # a Gateway may be in the namespace of its routes, far from the pods that it selects
    bound = [each for each in mesh.documents if gateway.name in each.gateways]
    return "maybe" if any(each.namespace == namespace for each in bound) else "always"


def _selects(labels: dict[str, str], mesh: MeshDocuments, gateway: Gateway) -> Holds:
    own_name = gateway.name.partition("/")[2]
    pods = {_GATEWAY_NAME: own_name} if _GATEWAY_NAME in labels else _selector(mesh, gateway)
    if pods:
        if any(pods.get(name, value) != value for name, value in labels.items()):
            return "never"
        return "always" if labels.keys() <= pods.keys() else "maybe"
    text = " ".join(f"{name}={value}" for name, value in labels.items())
    return "always" if "gateway" in text and "egress" not in text else "never"


def _selector(mesh: MeshDocuments, gateway: Gateway) -> dict[str, str]:
    """Return the labels that the Istio Gateway of this name selects its pods by, if it is given."""
    for other in mesh.others:
        if group_and_kind(other) == ("networking.istio.io", "Gateway"):
            name = f"{namespace_of(other)}/{text_of(value_at(other, 'metadata', 'name'))}"
            if name == gateway.name:
                selector = fields_of(value_at(other, "spec", "selector"))
                return {label: text_of(value) for label, value in selector.items()}
    return {}


def namespace_of(other: Cursor) -> str:
    return text_of(value_at(other, "metadata", "namespace")) or "default"


def applies_to_service(other: Cursor, service: str) -> bool:
    """Tell whether an object may be for the pods of a service, named ``namespace/name``.

    Those of the root namespace are for gateways too. Labels are those of the service's pods if they
    have its name.
    """
    namespace, _, name = service.partition("/")
    if named := targets(other):
        return ("Service", service) in named
    return namespace_of(other) == namespace and (
        not (labels := _labels(other)) or name in labels.values()
    )


def service_of(answer: GatewayAnswer) -> str:
    """Return the service that a forwarded request goes to, as ``namespace/name``; else ``""``."""
    if answer.destination is None or answer.route is None:
        return ""
    found = service_of_host(answer.destination.rpartition(":")[0])
    if found is None:
        return ""
    name, namespace = found
    return f"{namespace or answer.route.document.namespace}/{name}"


def targets(other: Cursor) -> list[tuple[str, str]]:
    """Return the kinds and names of what an object refers to in its own namespace."""
    spec = value_at(other, "spec")
    targets = [value_at(spec, "targetRef"), *items_of(value_at(spec, "targetRefs"))]
    return [
        (
            text_of(value_at(each, "kind")),
            f"{namespace_of(other)}/{text_of(value_at(each, 'name'))}",
        )
        for each in targets
        if each
    ]


def _is_class(named: list[tuple[str, str]]) -> bool:
    return any(kind == "GatewayClass" for kind, _ in named)


def _labels(other: Cursor) -> dict[str, str]:
    return {
        name: text_of(value)
        for path in (("selector", "matchLabels"), ("workloadSelector", "labels"))
        for name, value in fields_of(value_at(other, "spec", *path)).items()
    }
