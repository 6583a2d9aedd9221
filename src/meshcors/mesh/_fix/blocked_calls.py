"""Which calls a browser cannot make, because nothing answers their preflights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcors.mesh._documents.virtual_service import MESH

if TYPE_CHECKING:
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.routed_call import RoutedCall
    from meshcors.mesh._documents.model import CorsPolicy, VirtualService


@dataclass(frozen=True, slots=True)
class BlockedCalls:
    """A VirtualService, and an example of each of its calls that a browser cannot make."""

    service: VirtualService
    calls: tuple[RoutedCall, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The headers that pick the services."""
        return tuple(dict.fromkeys(name for each in self.calls for name in each.names))

    @property
    def policies(self) -> tuple[CorsPolicy, ...]:
        """The corsPolicies of the calls' rules; if they have none, those of any rule."""
        rules = {each.route.source.path: each.route.source for each in self.calls}.values()
        own = tuple(rule.cors_policy for rule in rules if rule.cors_policy)
        return own or tuple(rule.cors_policy for rule in self.service.http if rule.cors_policy)


def blocked_calls(mesh: MeshDocuments) -> list[BlockedCalls]:
    """Return the VirtualServices that need a rule for preflights, with the calls that need it."""
    found: list[BlockedCalls] = []
    for service in mesh.merged:
        if service.kind != "VirtualService":
            continue
        has_policy = any(rule.cors_policy for rule in service.http)
        # Browsers call gateways. A sidecar's rules matter only if somebody configured CORS there.
        if not has_policy and service.gateways == (MESH,):
            continue
        lost = tuple(
            call
            for call in mesh.calls_of_document(service)
            if (call.is_misrouted if has_policy else call.is_unanswered)
            and call.route.is_forward
            and call.has_preflight
        )
        if lost:
            found.append(BlockedCalls(service, lost))
    return found
