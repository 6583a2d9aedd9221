"""The decision on the current span of OpenTelemetry. It needs the package ``opentelemetry-api``."""

from __future__ import annotations

from opentelemetry.trace import get_current_span

from meshcors._decision.observation import ObservedDecision

__all__ = ["annotate_span"]


def annotate_span(decision: ObservedDecision) -> None:
    """Put the decision on the current span, if there is one that is recorded.

    An observer: ``MeshCORS(app, policy, observer=annotate_span)``. The attributes are
    ``meshcors.kind``, ``meshcors.reason``, ``meshcors.rule`` and ``meshcors.origin``, the last two
    where they are not empty. The span is the server's if OpenTelemetry's middleware is around this
    one.
    """
    span = get_current_span()
    if span.is_recording():
        told: dict[str, str] = {"kind": decision.kind, "reason": decision.reason}
        told |= {"rule": decision.rule} if decision.rule else {}
        told |= {"origin": decision.origin} if decision.origin else {}
        span.set_attributes({f"meshcors.{name}": text for name, text in told.items()})
