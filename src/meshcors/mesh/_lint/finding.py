"""A lint rule, what its check finds, and the two together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from meshcors.mesh._lint.links import docs_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.problems import Place

# An error blocks browsers or lets strangers in, a warning may, a note marks what has no effect.
Severity: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule's check found something."""

    place: Place
    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class LintRule:
    """One row of the table.

    ``name`` is for people, ``title`` says in one line what the rule finds. ``check`` looks at all
    documents together; it is None if reading the documents already finds it.
    """

    id: str
    severity: Severity
    name: str
    title: str
    check: Callable[[MeshDocuments], Iterator[Finding]] | None = None

    @property
    def docs(self) -> str:
        """The link to the rule's page in the documentation."""
        return docs_link(f"lint/{self.id.lower()}.md")

    @property
    def explain_command(self) -> str:
        """The command that explains the rule, without a network."""
        return f"meshcors lint --explain {self.id}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding with the rule that made it.

    ``is_note`` marks what is not checked though nothing is wrong: less than the rule's severity.
    """

    rule: LintRule
    place: Place
    reason: str
    hint: str
    is_note: bool = False

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return "note" if self.is_note else self.rule.severity

    @property
    def name(self) -> str:
        """What kind of finding it is, for people: the rule's name."""
        return "not-checked" if self.is_note else self.rule.name

    def __str__(self) -> str:
        kind = f"{self.severity} {self.rule.id} {self.name}"
        return f"{self.place}: {kind}: {self.reason}; {self.hint}"
