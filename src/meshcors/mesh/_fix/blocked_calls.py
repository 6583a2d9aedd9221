"""Which calls a browser cannot make because their preflights are lost, by document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from meshcors.mesh._analysis.lost_calls import lost_calls
from meshcors.mesh._analysis.route_effect import plain

if TYPE_CHECKING:
    from meshcors.mesh._analysis.lost_calls import LostCalls
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import CorsPolicy, DocumentKey, VirtualService


@dataclass(frozen=True, slots=True)
class BlockedCalls:
    """A document, and those of its calls that a browser cannot make."""

    service: VirtualService
    calls: tuple[LostCalls, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The headers that pick the services."""
        return tuple(dict.fromkeys(name for each in self.calls for name in each.calls.names))

    @property
    def policies(self) -> tuple[CorsPolicy, ...]:
        """The corsPolicies of the calls' rules; if they have none, those of any rule."""
        rules = {each.calls.route.source.key: each.calls.route.source for each in self.calls}
        own = tuple(rule.cors_policy for rule in rules.values() if rule.cors_policy)
        return own or tuple(rule.cors_policy for rule in self.service.http if rule.cors_policy)

    def by_policy(self) -> list[BlockedCalls]:
        """Return the calls in groups whose rules have equal corsPolicies."""
        found: dict[object, list[LostCalls]] = {}
        for each in self.calls:
            found.setdefault(plain(each.calls.route.source.cors_policy), []).append(each)
        return [replace(self, calls=tuple(calls)) for calls in found.values()]


def blocked_calls(mesh: MeshDocuments) -> list[BlockedCalls]:
    """Return the documents that need rules for preflights, with the calls that need them."""
    found: dict[DocumentKey, list[LostCalls]] = {}
    for lost in lost_calls(mesh):
        found.setdefault(lost.calls.route.document.key, []).append(lost)
    return [BlockedCalls(calls[0].calls.route.document, tuple(calls)) for calls in found.values()]
