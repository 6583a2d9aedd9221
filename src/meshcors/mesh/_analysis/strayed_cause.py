"""Why a rule that does not take the call takes its preflight, and what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors import browser
from meshcors.mesh._analysis.cause import Cause
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._analysis.route_effect import effect
from meshcors.mesh._routing.cors_filter import preflight_answer

if TYPE_CHECKING:
    from meshcors.mesh._analysis.page_call import TracedCall, TracedExchange
    from meshcors.mesh._routing.gateway import GatewayAnswer, TriedRule
    from meshcors.mesh._routing.matching import Mismatch
    from meshcors.mesh._routing.routes import Route

LISTS: Final = {"header_not_allowed": "allowHeaders", "method_not_allowed": "allowMethods"}
CREDENTIALS: Final = frozenset({"acac_not_true", "acao_wildcard_with_credentials"})


def strayed_cause(page_call: TracedCall) -> Cause | None:
    """Return the cause where the preflight goes to the rule of other calls; None if it does not.

    A rule that is there for preflights is meant to take it.
    """
    preflight = page_call.preflight
    if preflight is None or page_call.decisive is not preflight:
        return None
    taker, route = preflight.answer.route, page_call.request.answer.route
    if taker is None or route is None or taker.key == route.key or is_preflight_rule(taker):
        return None
    names = _not_carried(preflight.answer, page_call.request.answer)
    has_policy = route.source.cors_policy is not None
    if effect(taker) == effect(route) or not (names or has_policy):
        return None
    why = f"it does not carry {' and '.join(names)}" if names else "it is an OPTIONS request"
    text = (
        f"the preflight goes to {taker.rule} ({taker.place}), because {why}; the call goes to"
        f" {route.rule} ({route.place})"
    )
    first = _own_policy(page_call, preflight, route)
    return Cause("preflight_strayed", text, route.place, first, needs_preflight_rule=not first)


def lacking(code: str, name: str, origin: str) -> str:
    """Return what to write in a corsPolicy that a browser's verdict ``code`` finds lacking."""
    if code in LISTS:
        return f"Add {name} to {LISTS[code]}"
    if code in CREDENTIALS:
        return "Name the origins and set allowCredentials: true"
    entry = '"null"' if origin == "null" else origin
    return f"Add {{exact: {entry}}} to allowOrigins"


def _own_policy(page_call: TracedCall, preflight: TracedExchange, route: Route) -> tuple[str, ...]:
    """Return what the policy of the call's own rule lacks, if anything: fix writes what it says."""
    policy = route.source.cors_policy
    if policy is None:
        return ()
    fields = preflight_answer(policy, preflight.sent)
    response = browser.Response(200, fields or [])
    verdict = browser.judge_preflight(page_call.call, response)
    if verdict.allowed:
        return ()
    what = lacking(verdict.code, verdict.field, page_call.call.origin)
    return (
        f"{what} in the corsPolicy of {route.rule} ({policy.place}).",
        "Then explain the call again, for the command that writes a rule for its preflights.",
    )


def _not_carried(preflight: GatewayAnswer, request: GatewayAnswer) -> list[str]:
    """Return the headers by which two rules part a call and its preflight."""
    wanted = _tried(preflight, request)
    if wanted:
        return _names(wanted, "headers")
    return _names(_tried(request, preflight), "withoutHeaders")


def _tried(answer: GatewayAnswer, other: GatewayAnswer) -> tuple[Mismatch, ...]:
    """Return what keeps one request from the rule that takes the other."""
    found: list[TriedRule] = [
        each for each in answer.trail if other.route and each.place == other.place
    ]
    return found[0].mismatches if found else ()


def _names(failed: tuple[Mismatch, ...], group: str) -> list[str]:
    parted = (each.field.partition(".") for each in failed if group != "headers" or not each.actual)
    return [name for where, _, name in parted if where == group]
