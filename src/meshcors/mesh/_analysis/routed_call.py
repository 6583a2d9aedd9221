"""A call that a rule takes, and where its preflight ends: found by routing both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from meshcors.mesh._analysis.preflight_rules import is_preflight_rule

if TYPE_CHECKING:
    from meshcors.mesh._routing.gateway import GatewayAnswer
    from meshcors.mesh._routing.request import GatewayRequest
    from meshcors.mesh._routing.routes import Route

# no_rule: no rule takes it. no_service: a redirect or directResponse answers it. own_rule: the rule
# that takes the call takes it too. other_policy: another rule's corsPolicy applies.
# preflight_rule: a rule for preflights alone takes it. other_service: another rule's service gets
# it. unknown: the rule's delegate is not among the documents, or it hangs on what is not known of a
# running gateway.
PreflightEnd: TypeAlias = Literal[
    "no_rule",
    "no_service",
    "own_rule",
    "other_policy",
    "preflight_rule",
    "other_service",
    "unknown",
]


@dataclass(frozen=True)
class RoutedCall:
    """A call that ``route`` takes, and what the gateway answers to its preflight.

    ``names`` are the headers that the preflight announces.
    """

    route: Route
    call: GatewayRequest
    names: tuple[str, ...]
    preflight_answer: GatewayAnswer

    @property
    def has_preflight(self) -> bool:
        """Whether a browser sends a preflight before this call, as far as the rule tells."""
        policy = self.route.source.cors_policy
        if self.names:
            return True
        # a GET or HEAD without headers of its own has none
        simple = self.call.method in {"GET", "HEAD"}
        return policy is not None and not (simple and not policy.allow_headers)

    @property
    def preflight_end(self) -> PreflightEnd:
        """Where the preflight ends."""
        answer = self.preflight_answer
        if answer.kind == "unknown" or any(not doubt.only_denies for doubt in answer.doubts):
            return "unknown"
        if answer.route is None:
            return "no_rule"
        if answer.kind in {"redirect", "direct_response"}:
            return "no_service"
        if answer.route.source.key == self.route.source.key:
            return "own_rule"
        if answer.kind == "cors" or answer.route.source.cors_policy is not None:
            return "other_policy"
        return "preflight_rule" if is_preflight_rule(answer.route) else "other_service"

    @property
    def is_unanswered(self) -> bool:
        """Whether the preflight reaches no service and no corsPolicy."""
        return self.preflight_end in {"no_rule", "no_service"}

    @property
    def is_misrouted(self) -> bool:
        """Whether the preflight is unanswered, or reaches a service that is not meant to answer."""
        return self.is_unanswered or self.preflight_end == "other_service"
