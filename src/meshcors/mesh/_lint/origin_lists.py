"""Lint rules about a corsPolicy's list of origins as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors._policy.errors import OriginError
from meshcors._policy.origins import Origin
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.other_policies import all_policies
from meshcors.mesh._routing.cors_filter import origin_allowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.located_policy import LocatedPolicy
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments


def no_origins(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a policy without origins: it refuses every page."""
    for located in all_policies(mesh):
        if not located.policy.allow_origins:
            reason = "this policy allows no origin"
            yield Finding(located.place(), reason, "list the origins under allowOrigins")


def replaced_origins(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find an ``allowOrigin`` beside ``allowOrigins``, which Istio reads instead."""
    for located in all_policies(mesh):
        old = located.strings("allowOrigin") if located.is_set("allowOrigins") else []
        # the same origins in both lists are for an Istio that knows only one of them
        if any(not origin_allowed(located.policy, origin) for origin in old):
            reason = (
                "Istio reads allowOrigins and not this older list, so the origins listed here are"
                " ignored"
            )
            hint = "move its origins into allowOrigins, as exact: ..., and remove it"
            yield Finding(located.place("allowOrigin"), reason, hint)


def own_origins(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a policy that allows only pages of its own host, which need no permission."""
    for located in mesh.policies:
        own = _own_host(located)
        origins = {_host_of(origin.value) for origin in located.policy.allow_origins}
        exact = all(origin.kind == "exact" for origin in located.policy.allow_origins)
        schemes = {origin.value.partition("://")[0] for origin in located.policy.allow_origins}
        # a page on http that calls https is on another origin
        if own and exact and origins == {own} and len(schemes) == 1:
            reason = f"pages of {own} call their own host, which needs no permission"
            hint = "list the origins of the pages that call it, or remove the corsPolicy"
            yield Finding(located.place("allowOrigins"), reason, hint)


def _own_host(located: LocatedPolicy) -> str:
    """Return the one host that a policy is for; ``""`` if there are several."""
    # a name without dots is the service's own, which sidecars use
    hosts = [host for host in located.document.hosts if "." in host] or located.document.hosts
    return hosts[0].lower() if len(hosts) == 1 and "*" not in hosts[0] else ""


def _host_of(text: str) -> str:
    """Return the host of an origin on its scheme's default port, or ``""``."""
    try:
        origin = Origin.parse(text)
    except OriginError:
        return ""
    return origin.host if origin.port is None else ""
