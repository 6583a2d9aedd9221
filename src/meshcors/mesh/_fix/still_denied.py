"""What still stops the preflights of fixed calls: authorization runs before the gateway's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors.mesh._analysis.guards import Guards

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._fix.blocked_calls import BlockedCalls


def still_denied(blocked: Iterable[BlockedCalls], after: MeshDocuments) -> list[str]:
    """Say which objects of ``after`` are certain to deny the preflights of these calls."""
    if not after.others:
        return []
    guards = {gateway.name: Guards(after, gateway) for gateway, _, _ in after.hosts}
    found: dict[str, None] = {}
    for lost in (each for part in blocked for each in part.calls):
        there = guards.get(lost.calls.gateway)
        if there is None:
            continue
        answer = there.gateway.handle(lost.calls.preflight(lost.requests[0]))
        for each in there.verdicts(answer):
            if each.effect == "denies":
                at = f"{each.kind} {each.name} ({each.place})"
                found[f"{at} still denies preflights of these calls: {each.reason}"] = None
    return list(found)
