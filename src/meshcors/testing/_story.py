"""What happened to a page's call, in words: for the message of a test that fails.

Header values that the script set and queries are not shown, also where the server sends them back,
nor is what could steer a terminal. Through a `MeshGateway`, the way through its rules follows as
``meshcors explain`` tells it, with the verdicts of what was really answered.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from meshcors import browser
from meshcors._policy.wording import printable
from meshcors.mesh._analysis.call_cause import cause_of
from meshcors.mesh._analysis.page_call import trace_call
from meshcors.mesh._explain.fixes import FixCommands
from meshcors.mesh._explain.hints import hints
from meshcors.mesh._explain.text import CallReport, narrate
from meshcors.mesh._explain.values import ShownValues, shown_target
from meshcors.testing._gateway import GatewayCall
from meshcors.testing._quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcors.mesh import Gateway
    from meshcors.mesh._analysis.cause import Cause
    from meshcors.mesh._analysis.page_call import Outcome, TracedCall, TracedExchange
    from meshcors.mesh._routing.gateway import GatewayAnswer
    from meshcors.testing._fetch import Exchange, PageCall
    from meshcors.testing._gateway import MeshGateway, RoutedRequest

_POD: Final = ("meshcors-dummy", 8080)
_SHOWN: Final = ("location", "server", "vary")
_IN_EVENT_LOOP: Final = (
    "  The test's event loop waited for this call too. If the server runs in that loop, make the"
    " call in a thread: await asyncio.to_thread(browser_fetch, ...)"
)
# Envoy's response flags: no healthy upstream, and no connection to it
_UNREACHED: Final = frozenset({"UH", "UF"})


def story(call: PageCall) -> str:
    """Return the story of a call, line by line."""
    quote = Quoting(call.request)
    return "\n".join(map(quote.line, "\n".join(_lines(call, quote)).split("\n")))


def _lines(call: PageCall, quote: Quoting) -> Iterator[str]:
    verdict, request = call.verdict, call.request
    gateway = call.gateway if isinstance(call, GatewayCall) else None
    # explain tells the way of a call, not of what it is redirected to
    explained = gateway is not None and not verdict.allowed and len(call.answers) < 2
    if verdict.allowed:
        yield "The script may read the answer."
    else:
        asked = "the preflight" if verdict.step == "preflight" else "the request"
        yield f"The browser blocks the call: {verdict.code}, in the answer to {asked}."
    for engine, text in verdict.messages.items():
        if text and not explained:
            shown = _without_queries(text, call).replace("\n", "\n    ")
            yield f"  {engine.capitalize()}: {shown}"
    yield ""
    cookies = ", with credentials" if request.credentials == "include" else ""
    target = shown_target(request.url)
    yield f"A page of {request.origin} called {request.method} {target}{cookies}:"
    for exchange in _sent(call):
        yield from _exchange(exchange, quote)
    if isinstance(call, GatewayCall):
        yield from map(_routed, call.requests)
    if call.decisive.kind == "timeout" and _is_in_event_loop():
        yield _IN_EVENT_LOOP
    if gateway is not None and explained:
        yield ""
        yield "As `meshcors explain` tells it, with these answers:"
        missing = _missing_service(call)
        yield from (printable(line) for line in _explained(call, gateway, missing))


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _without_queries(text: str, call: PageCall) -> str:
    for url in {call.request.url, *(each.url for each in _sent(call))}:
        text = text.replace(url, shown_target(url))
    return text


def _routed(request: RoutedRequest) -> str:
    to = f", which leads to {request.destination}" if request.destination else ""
    rule = f"{request.rule} took it{to}" if request.rule else "no rule took it"
    flags = f" (Envoy's flags: {request.flags})" if request.flags else ""
    return f"  In the gateway, {request.method} {request.path}: {rule}{flags}."


def _sent(call: PageCall) -> Iterator[Exchange]:
    if call.preflight is not None:
        yield call.preflight
    yield from (*call.answers, *call.hop_preflights)


def _exchange(exchange: Exchange, quote: Quoting) -> Iterator[str]:
    target = shown_target(exchange.url)
    response = exchange.response
    failure = quote.failure(exchange)
    if response is None:
        yield f"  {exchange.method} {target}: {failure}."
        return
    failure = f"; {failure}" if failure else ""
    yield f"  {exchange.method} {target}: {response.status}, {exchange.http_version}{failure}"
    for name, value in response.headers:
        if name.startswith("access-control-") or name in _SHOWN:
            yield f"    {name}: {quote.url(value) if name == 'location' else quote(value)}"


def _explained(call: PageCall, gateway: MeshGateway, missing: str) -> Iterator[str]:
    mesh, model = gateway.mesh, gateway.model
    hidden = replace(call.request, url=shown_target(call.request.url))
    target = call.request.url.partition("://")[2].partition("/")
    traced = trace_call(model, hidden, target=f"/{target[2]}")
    seen = _as_seen(traced, hidden, call)
    cause = None if missing else cause_of_answers(seen, model, _is_pod)
    commands = FixCommands(mesh, tuple(_files(gateway)), _POD, model.name)
    advice = hints(cause, seen, commands)
    if missing:
        advice = [f"Nothing answers for {missing}: give it in services."]
    for line in narrate(CallReport(seen, cause, tuple(advice), ShownValues(seen))):
        yield f"  {line.text}".rstrip()


def _as_seen(traced: TracedCall, request: browser.Request, call: PageCall) -> TracedCall:
    """Put the verdicts of the real answers in place of those that were foretold."""

    def seen(exchange: TracedExchange, verdict: browser.Verdict) -> TracedExchange:
        outcome: Outcome = "allowed" if verdict.allowed else "blocked"
        return replace(exchange, outcome=outcome, verdict=verdict)

    preflight, own = traced.preflight, traced.request
    if preflight is not None and call.preflight is not None:
        answer = call.preflight.response
        preflight = seen(preflight, browser.judge_preflight(request, answer))
    if call.answers:
        answer = call.answers[0].response
        own = seen(own, browser.judge_response(request, answer))
    return replace(traced, preflight=preflight, request=own)


def cause_of_answers(
    seen: TracedCall, model: Gateway, is_pod: Callable[[GatewayAnswer], bool]
) -> Cause | None:
    """Return the cause, where the answers are known.

    A service without any CORS headers has no policy that refuses the call.
    """

    def without_policy(exchange: TracedExchange) -> TracedExchange:
        answer = exchange.answer
        is_bare = exchange.verdict.code == "acao_missing" and answer.kind == "forward"
        is_bare = is_bare and exchange.outcome == "blocked" and not is_pod(answer)
        return replace(exchange, outcome="depends") if is_bare else exchange

    preflight = None if seen.preflight is None else without_policy(seen.preflight)
    seen = replace(seen, preflight=preflight, request=without_policy(seen.request))
    cause = cause_of(seen, model, is_pod)
    if cause is None or cause.code != "service_unknown":
        return cause
    # its advice for files, to pass a policy, helps nobody who has seen the answer
    return replace(cause, code="service_refuses", text=f"{cause.text}, without CORS headers")


def _missing_service(call: PageCall) -> str:
    """Return the destination that the last request did not reach; empty if it reached one."""
    last = call.requests[-1] if isinstance(call, GatewayCall) and call.requests else None
    if last is None or not _UNREACHED & set(last.flags.split(",")):
        return ""
    return last.destination or ""


def _is_pod(answer: GatewayAnswer) -> bool:
    name = (answer.destination or "").rpartition(":")[0]
    return name == _POD[0] or name.startswith(f"{_POD[0]}.")


def _files(gateway: MeshGateway) -> Iterator[str]:
    for name in gateway.mesh.texts:
        # a text of the test's own, which no command can name
        yield "-" if name.startswith("<") else name
