"""What Firefox prints in its console, in English, per fault, with the values filled in.

dom/locales/en-US/chrome/security/security.properties. The project's tests compare it with the real
console.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from meshcors.browser._faults import Code, Fault
from meshcors.browser._request_response import Request

# Firefox has one line for everything that fails when origins are compared.
_MISMATCH: Final = "(Reason: CORS header 'Access-Control-Allow-Origin' does not match '{value}')."
FIREFOX_REASONS: Final[Mapping[Code, str]] = {
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


def firefox_line(request: Request, fault: Fault) -> str:
    """Return the line that Firefox prints for `fault`; empty if it prints none."""
    code, field, value = fault
    if request.is_same_origin:
        return ""
    url = "'{url}'" if code == "acao_wildcard_with_credentials" else "{url}"
    template = (
        "Cross-Origin Request Blocked: The Same Origin Policy disallows reading the remote "
        f"resource at {url}. {FIREFOX_REASONS[code]}"
    )
    curly = re.sub("'([^']*)'", "\u2018\\1\u2019", template)
    return curly.format(url=request.url, field=field, value=value)
