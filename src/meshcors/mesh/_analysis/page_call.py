"""A page's call through the gateway: the preflight, the request, and what a browser makes of both.

Pure: the gateway's half is `meshcors.mesh`, the browser's `meshcors.browser`. What a service
answers is not in the documents: unless it is told, a verdict that hangs on it is "depends".
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
# What a service answers to a forwarded request.
Service: TypeAlias = Callable[[GatewayRequest], browser.Response]


@dataclass(frozen=True, slots=True)
class Leg:
    """One of the two requests: what was sent, what the gateway did, and the browser's verdict.

    `outcome` is "depends" where the verdict hangs on a service that is not known: `verdict` is then
    that on a service that says nothing of CORS.
    """

    step: browser.Step
    sent: GatewayRequest
    answer: GatewayAnswer
    outcome: Outcome
    verdict: browser.Verdict


@dataclass(frozen=True, slots=True)
class Journey:
    """A call and its legs; `preflight` is None where the browser asks nothing before the call.

    The `request` leg is what happens to the call itself, whether the browser gets to it or not.
    """

    call: browser.Request
    preflight: Leg | None
    request: Leg

    @property
    def outcome(self) -> Outcome:
        """What becomes of the call: "blocked" as soon as one leg is."""
        outcomes = {leg.outcome for leg in self.legs}
        if "blocked" in outcomes:
            return "blocked"
        return "depends" if "depends" in outcomes else "allowed"

    @property
    def decisive(self) -> Leg:
        """The leg that decides: the first with the journey's outcome, the last if allowed."""
        if self.outcome == "allowed":
            return self.request
        return next(leg for leg in self.legs if leg.outcome == self.outcome)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs in the order in which a browser takes them."""
        return (self.request,) if self.preflight is None else (self.preflight, self.request)


def travel(gateway: Gateway, call: browser.Request, service: Service | None = None) -> Journey:
    """Follow `call`, which a page's script makes, through `gateway`.

    `service` tells what the services behind it answer, if that is known. Raises `ValueError` for a
    URL whose path Envoy refuses.
    """
    asked = browser.preflight_for(call)
    origin = () if call.is_same_origin and call.method in ("GET", "HEAD") else (call.origin,)
    fields = (*call.headers, *(("origin", value) for value in origin))
    request = _leg(gateway, call, "response", _at(call, call.method, fields), service)
    if asked is None:
        return Journey(call, None, request)
    return Journey(
        call, _leg(gateway, call, "preflight", _at(call, "OPTIONS", asked), service), request
    )


def _at(call: browser.Request, method: str, fields: browser.HeaderLines) -> GatewayRequest:
    scheme, _, rest = call.url.partition("://")
    host, slash, path = rest.partition("/")
    return GatewayRequest(method, host, f"{slash or '/'}{path}", fields, scheme)


def _leg(
    gateway: Gateway,
    call: browser.Request,
    step: browser.Step,
    sent: GatewayRequest,
    service: Service | None,
) -> Leg:
    judge = browser.judge_preflight if step == "preflight" else browser.judge_response
    answer = gateway.handle(sent)

    def judged(response: browser.Response) -> browser.Verdict:
        fields = answer.response_headers(response.headers)
        return judge(call, browser.Response(response.status, fields))

    if answer.kind != "forward":
        verdict = judge(call, browser.Response(answer.status or 0, answer.headers))
    elif service is not None:
        verdict = judged(service(sent))
    else:
        verdict = judged(browser.Response(200))
        if verdict.allowed != judged(_obliging(call)).allowed:
            return Leg(step, sent, answer, "depends", verdict)
    return Leg(step, sent, answer, "allowed" if verdict.allowed else "blocked", verdict)


def _obliging(call: browser.Request) -> browser.Response:
    """Return an answer that allows the call whatever it asks."""
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
