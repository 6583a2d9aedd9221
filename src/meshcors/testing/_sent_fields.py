"""The fields that a browser sends with a preflight and with a call. Pure.

They are those of the Fetch standard, the script's own, and those that browsers add and servers look
at: ``user-agent``, ``referer`` (Referrer Policy, "strict-origin-when-cross-origin") and
``sec-fetch-*`` (Fetch Metadata Request Headers). No ``accept-encoding``: a body is read as it is.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from meshcors._policy.public_suffixes import public_suffixes
from meshcors.browser import preflight_for
from meshcors.browser._request_response import origin_of

if TYPE_CHECKING:
    from meshcors.browser import HeaderLines, Request

_USER_AGENT: Final = "Mozilla/5.0 (compatible; meshcors)"


def preflight_fields(request: Request) -> HeaderLines | None:
    """Return what is sent as the preflight of `request`; None if it needs none."""
    asked = preflight_for(request)
    return None if asked is None else (*asked, *_added(request))


def request_fields(request: Request) -> HeaderLines:
    """Return what is sent with `request` itself."""
    accept = () if _has(request, "accept") else (("accept", "*/*"),)
    # Fetch, "append a request `Origin` header"
    own = request.is_same_origin and request.method in ("GET", "HEAD")
    origin = () if own else (("origin", request.origin),)
    return (*request.headers, *accept, *origin, *_added(request))


def _has(request: Request, name: str) -> bool:
    return any(found == name for found, _ in request.headers)


def _added(request: Request) -> HeaderLines:
    page = (request.redirected_from or request).origin
    lines = [("user-agent", _USER_AGENT)]
    if page != "null" and not (page.startswith("https:") and request.url.startswith("http:")):
        lines.append(("referer", f"{page}/"))
    if _is_trustworthy(request.url):
        lines += [
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-site", _site(request, page)),
        ]
    return tuple(lines)


def _is_trustworthy(url: str) -> bool:
    """Tell whether `url` is potentially trustworthy (Secure Contexts 3.1)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _site(request: Request, page: str) -> str:
    """Return what ``sec-fetch-site`` says of the page and all URLs on the way to this one."""
    urls = {(request.redirected_from or request).url, request.url}
    if {origin_of(url) for url in urls} == {page}:
        return "same-origin"
    sites = {(urlsplit(url).scheme, _domain(urlsplit(url).hostname)) for url in (*urls, page)}
    return "same-site" if len(sites) == 1 else "cross-site"


def _domain(host: str | None) -> str:
    """Return the registrable domain of `host`, or the host if it has none."""
    if not host or "." not in host or host.replace(".", "").isdigit():
        return host or ""
    before = host.removesuffix(public_suffixes().suffix(host).name).rstrip(".")
    return host.removeprefix(before.rpartition(".")[0]).lstrip(".") if before else host
