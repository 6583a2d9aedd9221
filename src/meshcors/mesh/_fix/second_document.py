"""A second document for preflights, beside one that a controller overwrites."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshcors.mesh._analysis.mesh_documents import MeshDocuments, read_mesh
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._documents.yaml_nodes import plain_data
from meshcors.mesh._fix.blocked_calls import blocked_calls
from meshcors.mesh._fix.edited_mesh import with_closed_origins, with_new_rules
from meshcors.mesh._fix.errors import cannot_fix, refuse_running
from meshcors.mesh._fix.file import read_file
from meshcors.mesh._fix.http_route_limits import refuse_beyond_limits
from meshcors.mesh._fix.in_place import comment, prove
from meshcors.mesh._fix.options import FixResult
from meshcors.mesh._fix.origins import refuse_open_origins
from meshcors.mesh._fix.plan import planned
from meshcors.mesh._fix.pod_policy import pod_policy, summed_policies
from meshcors.mesh._fix.unread import refuse_unread
from meshcors.mesh._fix.yaml_text import Style, block

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcors.mesh._documents.model import DocumentKey, VirtualService
    from meshcors.mesh._fix.edited_mesh import NewRules
    from meshcors.mesh._fix.options import FixOptions
    from meshcors.mesh._fix.plan import Plan


def separate(text: str, name: str, options: FixOptions) -> FixResult:
    """Return a second file that takes the preflights for the documents of the first.

    It is for documents that a controller overwrites. Raises as `fix` does, and if a rule of
    the first file would take preflights before the second file can.
    """
    file = read_file(text, name)
    file.refuse_if_empty()
    return separate_mesh(file.mesh, lambda _: f"{name} (second)", options)


def separate_mesh(
    mesh: MeshDocuments, name_of: Callable[[str], str], options: FixOptions
) -> FixResult:
    """Return what `separate` does for files that are read, a second file for each that needs one.

    ``name_of`` returns the name of the second file for that of the first.
    """
    refuse_running(mesh.documents)
    refuse_open_origins(mesh, options)
    # Who may call is for the first file to say: the second one closes what is open.
    before = with_closed_origins(mesh, options)
    blocked = blocked_calls(before)
    for each in blocked:
        if set(each.service.gateways) == {MESH}:
            message = "sidecars do not merge the VirtualServices of one host"
            raise cannot_fix(each.service.place, message)
    pod = pod_policy(blocked, options)
    plan = planned(before, blocked, options, _beside)
    plan.notes += summed_policies(blocked, options) if pod else ()
    texts: dict[str, list[str]] = {}
    for service in plan.services:
        texts.setdefault(name_of(service.place.file), []).append(_text(plan, service))
    made = {name: "---\n".join(parts) for name, parts in texts.items()}
    new = read_mesh(made)
    if new.problems:
        raise DocumentError(new.problems)
    refuse_unread(mesh, plan.services)
    refuse_beyond_limits(new.documents)
    prove(before, _together(new, before), plan)
    return FixResult(made, plan.blocked, _together(new, mesh), tuple(plan.notes), pod)


def _together(new: MeshDocuments, mesh: MeshDocuments) -> MeshDocuments:
    return MeshDocuments(
        (*new.documents, *mesh.documents), mesh.others, {**new.texts, **mesh.texts}, mesh.problems
    )


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
    if service.kind == "HTTPRoute":
        return dict(zip(service.gateways, service.gateways, strict=True))
    # A name without a namespace stays without one.
    written = [item.value for item in service.node_at("spec", "gateways").value]
    pairs = zip(written, service.gateways, strict=True)
    return {name: whole for name, whole in pairs if whole != MESH}


def _where(service: VirtualService) -> dict[str, Any]:
    """Return the hosts and gateways of a document, as it spells them."""
    if service.kind == "VirtualService":
        return {"gateways": list(_gateways(service)), "hosts": list(service.hosts)}
    fields = ("parentRefs", "hostnames")
    nodes = {field: service.node_at("spec", field) for field in fields}
    return {field: plain_data(node) for field, node in nodes.items() if node is not None}


def _text(plan: Plan, service: VirtualService) -> str:
    """Return the text of the second document."""
    rules = plan.rules[service.key]
    last = [plan.unmatched[service.key]] if service.key in plan.unmatched else []
    made = [plan.written(rule, service) for rule in (*(rule for _, rule in rules), *last)]
    metadata = {"name": _name(service)}
    if service.node_at("metadata", "namespace") is not None:
        metadata["namespace"] = service.namespace
    data: dict[str, Any] = {
        "apiVersion": service.node_at("apiVersion").value,
        "kind": service.kind,
        "metadata": metadata,
        "spec": {**_where(service), service.rules_field: made},
    }
    lines = [f"# {comment(blocked, rule)}" for blocked, rule in rules]
    lines[-1] += f" {service.label} is left as it is."
    return "\n".join([*lines, *block(data, 0, Style(flow=False))]) + "\n"
