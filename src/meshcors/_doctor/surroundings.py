"""What browsers decide apart from CORS: mixed content, private addresses, a proxy. Pure.

Mixed Content (https://www.w3.org/TR/mixed-content/) and Local Network Access
(https://wicg.github.io/local-network-access/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from meshcors._doctor.local_network import (
    is_local_address,
    is_local_by_name,
    is_this_machine,
)
from meshcors._doctor.rules import FoundFault, fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors import browser
    from meshcors._doctor.consultation import Consultation, TriedRequest

# Those before https://github.com/WebKit/WebKit/pull/41238.
_OLD_SAFARI: Final = " Older versions of Safari block http from an https page even then."
_CHROMIUM_ASKS: Final = (
    " Chromium alone does not where the URL has a private address or a name below .local: it asks"
    " the user first (Local Network Access)."
)
# Names that nobody reaches from the internet (RFC 6762, RFC 6761, RFC 8375, and common use).
_LOCAL_NAMES: Final = (".local", ".localhost", ".internal", ".home.arpa", ".lan", ".test")


def is_mixed_content(request: browser.Request) -> bool:
    """Tell whether browsers block the URL as insecure content of a secure page.

    A loopback address or name is as secure as https (Secure Contexts 3.1).
    """
    host = urlsplit(request.url).hostname or ""
    # a redirect may have turned the origin into null
    page = (request.redirected_from or request).origin
    is_insecure = page.startswith("https:") and request.url.startswith("http:")
    return is_insecure and not is_this_machine(host)


def is_asked_for(request: browser.Request) -> bool:
    """Tell whether Chromium asks the user, and so may send, where others see mixed content."""
    host = urlsplit(request.url).hostname or ""
    return request.redirected_from is None and is_local_by_name(host)


def mixed_request(consultation: Consultation) -> TriedRequest | None:
    """Return the call, or the redirect of it, that browsers block as mixed content, if one is."""
    calls = (hop.call for hop in consultation.hops)
    return next((each for each in calls if is_mixed_content(each.request)), None)


def around_the_call(consultation: Consultation) -> Iterator[FoundFault]:
    """Yield what browsers hold against the call before or apart from CORS."""
    first = consultation.tried[0]
    if mixed := mixed_request(consultation):
        is_first = mixed is consultation.hops[0].call
        host = consultation.quote(urlsplit(mixed.request.url).netloc)
        asked = _CHROMIUM_ASKS if is_asked_for(mixed.request) else ""
        tried = first if is_first else mixed
        yield fault("mixed_content", consultation, tried, host=host, value=asked)
    if not _is_private_page(consultation.request.origin):
        private = next((each for each in consultation.addresses if is_local_address(each)), "")
        if private:
            request = consultation.request
            is_insecure = request.origin.startswith("https:") and request.url.startswith("http:")
            value = _OLD_SAFARI if is_insecure else ""
            yield fault("private_network", consultation, first, host=private, value=value)
    if consultation.proxy:
        yield fault("proxy_not_used", consultation, first, value=consultation.proxy)


def _is_private_page(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    return is_this_machine(host) or is_local_address(host) or host.endswith(_LOCAL_NAMES)
