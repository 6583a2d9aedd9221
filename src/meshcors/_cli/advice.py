"""The mend for a journey that does not end well: what to change, and where."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcors.mesh._analysis.page_call import Journey, Leg


def advice(journey: Journey, files: Sequence[str]) -> list[str]:
    """Return the lines of the mend; none for a call that is allowed."""
    leg = journey.decisive
    if leg.outcome == "allowed":
        return []
    if leg.answer.kind == "forward":
        return _service_must_answer(journey, leg)
    if leg.answer.kind == "cors":
        return [_policy_must_say(journey, leg)]
    if leg.step == "preflight":
        return _preflight_must_arrive(journey, leg, files)
    return [
        "the page cannot read this answer. Send what no rule takes to the pod, as the last rule:",
        "its answer is readable.",
    ]


def _preflight_must_arrive(journey: Journey, leg: Leg, files: Sequence[str]) -> list[str]:
    origins = f" --allow-origin {journey.call.origin}" if _is_open(journey) else ""
    fix = [
        f"meshcors fix {shlex.quote(files[0])} --with pod --pod HOST:PORT{origins}",
        "or, without a pod: --with mesh",
    ]
    if leg.answer.kind != "no_route":
        return ["put a rule that takes preflights before this one:", *fix]
    if journey.request.answer.kind == "no_route":
        return ["no rule takes this host and path at all: look at --host and --path first."]
    carried = [name for name, _ in journey.call.headers if _wanted_by_a_rule(name, leg)]
    if not carried:
        return ["put a rule that takes preflights first:", *fix]
    return [
        f"a preflight names {', '.join(carried)} and never carries it, so a rule that wants its",
        "value never takes one, and what that rule's corsPolicy says is never asked.",
        "Put a rule that takes preflights first:",
        *fix,
    ]


def _wanted_by_a_rule(name: str, leg: Leg) -> bool:
    return any(
        mismatch.field == f"headers.{name}"
        for step in leg.answer.trail
        for mismatch in step.mismatches
    )


def _is_open(journey: Journey) -> bool:
    """Tell whether the call's own rule lets every site in with credentials: fix will ask."""
    route = journey.request.answer.route
    policy = route.source.cors_policy if route else None
    return (
        policy is not None
        and bool(policy.allow_credentials)
        and any(str(match.value) == "*" for match in policy.allow_origins)
    )


def _policy_must_say(journey: Journey, leg: Leg) -> str:
    where = f"corsPolicy of {leg.answer.rule} ({leg.answer.place})"
    code, field = leg.verdict.code, leg.verdict.field
    if code == "header_not_allowed":
        return f"add {field} to allowHeaders in the {where}."
    if code == "method_not_allowed":
        return f"add {field} to allowMethods in the {where}."
    if code in {"acac_not_true", "acao_wildcard_with_credentials"}:
        return f"name the origins and set allowCredentials: true in the {where}."
    return f"add {{exact: {journey.call.origin}}} to allowOrigins in the {where}."


def _service_must_answer(journey: Journey, leg: Leg) -> list[str]:
    service = leg.answer.destination
    origin = journey.call.origin
    if leg.step == "preflight":
        return [
            f"{service} must answer the OPTIONS request itself, with",
            f"access-control-allow-origin: {origin} and what the call needs. Run it with",
            "MeshCORS, or send preflights to the pod. To judge by a policy: --config POLICY",
        ]
    return [
        f"{service} must say access-control-allow-origin: {origin}. Run it with MeshCORS,",
        "or put a corsPolicy on the rule. To judge by a policy: --config POLICY",
    ]
