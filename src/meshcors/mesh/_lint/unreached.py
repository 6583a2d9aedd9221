"""A lint rule about a corsPolicy that nothing can meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.unreached_rules import rule_key
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.routing import entries_for_preflights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

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
    for located in mesh.policies:
        in_the_way = mesh.unreached.get(rule_key(located.document, located.rule))
        # of a dead rule for preflights there is another finding
        label = located.rule.label
        if in_the_way is None or any(entry.startswith(f"{label} ") for entry in for_preflights):
            continue
        reason, hint = _REASONS[in_the_way.kind]
        text = f"no request reaches this policy: {reason.format(in_the_way.label)}"
        yield Finding(located.place(), text, f"{hint}, or remove it")
