"""Which entries of ``allowOrigins`` allow any site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._routing.matching import compiled

if TYPE_CHECKING:
    from meshcors.mesh._documents.model import StringMatch

# Nobody can own these (RFC 6761 6.4): a policy that lets them in lets in anyone.
STRANGERS: Final = ("https://stranger.invalid", "http://stranger.invalid")


def is_open(origin: StringMatch) -> bool:
    """Tell whether an entry allows any site: ``*``, or a regex or prefix for any origin."""
    if origin.kind == "exact":
        return origin.value == "*"
    if origin.kind == "prefix":
        return any(stranger.startswith(origin.value) for stranger in STRANGERS)
    return any(map(compiled(origin.value).fullmatch, ("*", *STRANGERS)))
