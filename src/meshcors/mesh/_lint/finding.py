"""What lint says: a rule of the table, a place, one sentence why, and the hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.problems import Place

# An error breaks browsers or lets strangers in, a warning may, a note has no effect.
Severity: TypeAlias = Literal["error", "warning", "note"]

DOCS: Final = "docs/lint.md"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule's check found something."""

    place: Place
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class LintRule:
    """One row of the table.

    ``name`` is for people, ``title`` one line of what the rule finds; ``check`` looks at all
    documents together. ``check`` is None for what reading the documents finds already.
    """

    id: str
    severity: Severity
    name: str
    title: str
    check: Callable[[MeshDocuments], Iterator[Finding]] | None = None

    @property
    def docs(self) -> str:
        """The rule's section in the documentation."""
        return f"{DOCS}#{self.id.lower()}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A hit with the rule that made it; findings sort by place."""

    rule: LintRule
    place: Place
    reason: str
    hint: str

    def __str__(self) -> str:
        rule = self.rule
        return (
            f"{self.place}: {rule.severity} {rule.id} {rule.name}: {self.reason};"
            f" {self.hint} ({rule.docs})"
        )
