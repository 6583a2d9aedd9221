"""What Chromium prints in its console, per fault, with the values filled in.

third_party/blink/renderer/platform/loader/cors/cors_error_string.cc. The project's tests compare
it with the real console.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from meshcors.browser._faults import Code, Fault, Step
from meshcors.browser._request_response import Request

_BAD_VALUE: Final = "Have the server send the header with a valid value."
_IF_INCLUDE: Final = "when the request's credentials mode is 'include'."
CHROMIUM_REASONS: Final[Mapping[Code, str]] = {
    "preflight_redirect": "Redirect is not allowed for a preflight request.",
    "acao_missing": (
        "No 'Access-Control-Allow-Origin' header is present on the requested resource."
    ),
    "acao_multiple": (
        "The 'Access-Control-Allow-Origin' header contains multiple values '{value}', "
        f"but only one is allowed. {_BAD_VALUE}"
    ),
    "acao_mismatch": (
        "The 'Access-Control-Allow-Origin' header has a value '{value}' "
        f"that is not equal to the supplied origin. {_BAD_VALUE}"
    ),
    "acao_wildcard_with_credentials": (
        "The value of the 'Access-Control-Allow-Origin' header in the response "
        f"must not be the wildcard '*' {_IF_INCLUDE}"
    ),
    "acac_not_true": (
        "The value of the 'Access-Control-Allow-Credentials' header in the response "
        f"is '{{value}}' which must be 'true' {_IF_INCLUDE}"
    ),
    "preflight_not_ok": "It does not have HTTP ok status.",
    "methods_malformed": (
        "Cannot parse Access-Control-Allow-Methods response header field in preflight response."
    ),
    "headers_malformed": (
        "Cannot parse Access-Control-Allow-Headers response header field in preflight response."
    ),
    "method_not_allowed": (
        "Method {field} is not allowed by Access-Control-Allow-Methods in preflight response."
    ),
    "header_not_allowed": (
        "Request header field {field} is not allowed by Access-Control-Allow-Headers "
        "in preflight response."
    ),
}
CHROMIUM_INVALID_ORIGIN: Final = (
    f"The 'Access-Control-Allow-Origin' header contains the invalid value '{{value}}'. {_BAD_VALUE}"
)
# The faults of the CORS check, which a preflight's answer must pass as well.
OF_CORS_CHECK: Final = frozenset(
    {
        "preflight_redirect",
        "acao_missing",
        "acao_multiple",
        "acao_mismatch",
        "acao_wildcard_with_credentials",
        "acac_not_true",
        "preflight_not_ok",
    }
)

# Schemes whose URLs need a host. With any other scheme, Chromium accepts any text as a URL.
_WEB_SCHEMES: Final = frozenset({"ftp", "http", "https", "ws", "wss"})
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):[/\\]*(.*)", re.DOTALL)
_NO_HOST: Final = re.compile(r"[\x00-\x20#%/<>?@\[\\\]^|]")


def chromium_line(request: Request, step: Step, fault: Fault) -> str:
    """Return the line that Chromium prints for `fault` in the answer of `step`."""
    code, field, value = fault
    if code == "network_error":
        # ERR_CONNECTION_REFUSED, ERR_EMPTY_RESPONSE, ...: the model does not know which
        return "Failed to load resource: net::ERR_…"
    template = CHROMIUM_REASONS[code]
    if code == "acao_mismatch" and " " in value:
        template = CHROMIUM_REASONS["acao_multiple"]
    elif code == "acao_mismatch" and value != "null" and not _is_url(value):
        template = CHROMIUM_INVALID_ORIGIN
    first = request.redirected_from or request
    hops = "" if first is request else f" (redirected from '{first.url}')"
    check = ""
    if step == "preflight" and code in OF_CORS_CHECK:
        check = "Response to preflight request doesn't pass access control check: "
    return (
        f"Access to fetch at '{request.url}'{hops} from origin '{first.origin}' "
        f"has been blocked by CORS policy: {check}{template.format(field=field, value=value)}"
    )


def _is_url(text: str) -> bool:
    """Return whether Chromium can parse `text` as a URL."""
    found = _URL.fullmatch(text)
    if found is None or found[1].lower() not in _WEB_SCHEMES:
        return found is not None
    try:
        parts = urlsplit(f"{found[1]}://{found[2]}")
        host, _ = parts.hostname or "%", parts.port
    except ValueError:
        return False
    return _NO_HOST.search(host) is None
