"""What a running configuration holds and the model does not know: named, with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcors._policy.place import Place


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that may change an answer, and that is not modelled.

    ``path`` is the field (``virtual_hosts[0].routes[1].match.filter_state``) or the filter, and
    ``reason`` the rest of a sentence about it. The other fields are about filters: one that
    ``only_denies`` sends no CORS headers of its own, and one that ``spares_preflights`` lets every
    preflight pass. A filter is ``in_front`` of the cors filter, or ``behind_cors``: then it never
    sees a preflight that the cors filter answers, and the cors filter still handles its answers.
    """

    place: Place
    path: str
    reason: str
    only_denies: bool = False
    spares_preflights: bool = False
    behind_cors: bool = False
    in_front: bool = False

    def __str__(self) -> str:
        return f"{self.path} ({self.place}) {self.reason}"
