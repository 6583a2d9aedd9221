"""Origin patterns as entries of Istio's ``allowOrigins``."""

from __future__ import annotations

import re
from typing import TypeAlias

from meshcors._policy.origins import OriginPattern
from meshcors._policy.regex import CompiledRegex, Regex

# "exact" or "regex", and the value.
OriginMatch: TypeAlias = tuple[str, str]


def origin_match(text: str) -> OriginMatch:
    """Return an origin or an origin pattern as the kind and value of a StringMatch.

    ``regex:`` marks a regex. ``https://*.example.com`` and ``http://localhost:*`` become one,
    because Istio's ``exact`` has no wildcards. Raises `OriginError`.
    """
    if text.startswith("regex:"):
        pattern = text.removeprefix("regex:")
        CompiledRegex(Regex(pattern))
        return "regex", pattern
    if text == "*":
        return "exact", text
    origin = OriginPattern.parse(text)
    if not (origin.subdomains or origin.port == "*"):
        return "exact", text
    below = r"([a-z0-9_-]+\.)+" if origin.subdomains else ""
    host = re.sub(r"[.\[\]]", r"\\\g<0>", origin.host)
    port = "(:[0-9]+)?" if origin.port == "*" else f":{origin.port}" if origin.port else ""
    return "regex", f"{origin.scheme}://{below}{host}{port}"
