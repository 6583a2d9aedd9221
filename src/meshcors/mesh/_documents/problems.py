"""What is wrong with documents: a place in a file, one sentence, and the hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshcors._policy.wording import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors._policy.place import Place

# The text of an error shows this many problems: the first few of a thousand name their cause.
SHOWN_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """One reason why a document does not load.

    ``code`` is stable and meant for programs (``unknown_field``, ``regex``). ``path`` is the field,
    such as ``spec.http[0].match``; it is empty if the YAML itself is broken. ``message`` says what
    is wrong, and ``hint`` what to write instead.
    """

    place: Place
    code: str
    path: str
    message: str
    hint: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return printable(f"{self.place}: {where}{self.message}; {self.hint}")


class DocumentError(ValueError):
    """Documents that Kubernetes, Istio or Envoy would refuse.

    ``problems`` (a tuple of `DocumentProblem`) lists all of them in the order of the file. The text
    of the exception has one line for each, up to 20.
    """

    # The name to import it by, which a traceback shows.
    __module__ = "meshcors.mesh"

    def __init__(self, problems: Iterable[DocumentProblem]) -> None:
        self.problems: tuple[DocumentProblem, ...] = tuple(
            sorted(problems, key=lambda problem: problem.place)
        )
        lines = [str(problem) for problem in self.problems[:SHOWN_PROBLEMS]]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"... and {len(self.problems) - SHOWN_PROBLEMS} more")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,), self.__dict__
