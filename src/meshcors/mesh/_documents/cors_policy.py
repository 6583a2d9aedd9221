"""A ``corsPolicy``: YAML to `CorsPolicy`, with the checks of Istio's ``validateCORSPolicy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

from meshcors.mesh._documents import checks
from meshcors.mesh._documents.model import CORS_FIELDS, NAME_LISTS, CorsPolicy, StringMatch
from meshcors.mesh._documents.virtual_service_match import read_string_match

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcors.mesh._documents.cursor import Cursor

_FIELDS: Final = ("allowOrigin", *CORS_FIELDS, "unmatchedPreflights")


def read_cors_policy(cursor: Cursor) -> CorsPolicy:
    """Read a ``corsPolicy``."""
    fields = cursor.fields(_FIELDS)
    unmatched = "UNSPECIFIED"
    if "unmatchedPreflights" in fields:
        unmatched = fields["unmatchedPreflights"].choice("UNSPECIFIED", "FORWARD", "IGNORE")
    list_checks = (_method, checks.header_name_error, checks.header_name_error)
    methods, headers, exposed = (
        _checked(fields.get(name), check)
        for name, check in zip(NAME_LISTS, list_checks, strict=True)
    )
    return CorsPolicy(
        place=cursor.place,
        allow_origins=_origins(fields),
        allow_methods=methods,
        allow_headers=headers,
        expose_headers=exposed,
        max_age=_max_age(fields["maxAge"]) if "maxAge" in fields else None,
        allow_credentials=(
            fields["allowCredentials"].boolean() if "allowCredentials" in fields else None
        ),
        unmatched_preflights=cast('Literal["UNSPECIFIED", "FORWARD", "IGNORE"]', unmatched),
    )


def _origins(fields: dict[str, Cursor]) -> tuple[StringMatch, ...]:
    """Read ``allowOrigins``; if it is not set or empty, the older ``allowOrigin``.

    Source: ``TranslateCORSPolicy``.
    """
    items = fields["allowOrigins"].items() if "allowOrigins" in fields else []
    if not items:
        old = fields["allowOrigin"].strings() if "allowOrigin" in fields else []
        return tuple(StringMatch("exact", text, item.place) for text, item in old)
    found: list[StringMatch] = []
    for item in items:
        match = read_string_match(item, star=False)
        if not match.value and (item.is_null or item.node.id == "mapping"):
            item.problem("required", "an origin is missing", "write exact: https://ui.example")
        found.append(match)
    return tuple(found)


def _checked(cursor: Cursor | None, check: Callable[[str], str]) -> tuple[str, ...]:
    found: list[str] = []
    for text, item in cursor.strings() if cursor else ():
        if error := check(text):
            item.problem("name", error, "remove it or correct it")
        found.append(text)
    return tuple(found)


def _method(name: str) -> str:
    known = checks.CORS_METHODS
    return "" if name in known else f"Istio does not allow the method {name!r} in a corsPolicy"


def _max_age(cursor: Cursor) -> int:
    seconds = cursor.seconds()
    if seconds < 0.001:
        cursor.problem("duration", "shorter than 1ms", "write at least 1s")
    elif seconds != int(seconds):
        cursor.problem("duration", "maxAge must be whole seconds", "write 600s, for example")
    return int(seconds)
