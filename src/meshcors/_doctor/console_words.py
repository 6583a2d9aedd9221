"""The words by which a pasted message is recognised, as patterns over squeezed text.

They are made from the tables that the browser model prints from, so that both say the same.
Squeezed text has no white space and straight quotes: a paste may break lines anywhere.
"""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING, Final, TypeAlias

from meshcors.browser._chromium_console import CHROMIUM_INVALID_ORIGIN, CHROMIUM_REASONS
from meshcors.browser._firefox_console import FIREFOX_REASONS
from meshcors.browser._safari_console import SAFARI_REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors._doctor.causes import ConsoleCode

Patterns: TypeAlias = "tuple[tuple[ConsoleCode, re.Pattern[str]], ...]"

_QUOTES: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        # what is invisible in a copied text
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\0"),
    }
)
# What stands for a placeholder. Each is bounded: a pattern must not run through a whole paste.
_GROUPS: Final = {
    "value": ".{0,4096}?",
    "field": "[!#$%&'*+.^_|~0-9A-Za-z-]{1,128}?",
    "status": r"\d{3}|\(null\)",
    "origin": r"null|[a-z][a-z0-9+.-]{0,20}://[^/]{1,260}?",
}
# Older versions end before the status.
_STATUS: Final = re.compile(r"(?:\\\)\\\.)?Statuscode:.*$")


def squeezed(text: str) -> str:
    """Return `text` without white space, and with straight quotes."""
    return "".join(text.translate(_QUOTES).split())


def pattern(template: str) -> str:
    """Return the pattern of what `template`, a text with placeholders, becomes when squeezed."""
    made = ""
    for literal, name, _, _ in Formatter().parse(template):
        made += re.escape(squeezed(literal))
        if name is not None:
            made += f"(?P<{name}>{_GROUPS[name]})"
    return _STATUS.sub(lambda found: f"(?:{found[0]})?", made)


def _compiled(rows: Iterable[tuple[ConsoleCode, str]]) -> Patterns:
    return tuple((code, re.compile(pattern(template))) for code, template in rows)


# What follows the reason differs between versions.
CHROMIUM: Final = _compiled(
    [
        *(
            (code, text.partition(". Have")[0].rstrip("."))
            for code, text in CHROMIUM_REASONS.items()
        ),
        ("acao_mismatch", CHROMIUM_INVALID_ORIGIN.partition(". Have")[0]),
        # third_party/blink/renderer/platform/loader/cors/cors_error_string.cc
        ("private_network", "Permission was denied for this request to access the '{field}'"),
        ("private_network", "The request client is not a secure context and the resource is in"),
        ("private_network", "Request had a target IP address space of '{field}'"),
        ("private_network", "No 'Access-Control-Allow-Private-Network' header was present"),
        ("private_network", "The 'Access-Control-Allow-Private-Network' header in the preflight"),
        ("opaque", "Cross origin requests are not allowed by request mode"),
        ("network_error", "Cross origin requests are only supported for protocol schemes"),
        ("network_error", "Redirect location '{value}' contains a username and password"),
        # older versions
        ("preflight_not_ok", "Response for preflight has invalid HTTP status code {status}"),
    ]
)


def _reason(template: str) -> str:
    """Return a reason of Firefox's out of its parentheses; a status follows in newer versions."""
    reason = template.removeprefix("(Reason: ")
    before, status, _ = reason.partition(" Status code: ")
    return f"{before}{status}{{status}}." if status else reason.removesuffix(".")


FIREFOX: Final = _compiled(
    [
        *((code, _reason(text)) for code, text in FIREFOX_REASONS.items()),
        # dom/locales/en-US/chrome/security/security.properties
        ("network_error", "CORS request not http"),
        ("acao_multiple", "Multiple CORS header 'Access-Control-Allow-Origin' not allowed"),
        # older versions
        ("preflight_not_ok", "CORS preflight channel did not succeed"),
        (
            "header_not_allowed",
            "missing token '{field}' in CORS header 'Access-Control-Allow-Headers'",
        ),
    ]
)
# A value at the end of a line has no end in squeezed text, and is not needed.
SAFARI: Final = _compiled(
    (code, template.removesuffix("{value}"))
    for code, template in SAFARI_REASONS.items()
    # its words are those of acao_missing
    if code != "acao_mismatch"
)
