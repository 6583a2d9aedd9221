"""The cause of a page call's verdict, found by following its decisive exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.cause import Cause, enumerated
from meshcors.mesh._analysis.left_out_rules import left_out_rule
from meshcors.mesh._analysis.no_route_cause import left_out_cause, no_route_cause, pod_cause
from meshcors.mesh._analysis.strayed_cause import CREDENTIALS, LISTS, lacking, strayed_cause
from meshcors.mesh._routing.cors_filter import origin_allowed

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcors.mesh._analysis.guards import GuardVerdict
    from meshcors.mesh._analysis.page_call import TracedCall, TracedExchange
    from meshcors.mesh._documents.model import CorsPolicy
    from meshcors.mesh._routing.doubts import Doubt
    from meshcors.mesh._routing.gateway import Gateway, GatewayAnswer

_SHOWN_ORIGINS: Final = 3


def cause_of(
    page_call: TracedCall, gateway: Gateway, is_pod: Callable[[GatewayAnswer], bool]
) -> Cause | None:
    """Return why the call is blocked, or why that depends; None if it gets to its service.

    A call that goes to the pod, as ``is_pod`` tells, does not: no other rule takes it.
    """
    exchange = page_call.decisive
    if exchange is page_call.request and exchange.outcome != "blocked" and is_pod(exchange.answer):
        at_pod = pod_cause(exchange.answer)
        if at_pod is not None:
            return at_pod
    if exchange.outcome == "allowed":
        return None
    answer = exchange.answer
    if exchange.denial is not None:
        return _denied(exchange, exchange.denial)
    if answer.doubts and exchange.outcome == "depends":
        return _uncertain(exchange, answer.doubts[0])
    if answer.kind == "unknown":
        text = f"the delegate of {answer.rule} ({answer.place}) is not in the given files"
        return Cause("unknown_delegate", text, answer.place, ("Pass its file too.",))
    if answer.kind == "no_route":
        return no_route_cause(page_call, gateway)
    strayed = None if is_pod(answer) else strayed_cause(page_call)
    if strayed is not None:
        left_out = left_out_rule(gateway, answer, elsewhere=False)
        return left_out_cause(left_out, answer, gateway) if left_out else strayed
    refusing = refusing_policy(answer)
    if refusing is not None:
        return _origin_refused(page_call, exchange, refusing)
    if answer.kind == "cors":
        return _policy_lacks(exchange)
    for each in (answer, page_call.request.answer):
        left_out = left_out_rule(gateway, each)
        if left_out is not None and left_out.reason == "behind_catch_all":
            return left_out_cause(left_out, each, gateway)
    if answer.kind in {"redirect", "direct_response"}:
        return _answered_by_rule(exchange)
    if exchange.outcome == "depends" and is_pod(answer):
        text = (
            f"{answer.rule} ({answer.place}) leads to {answer.destination}, the pod, and these"
            " files do not say which policy it has"
        )
        return Cause("pod_unknown", text, answer.place)
    return _service_answers(page_call, exchange)


def refusing_policy(answer: GatewayAnswer) -> CorsPolicy | None:
    """Return the corsPolicy that a request reaches and that does not allow its origin."""
    policy = answer.route.source.cors_policy if answer.route else None
    origin = answer.request.value("origin")
    if policy is None or not origin or answer.kind not in {"cors", "forward"}:
        return None
    return None if origin_allowed(policy, origin) else policy


def allowed_by(policy: CorsPolicy) -> str:
    """Return the origins that a policy allows, in short."""
    origins = [str(each) for each in policy.allow_origins]
    return enumerated(origins, _SHOWN_ORIGINS) or "none"


def _uncertain(exchange: TracedExchange, doubt: Doubt) -> Cause:
    what = "preflight" if exchange.step == "preflight" else "call"
    text = f"{doubt}, and the answer to the {what} depends on it"
    return Cause("not_modelled", text, doubt.place, ("Send it to the gateway to find out.",))


def _denied(exchange: TracedExchange, denial: GuardVerdict) -> Cause:
    what = "preflight" if exchange.step == "preflight" else "call"
    text = (
        f"{denial.kind} {denial.name} ({denial.place}) denies the {what} before any corsPolicy"
        f" applies: {denial.reason}"
    )
    where = f"{denial.kind} {denial.name} ({denial.place})"
    if exchange.step == "response":
        advice = [
            "The 403 has no CORS headers, so the page cannot read it.",
            f"Allow the call in {where}.",
        ]
    elif denial.action == "ALLOW":
        advice = [
            f"A preflight never carries credentials. Add a rule to {where}:",
            "- to: [{operation: {methods: [OPTIONS]}}]",
        ]
    else:
        advice = [
            f"A preflight never carries credentials. Leave it out of this rule of {where},",
            "in each of its operations:",
            "to: [{operation: {notMethods: [OPTIONS]}}]",
        ]
    return Cause("denied_in_front", text, denial.place, tuple(advice))


def _origin_refused(page_call: TracedCall, exchange: TracedExchange, policy: CorsPolicy) -> Cause:
    answer, origin = exchange.answer, page_call.call.origin
    then = {
        ("preflight", "cors"): "Envoy answers the preflight without access-control-allow-origin",
        ("preflight", "forward"): f"the preflight goes on to {answer.destination}",
        ("response", "forward"): f"what {answer.destination} answers reaches the page unchanged",
    }[exchange.step, answer.kind]
    text = (
        f"the corsPolicy of {answer.rule} ({policy.place}) does not allow {origin}"
        f" (it allows {allowed_by(policy)}), and {then}"
    )
    advice = f"{lacking('', '', origin)} in it."
    return Cause("origin_refused", text, answer.place, (advice,))


def _policy_lacks(exchange: TracedExchange) -> Cause:
    code, field = exchange.verdict.code, exchange.verdict.field
    answer = exchange.answer
    policy = answer.route.source.cors_policy if answer.route else None
    place = policy.place if policy else answer.place
    where = f"the corsPolicy of {answer.rule} ({place})"
    if code in LISTS:
        text = f"{where} does not list {field} in {LISTS[code]}"
        return Cause(code, text, answer.place, (f"{lacking(code, field, '')} in it.",))
    if code in CREDENTIALS:
        text = f"the call sends credentials, and {where} does not allow them"
        advice = f"{lacking(code, field, '')} in it."
        return Cause("credentials_not_allowed", text, answer.place, (advice,))
    return Cause(code, f"the answer of {where} does not allow the call", answer.place)


def _answered_by_rule(exchange: TracedExchange) -> Cause:
    answer = exchange.answer
    rule, is_preflight = f"{answer.rule} ({answer.place})", exchange.step == "preflight"
    what = "preflight" if is_preflight else "call"
    if answer.kind == "redirect":
        code, does = "redirected", f"redirects the {what}"
        advice = "Call the URL that it redirects to."
    else:
        code, does = "direct_response", f"answers the {what} itself, with directResponse"
        advice = "To let pages read it, send these calls to a service: a corsPolicy needs a route."
    text = f"{rule} {does}, and no corsPolicy applies there"
    return Cause(
        code,
        text,
        answer.place,
        () if is_preflight else (advice,),
        needs_preflight_rule=is_preflight,
    )


def _service_answers(page_call: TracedCall, exchange: TracedExchange) -> Cause:
    answer, origin = exchange.answer, page_call.call.origin
    policy = answer.route.source.cors_policy if answer.route else None
    if policy is not None and exchange.verdict.code in CREDENTIALS:
        return _policy_lacks(exchange)
    rule = f"{answer.rule} ({answer.place})"
    if exchange.outcome == "blocked":
        return _service_refuses(page_call, exchange)
    has = "has no corsPolicy" if policy is None else "leaves this to the service"
    text = f"{rule} {has}: {answer.destination} answers"
    if exchange.step == "preflight":
        advice = (
            f"{answer.destination} must answer the OPTIONS request itself, with"
            f" access-control-allow-origin: {origin} and whatever else the call needs.",
            "Run it with MeshCORS, or send preflights to the pod.",
        )
    else:
        advice = (
            f"{answer.destination} must send access-control-allow-origin: {origin}.",
            "Run it with MeshCORS, or put a corsPolicy on the rule.",
        )
    return Cause("service_unknown", text, answer.place, advice)


def _service_refuses(page_call: TracedCall, exchange: TracedExchange) -> Cause:
    """Return the cause where a service answers by a policy that is known."""
    answer, verdict = exchange.answer, exchange.verdict
    if verdict.code in LISTS:
        what, where = verdict.field, LISTS[verdict.code]
        advice = f"Add {what} to {where} in that policy."
    elif verdict.code in CREDENTIALS:
        what, advice = "credentials", "Set allowCredentials: true in that policy."
    else:
        what = page_call.call.origin
        advice = f"Add {what} to allowOrigins in that policy."
    text = (
        f"{answer.rule} ({answer.place}) leads to {answer.destination}, and the policy there does"
        f" not allow {what}"
    )
    return Cause("service_refuses", text, answer.place, (advice,))
