"""How many rules and matches an HTTPRoute may have (apis/v1/httproute_types.go)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from meshcors.mesh._fix.errors import cannot_fix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._documents.model import VirtualService

_MOST_RULES: Final = 16
_MOST_MATCHES: Final = 64
_MOST_MATCHES_IN_ALL: Final = 128


def refuse_beyond_limits(documents: Iterable[VirtualService]) -> None:
    """Raise ``DocumentError`` for an HTTPRoute that the API server would refuse for its size."""
    for document in documents:
        if document.kind != "HTTPRoute":
            continue
        matches = Counter(rule.path for rule in document.http)
        for count, most, what in (
            (len(matches), _MOST_RULES, "rules"),
            (max(matches.values(), default=0), _MOST_MATCHES, "matches in a rule"),
            (matches.total(), _MOST_MATCHES_IN_ALL, "matches in all"),
        ):
            if count > most:
                message = f"the HTTPRoute would have {count} {what}; {most} are allowed"
                hint = "move some rules to an HTTPRoute of their own, or use --separate"
                raise cannot_fix(document.place_at("spec", "rules"), message, hint)
