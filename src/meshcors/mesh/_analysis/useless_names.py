"""Which names in the lists of a corsPolicy have no effect, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors._policy.headers import (
    FORBIDDEN_METHODS,
    FORBIDDEN_RESPONSE_HEADERS,
    SAFELISTED_METHODS,
)
from meshcors._policy.headers import is_forbidden_request_header as is_forbidden
from meshcors.mesh._documents.model import NAME_LISTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def useless_method(name: str) -> str:
    """Say why a method in ``allowMethods`` has no effect, or ``""``."""
    if name in SAFELISTED_METHODS:
        return "needs no permission"
    if name == "OPTIONS":
        return "is the preflight itself"
    return "is never sent by a page" if name in FORBIDDEN_METHODS else ""


def useless_header(name: str) -> str:
    """Say why a name in ``allowHeaders`` has no effect, or ``""``."""
    lowered = name.lower()
    if lowered == "user-agent":
        return "needs no permission"
    if is_forbidden(lowered) or lowered.startswith("access-control-"):
        return "cannot be set by a page"
    return ""


def useless_exposed_name(name: str) -> str:
    """Say why a name in ``exposeHeaders`` has no effect, or ``""``."""
    hidden = name.lower() in FORBIDDEN_RESPONSE_HEADERS
    return "is never shown to a page" if hidden else ""


# By field of the corsPolicy.
WHY_USELESS: Final[Mapping[str, Callable[[str], str]]] = dict(
    zip(NAME_LISTS, (useless_method, useless_header, useless_exposed_name), strict=True)
)
