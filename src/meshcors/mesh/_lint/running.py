"""What only the configuration of a running Envoy shows: its filters, and useless policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._routing.running import RunningRoutes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments


def running_files(mesh: MeshDocuments) -> frozenset[str]:
    """Return the names of the files that a control plane has made for an Envoy."""
    return frozenset(each.place.file for each in _running(mesh) if not each.is_static)


def useless_policies(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find policies that the cors filter never reads."""
    for document in _running(mesh):
        for useless in document.useless_policies:
            reason = f"{useless.reason}, so this policy never applies"
            yield Finding(useless.place, reason, "switch the cors filter on, or remove the policy")


def filters_in_front(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find filters that answer or deny preflights before the cors filter does."""
    for document in _running(mesh):
        for host in document.running_hosts:
            for route in host.routes:
                if route.source.cors_policy is None:
                    continue
                for doubt in route.doubts:
                    if doubt.in_front and not (doubt.spares_preflights or doubt.behind_cors):
                        reason = f"{doubt.path} {doubt.reason}, and preflights carry no credentials"
                        hint = "put the cors filter first, or let preflights pass there"
                        yield Finding(doubt.place, reason, hint)


def _running(mesh: MeshDocuments) -> Iterator[RunningRoutes]:
    return (each for each in mesh.documents if isinstance(each, RunningRoutes))
