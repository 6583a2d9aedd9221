"""What the three engines do with the answers, where they depart from the standard too.

Departures (docs/browser.md): for all of them `access-control-allow-headers: *` covers
``authorization``, and Chromium neither announces nor sends some headers that a script sets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors import browser
from meshcors._doctor.today import as_today

if TYPE_CHECKING:
    from collections.abc import Set

    from meshcors._doctor.consultation import Consultation
    from meshcors.testing._quoting import Quoting

EngineName: TypeAlias = Literal["chromium", "firefox", "safari"]
ENGINES: Final[tuple[EngineName, ...]] = ("chromium", "firefox", "safari")
# What needs no permission in an engine, beyond the standard.
_SAFELISTED_THERE: Final[dict[EngineName, Set[str]]] = {
    "chromium": {"user-agent", "dpr", "save-data"},
    "firefox": set(),
    "safari": set(),
}
# What Chromium names a failure.
_NET_ERRORS: Final = {
    "dns": "net::ERR_NAME_NOT_RESOLVED",
    "refused": "net::ERR_CONNECTION_REFUSED",
    "reset": "net::ERR_CONNECTION_RESET",
    "timeout": "net::ERR_TIMED_OUT",
}
_MIXED: Final[dict[EngineName, str]] = {
    "chromium": "Mixed Content: The page at '{origin}' was loaded over HTTPS, but requested an"
    " insecure resource '{url}'. This request has been blocked; the content must be served over"
    " HTTPS.",
    "firefox": "Blocked loading mixed active content “{url}”",
    "safari": "[blocked] The page at {origin} requested insecure content from {url}. This content"
    " was blocked and must be served over HTTPS.",
}


@dataclass(frozen=True, slots=True)
class EngineVerdict:
    """Whether the call works in an engine, and the line in its console; empty if there is none."""

    works: bool
    console: str


def engine_verdict(consultation: Consultation, engine: EngineName) -> EngineVerdict:
    """Return what becomes of the call in an engine, as far as CORS goes."""
    for preflight, call in consultation.hops:
        request, answer = _as_sent(engine, call.request), call.response
        asked = as_today(request, None if preflight is None else preflight.response)
        found = browser.judge(request, preflight=asked, response=answer)
        if not found.allowed:
            decisive = preflight if found.step == "preflight" else call
            console = _console(engine, consultation.quote, found, request, asked, answer)
            kind = decisive.exchange.kind if decisive and decisive.exchange else ""
            console = console.replace("net::ERR_…", _NET_ERRORS.get(kind, "net::ERR_…"))
            return EngineVerdict(False, console)
    return EngineVerdict(True, "")


def mixed_content(request: browser.Request, engine: EngineName, quote: Quoting) -> EngineVerdict:
    """Return what an engine does with an http URL on an https page, or a redirect to one."""
    page = (request.redirected_from or request).origin
    shown = quote.url if request.redirected_from else quote.own_url
    line = _MIXED[engine].format(origin=page, url=shown(request.url))
    return EngineVerdict(False, line)


def _as_sent(engine: EngineName, request: browser.Request) -> browser.Request:
    """Return a call as an engine makes it."""
    skipped = _SAFELISTED_THERE[engine]
    if not any(name in skipped for name, _ in request.headers):
        return request
    return replace(request, headers=tuple(x for x in request.headers if x[0] not in skipped))


def _console(
    engine: EngineName,
    quote: Quoting,
    verdict: browser.Verdict,
    request: browser.Request,
    asked: browser.Response | None,
    answer: browser.Response | None,
) -> str:
    """Return the console's line, without a query and what secrets the server sent back."""
    shown = browser.judge(
        _shown_request(request, quote),
        preflight=_shown_response(asked, verdict, quote),
        response=_shown_response(answer, verdict, quote),
    )
    if shown.code != verdict.code:
        return ""
    return shown.messages.get(engine) or shown.messages.get("webkit", "")


def _shown_response(
    response: browser.Response | None, verdict: browser.Verdict, quote: Quoting
) -> browser.Response | None:
    """Return an answer with the field that the console quotes as it may be printed."""
    if response is None or not verdict.field.startswith("access-control-"):
        return response
    fields = [
        (name, quote(value) if name == verdict.field else value) for name, value in response.headers
    ]
    return browser.Response(response.status, fields)


def _shown_request(request: browser.Request, quote: Quoting) -> browser.Request:
    first = request.redirected_from
    url = quote.own_url(request.url) if first is None else quote.url(request.url)
    shown = None if first is None else _shown_request(first, quote)
    return replace(request, url=url, redirected_from=shown)
