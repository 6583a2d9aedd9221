"""A page's call through the gateway: the preflight, the request, and the browser's verdicts.

Pure: `meshcors.mesh` models the gateway, `meshcors.browser` the browser. The documents do not say
what a service answers: where a `Service` does not know either, the outcome is "depends".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from meshcors import browser
from meshcors.mesh._routing.request import GatewayRequest

if TYPE_CHECKING:
    from meshcors.mesh._analysis.guards import Guards, GuardVerdict
    from meshcors.mesh._routing.gateway import Gateway, GatewayAnswer

Outcome: TypeAlias = Literal["allowed", "blocked", "depends"]
# What the service of a forwarded request answers to it, None if that is not known.
Service: TypeAlias = Callable[["GatewayAnswer"], browser.Response | None]


@dataclass(frozen=True, slots=True)
class TracedExchange:
    """The preflight or the request: what is sent, the gateway's answer, the browser's verdict.

    `guards` are what stands in front; where one of them denies the request, nobody gets as far as
    `answer`. `outcome` is "depends" if the verdict turns on a service whose answer is unknown.
    `verdict` is then the one for an answer without CORS headers.
    """

    step: browser.Step
    sent: GatewayRequest
    answer: GatewayAnswer
    guards: tuple[GuardVerdict, ...]
    outcome: Outcome
    verdict: browser.Verdict

    @property
    def denial(self) -> GuardVerdict | None:
        """What denies the request for certain, if anything does."""
        return next((each for each in self.guards if each.effect == "denies"), None)


@dataclass(frozen=True, slots=True)
class TracedCall:
    """A call and its exchanges; `preflight` is None if the browser sends none.

    `request` is what happens to the call itself, whether the browser gets that far or not.
    """

    call: browser.Request
    preflight: TracedExchange | None
    request: TracedExchange

    @property
    def outcome(self) -> Outcome:
        """The outcome of the call: "blocked" if one exchange is."""
        outcomes = {exchange.outcome for exchange in self.exchanges}
        if "blocked" in outcomes:
            return "blocked"
        return "depends" if "depends" in outcomes else "allowed"

    @property
    def decisive(self) -> TracedExchange:
        """The first exchange with the outcome of the call; the request if it is allowed."""
        if self.outcome == "allowed":
            return self.request
        return next(each for each in self.exchanges if each.outcome == self.outcome)

    @property
    def exchanges(self) -> tuple[TracedExchange, ...]:
        """The exchanges in the browser's order."""
        return (self.request,) if self.preflight is None else (self.preflight, self.request)


def trace_call(
    gateway: Gateway,
    call: browser.Request,
    service: Service | None = None,
    *,
    port: int = 0,
    target: str = "",
    guards: Guards | None = None,
) -> TracedCall:
    """Follow `call`, made by a page's script, through `gateway`.

    `service` gives the answers of the services behind the gateway, as far as they are known, and
    `guards` stand in front. `port` is the gateway's, by default that of the URL's scheme;
    `target` is the path and query that are sent, by default those of the URL. Raises `ValueError`
    for a path that Envoy refuses.
    """
    asked = browser.preflight_for(call)
    origin = () if call.is_same_origin and call.method in ("GET", "HEAD") else (call.origin,)
    fields = (*call.headers, *(("origin", value) for value in origin))
    scheme, _, rest = call.url.partition("://")
    host, slash, path = rest.partition("/")
    target = target or f"{slash or '/'}{path}"

    def exchange(step: browser.Step, method: str, fields: browser.HeaderLines) -> TracedExchange:
        sent = GatewayRequest(method, host, target, fields, scheme, port)
        answer = gateway.handle(sent)
        if guards is not None:
            answer = replace(answer, doubts=(*answer.doubts, *guards.doubts(answer)))
        return _exchange(call, step, answer, guards.verdicts(answer) if guards else (), service)

    request = exchange("response", call.method, fields)
    preflight = None if asked is None else exchange("preflight", "OPTIONS", asked)
    return TracedCall(call, preflight, request)


def _exchange(
    call: browser.Request,
    step: browser.Step,
    answer: GatewayAnswer,
    guards: tuple[GuardVerdict, ...],
    service: Service | None,
) -> TracedExchange:
    judge = browser.judge_preflight if step == "preflight" else browser.judge_response

    def verdict_on(response: browser.Response) -> browser.Verdict:
        fields = answer.response_headers(response.headers)
        return judge(call, browser.Response(response.status, fields))

    outcome: Outcome = "depends"
    if any(each.effect == "denies" for each in guards):
        verdict = judge(call, browser.Response(403))
    elif answer.kind == "unknown":
        verdict = verdict_on(browser.Response(200))
        return TracedExchange(step, answer.request, answer, guards, outcome, verdict)
    elif answer.kind != "forward":
        verdict = judge(call, browser.Response(answer.status or 0, answer.headers))
    elif service is not None and (response := service(answer)) is not None:
        verdict = verdict_on(response)
    else:
        verdict = verdict_on(browser.Response(200))
        if verdict.allowed != verdict_on(_permissive_response(call)).allowed:
            return TracedExchange(step, answer.request, answer, guards, outcome, verdict)
    # a filter that only denies cannot make a blocked call allowed
    if all(doubt.only_denies and not verdict.allowed for doubt in answer.doubts):
        outcome = "allowed" if verdict.allowed else "blocked"
    elif verdict.allowed:
        verdict = judge(call, browser.Response(403))
    return TracedExchange(step, answer.request, answer, guards, outcome, verdict)


def _permissive_response(call: browser.Request) -> browser.Response:
    """Return an answer that allows everything the call asks for."""
    names = ",".join(name for name, _ in call.headers)
    return browser.Response(
        200,
        [
            ("access-control-allow-origin", call.origin),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", call.method),
            ("access-control-allow-headers", names),
        ],
    )
