"""Header names, methods and lists as RFC 9110 and the Fetch standard define them; no policy.

Names are compared in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

# RFC 9110 5.6.2
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# Fetch 2.2.1, "CORS-safelisted method": these need no permission.
SAFELISTED_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
# Fetch 2.2.1, "forbidden method": fetch() refuses them.
FORBIDDEN_METHODS: Final = frozenset({"CONNECT", "TRACE", "TRACK"})
# Fetch 2.2.1, "normalize a method": browsers send these in upper case however they were written.
NORMALIZED_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"})
# Standard methods that browsers send as written: a lower-case spelling can only be a mistake.
STANDARD_METHODS: Final = NORMALIZED_METHODS | FORBIDDEN_METHODS | {"PATCH", "QUERY"}

# Fetch 2.2.2, "CORS-safelisted request-header": announced only when the value is not a safe one.
SAFELISTED_REQUEST_HEADERS: Final = (
    "accept",
    "accept-language",
    "content-language",
    "content-type",
    "range",
)

# Fetch 2.2.2, "forbidden request-header": a page's script cannot set them.
FORBIDDEN_REQUEST_HEADERS: Final = frozenset(
    {
        "accept-charset",
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "access-control-request-private-network",
        "connection",
        "content-length",
        "cookie",
        "cookie2",
        "date",
        "dnt",
        "expect",
        "host",
        "keep-alive",
        "origin",
        "referer",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
_FORBIDDEN_PREFIXES: Final = ("proxy-", "sec-")

# Fetch 2.2.2, "forbidden response-header name": never shown to a script, exposed or not.
FORBIDDEN_RESPONSE_HEADERS: Final = frozenset({"set-cookie", "set-cookie2"})

# The response fields of the CORS protocol (Fetch 3.3.3), and Private Network Access's own.
CORS_RESPONSE_HEADERS: Final = (
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
)


def is_token(text: str) -> bool:
    """Tell whether `text` is a token (RFC 9110 5.6.2), as methods and field names are."""
    return _TOKEN.fullmatch(text) is not None


def token_at_start(text: str) -> str:
    """Return the token (RFC 9110 5.6.2) that `text` begins with, after white space; "" for none."""
    found = _TOKEN.match(text.lstrip())
    return found[0] if found else ""


def is_forbidden_request_header(name: str) -> bool:
    """Tell whether a page's script cannot set the request header `name` (lower case).

    Fetch 2.2.2, "forbidden request-header". The three method-override names are left out: they are
    forbidden only with some values.
    """
    return name in FORBIDDEN_REQUEST_HEADERS or name.startswith(_FORBIDDEN_PREFIXES)


def list_elements(value: str) -> Iterator[str]:
    """Yield the elements of a comma-separated list (RFC 9110 5.6.1), trimmed, empty ones left out.

    Elements are tokens: no quoted strings.
    """
    for element in value.split(","):
        trimmed = element.strip(" \t")
        if trimmed:
            yield trimmed
