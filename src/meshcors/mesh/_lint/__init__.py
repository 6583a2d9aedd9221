"""What is wrong with CORS in a mesh's documents: a table of rules over documents and model.

`lint` is pure: texts in, findings out. `meshcors.mesh._lint.formats` prints them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.reading import read_objects
from meshcors.mesh._documents.source import lines_of
from meshcors.mesh._lint.finding import Diagnostic, LintRule
from meshcors.mesh._lint.rules import BAD_REGEX, RULES, WOULD_NOT_LOAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._documents.problems import DocumentProblem

__all__ = ["RULES", "Diagnostic", "LintRule", "findings_in", "lint"]

# Faults of the file itself, which no rule is about: nothing of such a file is read.
UNREADABLE: Final = frozenset(
    {"yaml", "yaml_missing", "too_large", "too_deep", "alias_bomb", "duplicate_key"}
)
_IGNORE: Final = re.compile(r"(?:^|\s)#\s*meshcors:\s*ignore\s+(MC\d{3}(?:[\s,]+MC\d{3})*)")


def lint(texts: Mapping[str, str], rules: Iterable[LintRule] = RULES) -> list[Diagnostic]:
    """Return what ``rules`` find in all files together, in the order of their places.

    ``texts`` maps a file's name to its content. A document that would not load is a finding and
    is left out of the model. ``DocumentError`` is raised for a file that is no readable YAML.
    ``# meshcors: ignore MC014`` on a line, or on a line of its own above, silences rules there.
    """
    documents: list[VirtualService] = []
    others: list[Cursor] = []
    refused: list[DocumentProblem] = []
    for file, text in texts.items():
        read = read_objects(text, file)
        if any(map(_is_unreadable, read.problems)):
            raise DocumentError(read.problems)
        documents += read.documents
        others += read.others
        refused += read.problems
    mesh = MeshDocuments(tuple(documents), tuple(others), dict(texts))
    return findings_in(mesh, rules, map(_refused, refused))


def findings_in(
    mesh: MeshDocuments, rules: Iterable[LintRule] = RULES, before: Iterable[Diagnostic] = ()
) -> list[Diagnostic]:
    """Return what ``rules`` find in files that are read, with what was found ``before``.

    See `lint`.
    """
    chosen = {rule.id: rule for rule in rules}
    found = set(before)
    for rule in chosen.values():
        hits = rule.check(mesh) if rule.check else ()
        found.update(Diagnostic(rule, hit.place, hit.reason, hit.hint) for hit in hits)
    ignored = {file: _ignored(text) for file, text in mesh.texts.items()}
    kept = (
        finding
        for finding in found
        if finding.rule.id in chosen
        and finding.rule.id not in ignored[finding.place.file].get(finding.place.line, ())
    )
    return sorted(kept, key=lambda finding: (finding.place, finding.rule.id, finding.reason))


def _is_unreadable(problem: DocumentProblem) -> bool:
    # without RE2 nothing can be said about a regex
    return problem.code in UNREADABLE or "meshcors[regex]" in problem.message


def _refused(problem: DocumentProblem) -> Diagnostic:
    rule = BAD_REGEX if problem.code == "regex" else WOULD_NOT_LOAD
    where = f"{problem.path}: " if problem.path else ""
    return Diagnostic(rule, problem.place, where + problem.message, problem.hint)


def _ignored(text: str) -> dict[int, set[str]]:
    """Return the ids that comments silence, by line."""
    found: dict[int, set[str]] = {}
    for number, line in enumerate(lines_of(text), start=1):
        comment = _IGNORE.search(line)
        if comment is not None:
            ids = set(re.findall(r"MC\d{3}", comment[1]))
            alone = line.lstrip().startswith("#")
            found.setdefault(number + alone, set()).update(ids)
    return found
