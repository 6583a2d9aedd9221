"""Where all engines of today let a preflight pass that the standard does not: docs/browser.md."""

from __future__ import annotations

from typing import Final

from meshcors import browser

_ACAH: Final = "access-control-allow-headers"


def as_today(
    request: browser.Request, preflight: browser.Response | None
) -> browser.Response | None:
    """Return the answer to a preflight as all engines take it today: * covers authorization."""
    if preflight is None or request.credentials == "include":
        return preflight
    if "*" not in preflight.elements(_ACAH):
        return preflight
    return browser.Response(preflight.status, (*preflight.headers, (_ACAH, "authorization")))


def passes_today(request: browser.Request, preflight: browser.Response | None) -> bool:
    """Return whether a preflight passes in an engine of today, if one is sent at all."""
    return browser.judge_preflight(request, as_today(request, preflight)).allowed
