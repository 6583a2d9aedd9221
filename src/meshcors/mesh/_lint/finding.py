"""A lint rule, what its check finds, and the two together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors.mesh._lint.links import docs_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from meshcors._policy.place import Place
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

# An error blocks browsers or lets strangers in, a warning may, a note marks what has no effect.
Severity: TypeAlias = Literal["error", "warning", "note"]


# The most that one line sums up.
_MOST_REASONS: Final = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule's check found something.

    ``document`` is the place of its document, if the rule sums up its findings by document.
    """

    place: Place
    reason: str
    hint: str
    document: Place | None = None


@dataclass(frozen=True, slots=True)
class LintRule:
    """One row of the table.

    ``name`` is for people, ``title`` says in one line what the rule finds. ``check`` looks at all
    documents together; it is None if reading the documents already finds it. With ``summary``,
    such as ``names without effect in {} lists``, there is one finding for each document.
    """

    id: str
    severity: Severity
    name: str
    title: str
    check: Callable[[MeshDocuments], Iterator[Finding]] | None = None
    summary: str = ""

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

    A ``note``, which has a name of its own, makes other findings incomplete or doubtful. Nothing is
    wrong: it is less than the rule's severity. ``object`` is what the place is in, as
    ``kind namespace/name``, if that has a name; ``is_alone`` says that the file has nothing else.
    """

    rule: LintRule
    place: Place
    reason: str
    hint: str
    note: str = ""
    object: str = ""
    is_alone: bool = True

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return "note" if self.note else self.rule.severity

    @property
    def name(self) -> str:
        """What kind of finding it is, for people: the rule's name."""
        return self.note or self.rule.name

    def __str__(self) -> str:
        kind = f"{self.severity} {self.rule.id} {self.name}"
        named = f"{self.object}: " if self.object and not self.is_alone else ""
        return f"{self.place}: {kind}: {named}{self.reason}; {self.hint}"


def summed_up(findings: Iterable[Finding], summary: str) -> Iterator[Finding]:
    """Yield one finding for each document, at the first place where something was found."""
    groups: dict[Place | None, list[Finding]] = {}
    for each in sorted(findings, key=lambda each: each.place):
        groups.setdefault(each.document, []).append(each)
    for group in groups.values():
        if len(group) == 1:
            yield group[0]
            continue
        reasons = list(dict.fromkeys(each.reason for each in group))
        more = [f"{len(reasons) - _MOST_REASONS} more"] if len(reasons) > _MOST_REASONS else []
        listed = "; ".join([*reasons[:_MOST_REASONS], *more])
        # "remove them" rather than "remove it"
        hint = max((each.hint for each in group), key=len)
        reason = f"{summary.format(len(group))}: {listed}"
        yield Finding(group[0].place, reason, hint, group[0].document)
