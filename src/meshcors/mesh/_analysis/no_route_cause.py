"""Why no rule takes a call or its preflight, which the gateway then answers with a bare 404."""

from __future__ import annotations

import shlex
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.cause import Cause, enumerated
from meshcors.mesh._analysis.left_out_rules import left_out_rule
from meshcors.mesh._analysis.nearest_rule import nearest_rule
from meshcors.mesh._routing.cors_filter import is_preflight
from meshcors.mesh._routing.matching import without_port

if TYPE_CHECKING:
    from meshcors.mesh._analysis.left_out_rules import LeftOutRule
    from meshcors.mesh._analysis.nearest_rule import NearestRule
    from meshcors.mesh._analysis.page_call import TracedCall
    from meshcors.mesh._routing.gateway import Gateway, GatewayAnswer, TriedRule
    from meshcors.mesh._routing.request import GatewayRequest

_SHOWN_HOSTS: Final = 5
# What is said of the paths that a rule takes, by the kind of its condition.
_TAKEN_PATHS: Final = {
    "exact": "are exactly",
    "prefix": "begin with",
    "regex": "match the regex",
}
_READABLE: Final = (
    "To let pages read the answer where no rule takes a call, send the rest to the pod, as the last"
    " rule."
)


def no_route_cause(page_call: TracedCall, gateway: Gateway) -> Cause:
    """Return the cause for a call whose decisive answer is that no rule takes it."""
    decisive, request = page_call.decisive.answer, page_call.request.answer
    # where the call itself is taken, its preflight is meant to be taken there too
    is_taken = decisive is not request and request.kind != "no_route"
    left_out = left_out_rule(gateway, decisive, elsewhere=not is_taken)
    if left_out is not None:
        return left_out_cause(left_out, decisive, gateway)
    if is_taken:
        return _preflight_lost(decisive, request)
    left_out = left_out_rule(gateway, request)
    if left_out is not None:
        return left_out_cause(left_out, request, gateway)
    if request.virtual_host is None:
        return _unknown_host(request.request, gateway)
    nearest = nearest_rule(request)
    if nearest is None:
        text = f"the rules of {request.virtual_host.domain} take preflights alone, not calls"
        return Cause("no_rule", text, None, ("Add a rule for the call.",))
    return _not_taken(nearest, request.request)


def pod_cause(answer: GatewayAnswer) -> Cause | None:
    """Return the cause for a call that goes to the pod because no other rule takes it."""
    nearest = nearest_rule(answer)
    if nearest is None:
        return None
    cause = _not_taken(nearest, answer.request)
    return replace(cause, text=f"{cause.text}, so the pod answers", advice=cause.advice[:1])


def left_out_cause(rule: LeftOutRule, answer: GatewayAnswer, gateway: Gateway) -> Cause:
    """Return the cause for a request that a rule would take which is left out of the table."""
    request = answer.request
    what = "preflight" if is_preflight(request) else "call"
    would = f"{rule.rule} ({rule.place}) would take the {what}, but"
    if rule.reason == "port":
        text = f"{would} is for port {rule.detail} of the gateway; the call goes to {request.port}"
        path = request.path.partition("?")[0]
        url = f"{request.scheme}://{without_port(request.host)}:{rule.detail}{path}"
        advice = f"Call that port: --url {shlex.quote(url)}, or change port in the rule's match."
        return Cause("other_port", text, rule.place, (advice,))
    if rule.reason == "gateway":
        text = f"{would} is for gateway {rule.detail}; the call goes through {gateway.name}"
        if rule.detail in gateway.names:
            advice = f"Explain that gateway: --gateway {shlex.quote(rule.detail)}, or list"
        else:
            advice = "List"
        return Cause(
            "other_gateway", text, rule.place, (f"{advice} {gateway.name} in the rule's gateways.",)
        )
    if rule.reason == "source":
        text = f"{would} only from certain pods: {rule.detail}"
        advice = "A browser's call has no such source: remove sourceLabels and sourceNamespace."
        return Cause("other_source", text, rule.place, (advice,))
    if rule.reason == "not_exported":
        text = f"{would} its delegate is not exported to this namespace"
        advice = "List the namespace in exportTo of the delegate."
        return Cause("not_exported", text, rule.place, (advice,))
    if rule.reason == "other_owner":
        text = f"{would} sidecars do not merge VirtualServices, and {rule.detail} has this host"
        return Cause("other_owner", text, rule.place, (f"Move the rule to {rule.detail}.",))
    first = "" if answer.place is None else f" ({answer.place})"
    text = f"{would} {rule.detail}{first} stands before it and takes every request"
    return Cause("behind_catch_all", text, rule.place, (f"Move {rule.rule} before {rule.detail}.",))


