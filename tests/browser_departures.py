"""Where an engine does not follow the standard: exactly what it does instead, case by case.

The matrix demands exactly this, so that it fails when an engine changes. docs/browser.md explains
each departure by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.browser_cases import API, PAGE


@dataclass(frozen=True)
class Departure:
    """What an engine does with one case instead; None: as the standard says.

    ``preflights`` are those that it sends, as `play` gives them; ``message`` is its console
    line from the URL on; ``covered`` is about a `CacheCase`. ``name`` is that of a row in
    docs/browser.md.
    """

    name: str
    allowed: bool | None = None
    preflights: tuple[tuple[str, str, str], ...] | None = None
    message: str | None = None
    covered: bool | None = None


NO_PREFLIGHT: tuple[tuple[str, str, str], ...] = ()
JOINED = (("GET", "accept,accept-language,content-language", PAGE),)
EVERY_ENGINE = ("chromium", "firefox", "webkit")


def _departures() -> Iterator[tuple[str, str, Departure]]:
    for engine in EVERY_ENGINE:
        star = Departure("authorization-under-star", allowed=True)
        yield "header-authorization-star", engine, star
        yield "cache-negative", engine, Departure("negative-max-age", covered=False)

    yield "header-user-agent", "chromium", Departure("user-agent-ignored", preflights=NO_PREFLIGHT)
    for hint in ("dpr", "save-data"):
        departure = Departure("client-hints-safelisted", preflights=NO_PREFLIGHT)
        yield f"safelist-{hint}", "chromium", departure
    for engine in ("chromium", "webkit"):
        yield "safelist-total-1024", engine, Departure("values-joined", preflights=JOINED)
    yield "safelist-total-1025", "firefox", Departure("no-total-limit", preflights=NO_PREFLIGHT)
    announced = (("GET", "accept", PAGE),)
    departure = Departure("non-ascii-unsafe", preflights=announced)
    yield "safelist-accept-latin1", "firefox", departure
    departure = Departure("range-unit-case-insensitive", preflights=NO_PREFLIGHT)
    yield "safelist-range-upper", "webkit", departure

    for status, method in ((301, "POST"), (302, "POST"), (303, "POST"), (303, "PUT")):
        for engine, names in (("firefox", ""), ("webkit", "content-type")):
            sent = ((method, "content-type", PAGE), ("GET", names, PAGE))
            departure = Departure("preflight-of-a-redirected-get", preflights=sent)
            yield f"redirect-{status}-{method}", engine, departure
    kept = (("GET", "authorization,x-a", PAGE), ("GET", "authorization,x-a", "null"))
    departure = Departure("authorization-announced-after-redirect", preflights=kept)
    yield "redirect-authorization", "webkit", departure
    for case_id, names in (("authorization", "authorization,x-a"), ("preflight-again", "x-a")):
        sent = (("GET", names, PAGE), ("GET", "x-a", PAGE))
        departure = Departure("origin-of-a-redirected-preflight", preflights=sent)
        yield f"redirect-{case_id}", "firefox", departure

    line = (
        f"{API}/network-response. (Reason: Multiple CORS header "
        "\u2018Access-Control-Allow-Origin\u2019 not allowed)."
    )
    yield "network-response", "firefox", Departure("words-for-a-closed-connection", message=line)
    line = "ftp://files.example/redirect-scheme/1. (Reason: CORS request not http)."
    yield "redirect-scheme", "firefox", Departure("words-for-another-scheme", message=line)
    for name in ("malformed", "lines"):
        yield f"cache-{name}", "firefox", Departure("malformed-max-age", covered=False)
    departure = Departure("cache-by-exact-credentials", covered=False)
    yield "cache-fewer-credentials", "firefox", departure
    for name in ("star-method", "star-name"):
        yield f"cache-{name}", "firefox", Departure("star-not-cached", covered=False)


DEPARTURES: dict[tuple[str, str], Departure] = {
    (case_id, engine): departure for case_id, engine, departure in _departures()
}
