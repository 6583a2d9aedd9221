"""The mend for a page_call that does not end well: what to change, and where."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcors.mesh._analysis.page_call import Exchange, PageCall


def advice(page_call: PageCall, files: Sequence[str]) -> list[str]:
    """Return the lines of the mend; none for a call that is allowed."""
    exchange = page_call.decisive
    if exchange.outcome == "allowed":
        return []
    if exchange.answer.kind == "forward":
        return _service_must_answer(page_call, exchange)
    if exchange.answer.kind == "cors":
        return [_policy_must_say(page_call, exchange)]
    if exchange.step == "preflight":
        return _preflight_must_arrive(page_call, exchange, files)
    return [
        "the page cannot read this answer. Send what no rule takes to the pod, as the last rule:",
        "its answer is readable.",
    ]


def _preflight_must_arrive(
    page_call: PageCall, exchange: Exchange, files: Sequence[str]
) -> list[str]:
    origins = f" --allow-origin {page_call.call.origin}" if _is_open(page_call) else ""
    fix = [
        f"meshcors fix {shlex.quote(files[0])} --with pod --pod HOST:PORT{origins}",
        "or, without a pod: --with mesh",
    ]
    if exchange.answer.kind != "no_route":
        return ["put a rule that takes preflights before this one:", *fix]
    if page_call.request.answer.kind == "no_route":
        return ["no rule takes this host and path at all: look at --host and --path first."]
    carried = [name for name, _ in page_call.call.headers if _wanted_by_a_rule(name, exchange)]
    if not carried:
        return ["put a rule that takes preflights first:", *fix]
    return [
        f"a preflight names {', '.join(carried)} and never carries it, so a rule that wants its",
        "value never takes one, and what that rule's corsPolicy says is never asked.",
        "Put a rule that takes preflights first:",
        *fix,
    ]


def _wanted_by_a_rule(name: str, exchange: Exchange) -> bool:
    return any(
        mismatch.field == f"headers.{name}"
        for step in exchange.answer.trail
        for mismatch in step.mismatches
    )


def _is_open(page_call: PageCall) -> bool:
    """Tell whether the call's own rule lets every site in with credentials: fix will ask."""
    route = page_call.request.answer.route
    policy = route.source.cors_policy if route else None
    return (
        policy is not None
        and bool(policy.allow_credentials)
        and any(str(match.value) == "*" for match in policy.allow_origins)
    )


def _policy_must_say(page_call: PageCall, exchange: Exchange) -> str:
    where = f"corsPolicy of {exchange.answer.rule} ({exchange.answer.place})"
    code, field = exchange.verdict.code, exchange.verdict.field
    if code == "header_not_allowed":
        return f"add {field} to allowHeaders in the {where}."
    if code == "method_not_allowed":
        return f"add {field} to allowMethods in the {where}."
    if code in {"acac_not_true", "acao_wildcard_with_credentials"}:
        return f"name the origins and set allowCredentials: true in the {where}."
    return f"add {{exact: {page_call.call.origin}}} to allowOrigins in the {where}."


def _service_must_answer(page_call: PageCall, exchange: Exchange) -> list[str]:
    service = exchange.answer.destination
    origin = page_call.call.origin
    if exchange.step == "preflight":
        return [
            f"{service} must answer the OPTIONS request itself, with",
            f"access-control-allow-origin: {origin} and what the call needs. Run it with",
            "MeshCORS, or send preflights to the pod. To judge by a policy: --config POLICY",
        ]
    return [
        f"{service} must say access-control-allow-origin: {origin}. Run it with MeshCORS,",
        "or put a corsPolicy on the rule. To judge by a policy: --config POLICY",
    ]
