"""The CORS filter of an HTTPRoute, as plain data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from meshcors._policy.errors import OriginError
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._documents.http_route import ANY_ORIGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcors.mesh._documents.model import StringMatch

# CORSOrigin in apis/v1/shared_types.go.
_ORIGIN: Final = re.compile(
    r"\*|https?://((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?"
)


def cors_filter(
    origins: Sequence[str],
    *,
    methods: Sequence[str],
    headers: Sequence[str],
    credentials: bool | None,
    max_age: int | None,
) -> dict[str, Any]:
    """Return the filter of a rule for preflights; `origins` are as `cors_origin` spells them.

    It exposes no headers: the answers to preflights need none.
    """
    made: dict[str, Any] = {
        "allowOrigins": list(origins),
        "allowMethods": list(methods),
        "allowHeaders": list(headers),
        "allowCredentials": credentials,
        # The API server refuses 0.
        "maxAge": None if max_age is None else max(max_age, 1),
    }
    cors = {name: value for name, value in made.items() if value not in ([], None, False)}
    return {"type": "CORS", "cors": cors}


def cors_origin(match: StringMatch) -> str | None:
    """Return the entry of a CORS filter that allows what `match` does; None if there is none."""
    text = match.value + ("*" if match.kind == "prefix" else "")
    if match.kind == "regex":
        text = "*" if match.value == ANY_ORIGIN else _without_regex(match.value)
    return text if is_cors_origin(text) else None


def is_cors_origin(text: str) -> bool:
    """Tell whether a CORS filter may have this entry."""
    return _ORIGIN.fullmatch(text) is not None


def _without_regex(pattern: str) -> str:
    """Return the origin or the pattern of which `origin_match` or an HTTPRoute makes a regex."""
    # An HTTPRoute's own, as `http_route` reads it.
    inner = re.fullmatch(r"\^(.*)\$", pattern)
    if inner:
        return re.sub(r"\\(.)", r"\1", inner[1].replace(".*", "*"))
    text = pattern.replace(r"([a-z0-9_-]+\.)+", "*.").replace(r"\.", ".")
    try:
        return text if origin_match(text) == ("regex", pattern) else ""
    except OriginError:
        return ""
