"""A second VirtualService for preflights, beside one that a controller overwrites."""

from __future__ import annotations

from typing import Any

from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._documents.reading import read_objects
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._fix.blocked_calls import BlockedCalls, blocked_calls
from meshcors.mesh._fix.errors import cannot_fix
from meshcors.mesh._fix.file import read_file
from meshcors.mesh._fix.in_place import comment
from meshcors.mesh._fix.options import FixOptions, FixResult
from meshcors.mesh._fix.origins import refuse_open_origins
from meshcors.mesh._fix.preflight_rule import preflight_rule
from meshcors.mesh._fix.yaml_text import Style, block


def separate(text: str, name: str, options: FixOptions) -> FixResult:
    """Return a second file that takes the preflights for the VirtualServices of the first.

    It is for VirtualServices that a controller overwrites. Raises as `fix` does, and if a rule of
    the first file would take preflights before the second file can.
    """
    file = read_file(text, name)
    file.refuse_if_empty()
    refuse_open_origins(file.mesh, options)
    blocked = blocked_calls(file.mesh)
    if not blocked:
        return FixResult("", (), file.mesh)
    made = "---\n".join(_second(each, options) for each in blocked)
    made_name = f"{name} (second)"
    documents = read_objects(made, made_name).checked().documents
    both = MeshDocuments(
        (*documents, *file.mesh.documents), file.mesh.others, {made_name: made, name: text}
    )
    for left in blocked_calls(both):
        call = left.calls[0]
        taker = call.preflight_answer.rule
        reason = "no rule would take its preflights"
        if taker:
            reason = f"{taker} takes preflights before another VirtualService can"
        raise cannot_fix(call.route.place, reason)
    return FixResult(made, tuple(blocked), both)


def _second(blocked: BlockedCalls, options: FixOptions) -> str:
    """Return the text of the second VirtualService."""
    service = blocked.service
    if set(service.gateways) == {MESH}:
        raise cannot_fix(service.place, "sidecars do not merge the VirtualServices of one host")
    metadata = {"name": f"{service.name}-preflight"}
    if service.node_at("metadata", "namespace") is not None:
        metadata["namespace"] = service.namespace
    # As written: a name without a namespace stays without one.
    gateways = [item.value for item in service.node_at("spec", "gateways").value]
    data: dict[str, Any] = {
        "apiVersion": service.node_at("apiVersion").value,
        "kind": "VirtualService",
        "metadata": metadata,
        "spec": {
            "gateways": [gateway for gateway in gateways if gateway != MESH],
            "hosts": list(service.hosts),
            "http": [preflight_rule(blocked, options)],
        },
    }
    lines = [f"# {comment(blocked)} {service.label} is left as it is."]
    return "\n".join([*lines, *block(data, 0, Style(flow=False))]) + "\n"
