"""What is wrong with a document: the place in the file, one sentence, and the hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# A file with ten thousand faults has one cause; the first few name it.
SHOWN_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: ``line`` and ``column`` count from 1, as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """One reason why a document would not load.

    ``code`` is stable and meant for programs (``unknown_field``, ``regex``), ``path`` is the field
    as in ``spec.http[0].match``, empty for faults of the YAML itself.
    """

    place: Place
    code: str
    path: str
    message: str
    hint: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{self.place}: {where}{self.message}; {self.hint}"


class DocumentError(ValueError):
    """Documents that Kubernetes, Istio or Envoy would refuse.

    ``problems`` holds all of them in the order of the file; the text has one line for each, at
    most ``SHOWN_PROBLEMS``.
    """

    def __init__(self, problems: Sequence[DocumentProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.place))
        lines = [str(problem) for problem in self.problems[:SHOWN_PROBLEMS]]
        if len(self.problems) > SHOWN_PROBLEMS:
            lines.append(f"... and {len(self.problems) - SHOWN_PROBLEMS} more")
        super().__init__("\n".join(lines))
