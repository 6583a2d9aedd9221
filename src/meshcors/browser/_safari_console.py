"""What Safari prints in its console, per fault, with the values filled in: two lines.

The reason, which names no URL, and after it the URL, which names no reason. WebKit:
Source/WebCore/loader/CrossOriginAccessControl.cpp, CrossOriginPreflightResultCache.cpp and
ThreadableLoader.cpp; of a redirect, Source/WebKit/NetworkProcess/NetworkLoadChecker.cpp. The
project's tests compare it with the console of WebKitGTK.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from meshcors.browser._faults import Code, Fault
from meshcors.browser._request_response import Request

_NOT_ALLOWED: Final = (
    "Origin {origin} is not allowed by Access-Control-Allow-Origin. Status code: {status}"
)
SAFARI_REASONS: Final[Mapping[Code, str]] = {
    "preflight_not_ok": "Preflight response is not successful. Status code: {status}",
    "acao_missing": _NOT_ALLOWED,
    "acao_mismatch": _NOT_ALLOWED,
    "acao_multiple": "Access-Control-Allow-Origin cannot contain more than one origin.",
    "acao_wildcard_with_credentials": (
        "Cannot use wildcard in Access-Control-Allow-Origin when credentials flag is true."
    ),
    "acac_not_true": (
        'Credentials flag is true, but Access-Control-Allow-Credentials is not "true".'
    ),
    "methods_malformed": "Header Access-Control-Allow-Methods has an invalid value: {value}",
    "headers_malformed": "Header Access-Control-Allow-Headers has an invalid value: {value}",
    "method_not_allowed": "Method {field} is not allowed by Access-Control-Allow-Methods.",
    "header_not_allowed": (
        "Request header field {field} is not allowed by Access-Control-Allow-Headers."
    ),
}
# Source/WebCore/platform/network/HTTPHeaderNames.in, of which these are in what a script can set.
# They come first, and Safari writes them so; other names it writes as the script does.
_NAMES: Final = (
    "Accept Accept-Language Accept-Ranges Age Authorization Cache-Control Content- "
    "Disposition Content-Encoding Content-Language Content-Location Content-Range Content- "
    "Security-Policy Content-Type Cross-Origin-Resource-Policy Default-Style ETag Expires "
    "If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Last-Event-ID "
    "Last-Modified Link Location Ping-From Ping-To Pragma Range Referrer-Policy Refresh "
    "Reporting-Endpoints Server-Timing Service-Worker-Allowed SourceMap Timing-Allow-Origin "
    "Upgrade-Insecure-Requests User-Agent Vary X-Content-Type-Options X-Frame-Options "
    "X-SourceMap X-Temp-Tablet X-XSS-Protection"
)
_KNOWN_NAMES: Final = {name.lower(): name for name in _NAMES.split()}


def first_name(request: Request, names: Sequence[str]) -> str:
    """Return which of `names`, header names that `request` has, Safari names, as it writes it."""
    listed = [name for name, _ in request.headers if name in names]
    first = next((name for name in listed if name in _KNOWN_NAMES), listed[0])
    return _KNOWN_NAMES.get(first, first)


def safari_lines(request: Request, fault: Fault, status: int, redirect: str) -> str:
    """Return the lines that Safari prints for `fault` in an answer with that status.

    `redirect` is where the answer to the call itself leads, if it is a redirect.
    """
    code, field, value = fault
    if code == "network_error":
        # the rest is the network library's: "Could not connect to 127.0.0.1: Connection refused"
        return "Failed to load resource: …"
    reason = SAFARI_REASONS[code].format(
        origin=request.origin, status=status, field=field, value=value
    )
    if redirect:
        reason = (
            f"Cross-origin redirection to {redirect} "
            f"denied by Cross-Origin Resource Sharing policy: {reason}"
        )
    return f"{reason}\nFetch API cannot load {request.url} due to access control checks."
