"""Objects that apply CORS to routes and are not modelled: Envoy Gateway's SecurityPolicies.

Source: ``api/v1alpha1/securitypolicy_types.go`` of envoyproxy/gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.guarded_workloads import namespace_of, targets
from meshcors.mesh._analysis.untyped_objects import group_and_kind, items_of, text_of, value_at
from meshcors.mesh._routing.doubts import Doubt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._routing.gateway import GatewayAnswer

_KIND: Final = ("gateway.envoyproxy.io", "SecurityPolicy")


def cors_doubts(mesh: MeshDocuments, answer: GatewayAnswer, gateway: str) -> Iterator[Doubt]:
    """Yield a doubt for each object that applies CORS to the route of an answer."""
    if answer.route is None or answer.route.document.kind != "HTTPRoute":
        return
    document = answer.route.document
    names = {"HTTPRoute": f"{document.namespace}/{document.name}", "Gateway": gateway}
    for other in mesh.others:
        cors = value_at(other, "spec", "cors")
        if group_and_kind(other) != _KIND or cors is None:
            continue
        label = (
            f"SecurityPolicy {namespace_of(other)}/{text_of(value_at(other, 'metadata', 'name'))}"
        )
        if any(names.get(kind) == name for kind, name in targets(other)):
            yield Doubt(cors.place, label, "applies CORS here and is not modelled")
        elif _may_select(other, names):
            yield Doubt(cors.place, label, "may apply CORS here and is not modelled")


def _may_select(other: Cursor, names: dict[str, str]) -> bool:
    """Tell whether an object selects its targets by labels, in the namespace of one of these."""
    selectors = items_of(value_at(other, "spec", "targetSelectors"))
    kinds = [text_of(value_at(each, "kind")) for each in selectors]
    return any(names.get(kind, "").startswith(f"{namespace_of(other)}/") for kind in kinds)
