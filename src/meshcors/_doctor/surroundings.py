"""What browsers decide apart from CORS: mixed content, private addresses, a proxy. Pure.

Mixed Content (https://www.w3.org/TR/mixed-content/) and Local Network Access
(https://wicg.github.io/local-network-access/).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from meshcors._doctor.proxies import is_this_machine
from meshcors._doctor.rules import FoundFault, fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors import browser
    from meshcors._doctor.consultation import Consultation, TriedRequest

# Those before https://github.com/WebKit/WebKit/pull/41238.
_OLD_SAFARI: Final = " Older versions of Safari block http from an https page even then."
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
        yield fault("mixed_content", consultation, first if is_first else mixed, host=host)
    if not _is_private_page(consultation.request.origin):
        private = next((each for each in consultation.addresses if _is_private(each)), "")
        if private:
            request = consultation.request
            is_insecure = request.origin.startswith("https:") and request.url.startswith("http:")
            value = _OLD_SAFARI if is_insecure else ""
            yield fault("private_network", consultation, first, host=private, value=value)
    if consultation.proxy:
        yield fault("proxy_not_used", consultation, first, value=consultation.proxy)


def _is_private_page(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    return is_this_machine(host) or _is_private(host) or host.endswith(_LOCAL_NAMES)


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False
