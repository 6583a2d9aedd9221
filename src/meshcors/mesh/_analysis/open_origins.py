"""Which entries of ``allowOrigins`` allow any site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors._policy.strangers import STRANGERS
from meshcors.mesh._routing.matching import compiled

if TYPE_CHECKING:
    from meshcors.mesh._documents.model import StringMatch


def is_open(origin: StringMatch) -> bool:
    """Tell whether an entry allows any site: ``*``, or a regex or prefix for any origin."""
    if origin.kind == "exact":
        return origin.value == "*"
    if origin.kind == "prefix":
        return any(stranger.startswith(origin.value) for stranger in STRANGERS)
    return any(map(compiled(origin.value).fullmatch, ("*", *STRANGERS)))
