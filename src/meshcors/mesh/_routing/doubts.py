"""What a running configuration holds and the model does not know: named, with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcors.mesh._documents.problems import Place


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that may change an answer, and that is not modelled.

    ``path`` is the field (``virtual_hosts[0].routes[1].match.filter_state``), ``reason`` says what
    is not known. A filter that ``only_denies`` sends no CORS headers of its own; one that
    ``spares_preflights`` lets every preflight pass. What is ``behind_cors`` never sees a preflight
    that the cors filter answers, and the cors filter still handles its answers.
    """

    place: Place
    path: str
    reason: str
    only_denies: bool = False
    spares_preflights: bool = False
    behind_cors: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.path}: {self.reason}" if self.path else self.reason
