"""A second VirtualService for preflights, beside one that a controller overwrites."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshcors.mesh._analysis.mesh_documents import MeshDocuments, read_mesh
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._fix.blocked_calls import blocked_calls
from meshcors.mesh._fix.edited_mesh import with_new_rules
from meshcors.mesh._fix.errors import cannot_fix
from meshcors.mesh._fix.file import read_file
from meshcors.mesh._fix.in_place import comment, prove
from meshcors.mesh._fix.options import FixResult
from meshcors.mesh._fix.origins import refuse_open_origins
from meshcors.mesh._fix.plan import planned
from meshcors.mesh._fix.rule_data import rule_data
from meshcors.mesh._fix.unread import refuse_unread
from meshcors.mesh._fix.yaml_text import Style, block

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcors.mesh._documents.model import DocumentKey, VirtualService
    from meshcors.mesh._fix.edited_mesh import NewRules
    from meshcors.mesh._fix.options import FixOptions
    from meshcors.mesh._fix.plan import Plan


def separate(text: str, name: str, options: FixOptions) -> FixResult:
    """Return a second file that takes the preflights for the VirtualServices of the first.

    It is for VirtualServices that a controller overwrites. Raises as `fix` does, and if a rule of
    the first file would take preflights before the second file can.
    """
    file = read_file(text, name)
    file.refuse_if_empty()
    return separate_mesh(file.mesh, f"{name} (second)", options)


def separate_mesh(mesh: MeshDocuments, made_name: str, options: FixOptions) -> FixResult:
    """Return what `separate` does for files that are read; ``made_name`` is the new file's."""
    refuse_open_origins(mesh, options)
    for service in (each.service for each in blocked_calls(mesh)):
        if set(service.gateways) == {MESH}:
            raise cannot_fix(service.place, "sidecars do not merge the VirtualServices of one host")
    plan = planned(mesh, blocked_calls(mesh), options, _beside)
    if not plan.rules:
        return FixResult({made_name: ""}, (), mesh, tuple(plan.notes))
    made = "---\n".join(_text(plan, each) for each in plan.services)
    new = read_mesh({made_name: made})
    if new.problems:
        raise DocumentError(new.problems)
    after = MeshDocuments(
        (*new.documents, *mesh.documents), mesh.others, {**new.texts, **mesh.texts}, mesh.problems
    )
    refuse_unread(mesh, plan.services)
    prove(mesh, after, plan)
    return FixResult({made_name: made}, plan.blocked, after, tuple(plan.notes))


def _beside(mesh: MeshDocuments, new: Mapping[DocumentKey, NewRules]) -> MeshDocuments:
    """Return the documents together with second ones for new rules, as `with_rules` does."""
    found: list[VirtualService] = []
    for each in mesh.documents:
        if each.key not in new:
            continue
        empty = replace(
            each, name=_name(each), http=(), created="", gateways=tuple(_gateways(each).values())
        )
        found.append(with_new_rules(empty, new[each.key]))
    return MeshDocuments((*found, *mesh.documents), mesh.others, mesh.texts)


def _name(service: VirtualService) -> str:
    return f"{service.name}-preflight"


def _gateways(service: VirtualService) -> dict[str, str]:
    """Return the gateways as written, each with its whole name."""
    # A name without a namespace stays without one.
    written = [item.value for item in service.node_at("spec", "gateways").value]
    pairs = zip(written, service.gateways, strict=True)
    return {name: whole for name, whole in pairs if whole != MESH}


def _text(plan: Plan, service: VirtualService) -> str:
    """Return the text of the second VirtualService."""
    rules = plan.rules[service.key]
    last = [plan.unmatched[service.key]] if service.key in plan.unmatched else []
    metadata = {"name": _name(service)}
    if service.node_at("metadata", "namespace") is not None:
        metadata["namespace"] = service.namespace
    data: dict[str, Any] = {
        "apiVersion": service.node_at("apiVersion").value,
        "kind": "VirtualService",
        "metadata": metadata,
        "spec": {
            "gateways": list(_gateways(service)),
            "hosts": list(service.hosts),
            "http": [rule_data(rule) for rule in (*(rule for _, rule in rules), *last)],
        },
    }
    lines = [f"# {comment(blocked)}" for blocked, _ in rules]
    lines[-1] += f" {service.label} is left as it is."
    return "\n".join([*lines, *block(data, 0, Style(flow=False))]) + "\n"
