"""Which calls a browser cannot make, because nothing answers their preflights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcors.mesh._documents.virtual_service import MESH

if TYPE_CHECKING:
    from meshcors.mesh._analysis.subject import Journey, Subject
    from meshcors.mesh._documents.model import CorsPolicy, VirtualService


@dataclass(frozen=True, slots=True)
class BlockedCalls:
    """A VirtualService, and an example of each of its calls that a browser cannot make."""

    service: VirtualService
    journeys: tuple[Journey, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The headers that pick the services."""
        return tuple(dict.fromkeys(name for each in self.journeys for name in each.names))

    @property
    def policies(self) -> tuple[CorsPolicy, ...]:
        """The corsPolicies of the calls' rules; if they have none, those of any rule."""
        rules = {each.route.source.path: each.route.source for each in self.journeys}.values()
        own = tuple(rule.cors_policy for rule in rules if rule.cors_policy)
        return own or tuple(rule.cors_policy for rule in self.service.http if rule.cors_policy)


def blocked_calls(subject: Subject) -> list[BlockedCalls]:
    """Return the VirtualServices that need a rule for preflights, with the calls that need it."""
    found: list[BlockedCalls] = []
    for service in subject.documents:
        if service.kind != "VirtualService":
            continue
        has_policy = any(rule.cors_policy for rule in service.http)
        # Browsers call gateways. A sidecar's rules matter only if somebody configured CORS there.
        if not has_policy and service.gateways == (MESH,):
            continue
        fates = {"nowhere", "refused", "elsewhere"} if has_policy else {"nowhere", "refused"}
        lost = tuple(
            journey
            for journey in subject.journeys_from(service)
            if journey.fate in fates and _has_preflight(journey)
        )
        if lost:
            found.append(BlockedCalls(service, lost))
    return found


def _has_preflight(journey: Journey) -> bool:
    """Tell whether a browser sends a preflight before this call."""
    rule = journey.route.source
    if rule.redirect or rule.direct_response:
        return False
    simple = journey.call.method in {"GET", "HEAD"}
    policy = rule.cors_policy
    return bool(journey.names) or (policy is not None and not (simple and not policy.allow_headers))
