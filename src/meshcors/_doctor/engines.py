"""What the three engines do with the answers, where they depart from the standard too.

Departures (docs/browser.md): for all of them `access-control-allow-headers: *` covers
``authorization``, and Chromium neither announces nor sends some headers that a script sets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors import browser
from meshcors._doctor.consultation import ACAO
from meshcors._doctor.today import as_today
from meshcors._policy.max_age import MAX_AGE_CAPS

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
# Fetch, "CORS-preflight fetch": without a max-age that is a number, but for what engines do with
# others (docs/browser.md).
_DEFAULT_MAX_AGE: Final = 5
_SECONDS: Final = re.compile("[0-9]{1,18}")
# What Chromium names a failure.
_NET_ERRORS: Final = {
    "dns": "net::ERR_NAME_NOT_RESOLVED",
    "refused": "net::ERR_CONNECTION_REFUSED",
    "closed": "net::ERR_EMPTY_RESPONSE",
    "reset": "net::ERR_CONNECTION_RESET",
    "timeout": "net::ERR_TIMED_OUT",
}
_MIXED: Final[dict[EngineName, str]] = {
    "chromium": "Mixed Content: The page at '{origin}/' was loaded over HTTPS, but requested an"
    " insecure resource '{url}'. This request has been blocked; the content must be served over"
    " HTTPS.",
    "firefox": "Blocked loading mixed active content “{url}”",
    "safari": "[blocked] The page at {origin}/ requested insecure content from {url}. This content"
    " was blocked and must be served over HTTPS.",
}


@dataclass(frozen=True, slots=True)
class EngineVerdict:
    """Whether the call works in an engine, and the line in its console; empty if there is none.

    `max_age` are the seconds for which it keeps the answer to the preflight; None if it keeps none.
    """

    works: bool
    console: str
    max_age: int | None = None


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
    return EngineVerdict(True, "", _max_age(consultation, engine))


def _max_age(consultation: Consultation, engine: EngineName) -> int | None:
    """Return how long an engine keeps the answer to the preflight, whatever that promises."""
    preflight = consultation.hops[0].preflight
    if preflight is None or preflight.response is None:
        return None
    value = preflight.response.get("access-control-max-age")
    if value is not None and _SECONDS.fullmatch(value):
        return min(int(value), MAX_AGE_CAPS["webkit" if engine == "safari" else engine])
    is_kept = value is None or not (engine == "firefox" or value.startswith("-"))
    return _DEFAULT_MAX_AGE if is_kept else None


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
    """Return an answer with the fields that a console quotes as they may be printed.

    That is the one that decides; Firefox looks at the origin first.
    """
    if response is None:
        return None
    fields = [
        (name, quote(value) if name in (ACAO, verdict.field) else value)
        for name, value in response.headers
    ]
    return browser.Response(response.status, fields)


def _shown_request(request: browser.Request, quote: Quoting) -> browser.Request:
    first = request.redirected_from
    url = quote.own_url(request.url) if first is None else quote.url(request.url)
    shown = None if first is None else _shown_request(first, quote)
    return replace(request, url=url, redirected_from=shown)