def _preflight_lost(preflight: GatewayAnswer, request: GatewayAnswer) -> Cause:
    """Return the cause where a rule takes the call, and none its preflight."""
    rule = f"{request.rule} ({request.place})"
    own = next((each for each in preflight.trail if each.place == request.place), None)
    carried = [] if own is None else _headers(own)
    if carried:
        names, value = ", ".join(carried), "its value" if len(carried) == 1 else "their values"
        them = "it" if len(carried) == 1 else "them"
        text = (
            f"a preflight names {names} but does not carry {them}, and {rule}, which takes the"
            f" call, asks for {value}"
        )
        advice = "Such a rule never takes a preflight, and its corsPolicy does not apply to it."
        return Cause(
            "header_not_in_preflight", text, request.place, (advice,), needs_preflight_rule=True
        )
    failed = [] if own is None else [mismatch.field for mismatch in own.mismatches]
    if "method" in failed:
        text = f"the preflight is an OPTIONS request, and {rule} takes the call by its method"
        return Cause("method_of_preflight", text, request.place, needs_preflight_rule=True)
    text = f"{rule} takes the call, but not its preflight: {', '.join(failed)}"
    return Cause("preflight_not_taken", text, request.place, needs_preflight_rule=True)


def _headers(tried: TriedRule) -> list[str]:
    fields = (mismatch.field for mismatch in tried.mismatches if not mismatch.actual)
    return [field.partition(".")[2] for field in fields if field.startswith("headers.")]


def _unknown_host(request: GatewayRequest, gateway: Gateway) -> Cause:
    host = without_port(request.host)
    kinds = {each.kind for each in gateway.documents if gateway.name in each.gateways}
    is_running = "RouteConfiguration" in kinds
    text = f"no document serves the host {host} at gateway {gateway.name}"
    if is_running:
        text = f"no virtual host of {gateway.name} is for the host {host}"
    served = [each.domain for each in gateway.virtual_hosts(request.port)]
    near = get_close_matches(host, served, n=_SHOWN_HOSTS, cutoff=0.6)
    hosts = list(dict.fromkeys([*near, *served]))
    if not hosts:
        advice = f"No host is served there on port {request.port}."
        return Cause("unknown_host", text, None, (advice,))
    one = "that host" if len(hosts) == 1 else "one of them"
    field = "hostnames" if kinds == {"HTTPRoute"} else "hosts"
    add = "" if is_running else f", or add {host} to a document's {field}"
    advice = f"This gateway serves {enumerated(hosts, _SHOWN_HOSTS)}. Call {one}{add}."
    return Cause("unknown_host", text, None, (advice,))


def _closest(paths: tuple[str, ...]) -> str:
    """Return a sentence about the paths that rules take."""
    parts = (each.partition(" ") for each in paths)
    taken = [f"{_TAKEN_PATHS[kind]} {value[1:-1]}" for kind, _, value in parts]
    if len(taken) == 1:
        return f"The closest rule matches paths that {taken[0]}."
    return f"The closest rules match paths that {', or that '.join(taken)}."


def _not_taken(nearest: NearestRule, request: GatewayRequest) -> Cause:
    rule, names = f"{nearest.rule} ({nearest.place})", ", ".join(nearest.names)
    others = {0: "", 1: " and 1 other rule"}.get(
        nearest.others, f" and {nearest.others} other rules"
    )
    asks = f"{rule}{others} {'ask' if nearest.others else 'asks'} for"
    if nearest.obstacle == "no_path":
        text = f"no rule takes the path {request.path_only}"
        near = f"{_closest(nearest.wanted)} Call such a path, or add a rule for this one."
        return Cause("no_path", text, nearest.place, (near, _READABLE))
    if nearest.obstacle == "wrong_header":
        text = f"{names} has another value than {asks}"
        advice = "Send a value that a rule asks for, or add a rule for this one."
    elif nearest.obstacle == "missing_header":
        text = f"the call lacks {names}, which {asks}"
        advice = f"Send {names}, or add a rule for calls without."
    elif nearest.obstacle == "no_method":
        wanted = " or ".join(nearest.wanted)
        text = f"no rule takes the method {request.method} here: {asks} {wanted}"
        advice = "Call with such a method, or add a rule for this one."
    else:
        text = f"{rule} comes nearest, but the call does not meet its condition on {names}"
        advice = "Change the call or the rule."
    return Cause(nearest.obstacle, text, nearest.place, (advice, _READABLE))
