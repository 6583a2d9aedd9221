"""A lint rule about a corsPolicy that nothing can meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.routing import entries_for_preflights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.located_policy import LocatedPolicy
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import DocumentKey, NodePath

_REASONS: Final = {
    "earlier_rule": ("{} takes its requests first", "move the rule before that one"),
    "behind_catch_all": ("{} takes every request", "move the rule up"),
    "other_owner": ("sidecars read only {} for this host", "move the rule there"),
    "gateway": ("its match names the gateway {}, which spec.gateways does not", "add it there"),
}


def unreached_policies(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a corsPolicy on a rule that no request reaches."""
    if not mesh.policies:
        return
    for_preflights = set(entries_for_preflights(mesh))
    # an HTTPRoute's rule is one for each of its matches
    alive = {_policy(each) for each in mesh.policies if each.rule.key not in mesh.unreached}
    for located in mesh.policies:
        in_the_way = mesh.unreached.get(located.rule.key)
        if in_the_way is None or _policy(located) in alive:
            continue
        # of a dead rule for preflights there is another finding
        if any(entry.startswith(f"{located.rule.label} ") for entry in for_preflights):
            continue
        reason, hint = _REASONS[in_the_way.kind]
        other = in_the_way.label.partition(" ")[0] != located.document.label
        if in_the_way.kind == "earlier_rule" and (other or located.document.kind == "HTTPRoute"):
            # their order is not that of the file
            hint = "give one of them a narrower match"
        text = f"no request reaches this policy: {reason.format(in_the_way.label)}"
        yield Finding(located.place(), text, f"{hint}, or remove it")


def _policy(located: LocatedPolicy) -> tuple[DocumentKey, NodePath]:
    return located.rule.document, located.rule.path
