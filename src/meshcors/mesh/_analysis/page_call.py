"""A page's call through the gateway: the preflight, the request, and the browser's verdicts.

Pure: `meshcors.mesh` models the gateway, `meshcors.browser` the browser. The documents do not say
what a service answers: without a `Service`, the outcome is "depends" where it turns on that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from meshcors import browser
from meshcors.mesh._routing.request import GatewayRequest

if TYPE_CHECKING:
    from meshcors.mesh._routing.gateway import Gateway, GatewayAnswer

Outcome: TypeAlias = Literal["allowed", "blocked", "depends"]
# What a service answers to a request that the gateway forwards.
Service: TypeAlias = Callable[[GatewayRequest], browser.Response]


@dataclass(frozen=True, slots=True)
class Exchange:
    """The preflight or the request: what is sent, the gateway's answer, the browser's verdict.

    `outcome` is "depends" if the verdict turns on a service whose answer is unknown. `verdict` is
    then the one for an answer without CORS headers.
    """

    step: browser.Step
    sent: GatewayRequest
    answer: GatewayAnswer
    outcome: Outcome
    verdict: browser.Verdict


@dataclass(frozen=True, slots=True)
class PageCall:
    """A call and its exchanges; `preflight` is None if the browser sends none.

    `request` is what happens to the call itself, whether the browser gets that far or not.
    """

    call: browser.Request
    preflight: Exchange | None
    request: Exchange

    @property
    def outcome(self) -> Outcome:
        """The outcome of the call: "blocked" if one exchange is."""
        outcomes = {exchange.outcome for exchange in self.exchanges}
        if "blocked" in outcomes:
            return "blocked"
        return "depends" if "depends" in outcomes else "allowed"

    @property
    def decisive(self) -> Exchange:
        """The first exchange with the outcome of the call; the request if it is allowed."""
        if self.outcome == "allowed":
            return self.request
        return next(each for each in self.exchanges if each.outcome == self.outcome)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The exchanges in the browser's order."""
        return (self.request,) if self.preflight is None else (self.preflight, self.request)


def trace_call(
    gateway: Gateway, call: browser.Request, service: Service | None = None, *, port: int = 0
) -> PageCall:
    """Follow `call`, made by a page's script, through `gateway`.

    `service` gives the answers of the services behind the gateway, if they are known. `port` is the
    gateway's, by default that of the URL's scheme. Raises `ValueError` for a URL whose path Envoy
    refuses.
    """
    asked = browser.preflight_for(call)
    origin = () if call.is_same_origin and call.method in ("GET", "HEAD") else (call.origin,)
    fields = (*call.headers, *(("origin", value) for value in origin))
    request = _exchange(gateway, call, "response", _sent(call, call.method, fields, port), service)
    if asked is None:
        return PageCall(call, None, request)
    preflight = _exchange(gateway, call, "preflight", _sent(call, "OPTIONS", asked, port), service)
    return PageCall(call, preflight, request)


def _sent(
    call: browser.Request, method: str, fields: browser.HeaderLines, port: int
) -> GatewayRequest:
    scheme, _, rest = call.url.partition("://")
    host, slash, path = rest.partition("/")
    return GatewayRequest(method, host, f"{slash or '/'}{path}", fields, scheme, port)


def _exchange(
    gateway: Gateway,
    call: browser.Request,
    step: browser.Step,
    sent: GatewayRequest,
    service: Service | None,
) -> Exchange:
    judge = browser.judge_preflight if step == "preflight" else browser.judge_response
    answer = gateway.handle(sent)

    def verdict_on(response: browser.Response) -> browser.Verdict:
        fields = answer.response_headers(response.headers)
        return judge(call, browser.Response(response.status, fields))

    if answer.kind == "unknown":
        return Exchange(step, sent, answer, "depends", verdict_on(browser.Response(200)))
    if answer.kind != "forward":
        verdict = judge(call, browser.Response(answer.status or 0, answer.headers))
    elif service is not None:
        verdict = verdict_on(service(sent))
    else:
        verdict = verdict_on(browser.Response(200))
        if verdict.allowed != verdict_on(_permissive_response(call)).allowed:
            return Exchange(step, sent, answer, "depends", verdict)
    return Exchange(step, sent, answer, "allowed" if verdict.allowed else "blocked", verdict)


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
