"""What Chromium and Firefox print in their consoles, per fault, with the values filled in.

Chromium: third_party/blink/renderer/platform/loader/cors/cors_error_string.cc. Firefox, in English:
dom/locales/en-US/chrome/security/security.properties. The project's tests compare both with the
real consoles.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from meshcors.browser._request_response import Request

Step: TypeAlias = Literal["preflight", "response"]
Code: TypeAlias = Literal[
    "allowed",
    "network_error",
    "preflight_redirect",
    "acao_missing",
    "acao_multiple",
    "acao_mismatch",
    "acao_wildcard_with_credentials",
    "acac_not_true",
    "preflight_not_ok",
    "methods_malformed",
    "headers_malformed",
    "method_not_allowed",
    "header_not_allowed",
]
# The code, the field at fault, and the value that consoles quote.
Fault: TypeAlias = tuple[Code, str, str]
NO_FAULT: Final[Fault] = ("allowed", "", "")

_BAD_VALUE: Final = "Have the server send the header with a valid value."
_IF_INCLUDE: Final = "when the request's credentials mode is 'include'."
_CHROMIUM: Final[Mapping[Code, str]] = {
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
_CHROMIUM_NO_URL: Final = (
    f"The 'Access-Control-Allow-Origin' header contains the invalid value '{{value}}'. {_BAD_VALUE}"
)
# The faults of the CORS check, which a preflight's answer must pass as well.
_OF_CORS_CHECK: Final = frozenset(
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

# Firefox has one line for everything that fails when origins are compared.
_MISMATCH: Final = "(Reason: CORS header 'Access-Control-Allow-Origin' does not match '{value}')."
_FIREFOX: Final[Mapping[Code, str]] = {
    "network_error": "(Reason: CORS request did not succeed). Status code: (null).",
    "preflight_redirect": "(Reason: CORS request external redirect not allowed).",
    "acao_missing": (
        "(Reason: CORS header 'Access-Control-Allow-Origin' missing). Status code: {value}."
    ),
    "acao_multiple": _MISMATCH,
    "acao_mismatch": _MISMATCH,
    "acao_wildcard_with_credentials": (
        "(Reason: Credential is not supported "
        "if the CORS header 'Access-Control-Allow-Origin' is '*')."
    ),
    "acac_not_true": "(Reason: expected 'true' in CORS header 'Access-Control-Allow-Credentials').",
    "preflight_not_ok": (
        "(Reason: CORS preflight response did not succeed). Status code: {value}."
    ),
    "methods_malformed": (
        "(Reason: invalid token '{value}' in CORS header 'Access-Control-Allow-Methods')."
    ),
    "headers_malformed": (
        "(Reason: invalid token '{value}' in CORS header 'Access-Control-Allow-Headers')."
    ),
    "method_not_allowed": (
        "(Reason: Did not find method in CORS header 'Access-Control-Allow-Methods')."
    ),
    "header_not_allowed": (
        "(Reason: header '{field}' is not allowed according to header "
        "'Access-Control-Allow-Headers' from CORS preflight response)."
    ),
}

# Schemes whose URLs need a host. With any other scheme, Chromium accepts any text as a URL.
_WEB_SCHEMES: Final = frozenset({"ftp", "http", "https", "ws", "wss"})
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):[/\\]*(.*)", re.DOTALL)
_NO_HOST: Final = re.compile(r"[\x00-\x20#%/<>?@\[\\\]^|]")


def console_lines(
    request: Request, step: Step, fault: Fault, firefox_fault: Fault
) -> Mapping[str, str]:
    """Return the lines that "chromium" and "firefox" print; empty if there is no fault.

    `firefox_fault` is the fault that Firefox reports, which may be a different one.
    """
    if fault == NO_FAULT:
        return {"chromium": "", "firefox": ""}
    return {
        "chromium": _chromium(request, step, fault),
        "firefox": _firefox(request, firefox_fault),
    }


def _chromium(request: Request, step: Step, fault: Fault) -> str:
    code, field, value = fault
    if code == "network_error":
        # ERR_CONNECTION_REFUSED, ERR_EMPTY_RESPONSE, ...: the model does not know which
        return "Failed to load resource: net::ERR_…"
    template = _CHROMIUM[code]
    if code == "acao_mismatch" and " " in value:
        template = _CHROMIUM["acao_multiple"]
    elif code == "acao_mismatch" and value != "null" and not _is_url(value):
        template = _CHROMIUM_NO_URL
    first = request.redirected_from or request
    hops = "" if first is request else f" (redirected from '{first.url}')"
    check = ""
    if step == "preflight" and code in _OF_CORS_CHECK:
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


def _firefox(request: Request, fault: Fault) -> str:
    code, field, value = fault
    if request.is_same_origin:
        return ""
    url = "'{url}'" if code == "acao_wildcard_with_credentials" else "{url}"
    template = (
        "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote "
        f"resource at {url}. {_FIREFOX[code]}"
    )
    curly = re.sub("'([^']*)'", "\u2018\\1\u2019", template)
    return curly.format(url=request.url, field=field, value=value)
