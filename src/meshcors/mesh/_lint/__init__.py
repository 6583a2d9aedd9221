"""What is wrong with CORS in the documents of a mesh: a table of rules.

`lint` is pure: texts in, diagnostics out. `meshcors.mesh._lint.formats` prints them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.reading import read_objects
from meshcors.mesh._documents.yaml_nodes import lines_of
from meshcors.mesh._lint.canaries import with_canaries
from meshcors.mesh._lint.finding import Diagnostic, LintRule, summed_up
from meshcors.mesh._lint.rules import BAD_REGEX, RULES, WOULD_NOT_LOAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshcors.mesh._documents.cursor import Cursor
    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._documents.problems import DocumentProblem, Place
    from meshcors.mesh._lint.finding import Finding

__all__ = ["RULES", "Diagnostic", "LintRule", "diagnose", "lint", "read_mesh"]

# Problems of the whole file, of which nothing is read. No rule reports them.
UNREADABLE: Final = frozenset(
    {"yaml", "yaml_missing", "too_large", "too_deep", "alias_bomb", "duplicate_key"}
)
_IGNORE: Final = re.compile(r"(?:^|\s)#\s*meshcors:\s*ignore\s+(MC\d{3}(?:[\s,]+MC\d{3})*)")


def lint(texts: Mapping[str, str], rules: Iterable[LintRule] = RULES) -> list[Diagnostic]:
    """Return what ``rules`` find in all files together, sorted by place.

    ``texts`` maps the name of a file to its content. A document that would not load is reported
    and left out of the model. ``DocumentError`` is raised for a file that is not readable YAML.
    ``# meshcors: ignore MC014`` silences rules on its line, or if it stands alone, on the next.
    """
    mesh, unloaded = read_mesh(texts)
    return diagnose(mesh, rules, unloaded)


def read_mesh(texts: Mapping[str, str]) -> tuple[MeshDocuments, list[Diagnostic]]:
    """Return what all files hold together, and a diagnostic for each document that would not load.

    ``DocumentError`` is raised for a file that is not readable YAML.
    """
    documents: list[VirtualService] = []
    others: list[Cursor] = []
    problems: list[DocumentProblem] = []
    for file, text in texts.items():
        read = read_objects(text, file)
        if any(map(_is_unreadable, read.problems)):
            raise DocumentError(read.problems)
        documents += read.documents
        others += read.others
        problems += read.problems
    mesh = MeshDocuments(tuple(documents), tuple(others), dict(texts))
    return mesh, list(map(_from_problem, problems))


def diagnose(
    mesh: MeshDocuments, rules: Iterable[LintRule] = RULES, already: Iterable[Diagnostic] = ()
) -> list[Diagnostic]:
    """Return what ``rules`` find in documents that are read; see `lint`.

    ``already`` are diagnostics from reading them.
    """
    chosen = {rule.id: rule for rule in rules}
    silenced = {file: _silenced(text) for file, text in mesh.texts.items()}

    def is_kept(rule: LintRule, place: Place) -> bool:
        return rule.id in chosen and rule.id not in silenced[place.file].get(place.line, ())

    mesh = with_canaries(mesh)
    kept = {each for each in already if is_kept(each.rule, each.place)}
    for rule in chosen.values():
        findings: Iterable[Finding] = rule.check(mesh) if rule.check else ()
        findings = (each for each in findings if is_kept(rule, each.place))
        if rule.summary:
            findings = summed_up(findings, rule.summary)
        kept.update(Diagnostic(rule, each.place, each.reason, each.hint) for each in findings)
    return sorted(kept, key=lambda each: (each.place, each.rule.id, each.reason))


def _is_unreadable(problem: DocumentProblem) -> bool:
    # no regex can be checked without RE2
    return problem.code in UNREADABLE or "meshcors[regex]" in problem.message


def _from_problem(problem: DocumentProblem) -> Diagnostic:
    rule = BAD_REGEX if problem.code == "regex" else WOULD_NOT_LOAD
    where = f"{problem.path}: " if problem.path else ""
    return Diagnostic(rule, problem.place, where + problem.message, problem.hint)


def _silenced(text: str) -> dict[int, set[str]]:
    """Return the ids that comments silence, by line."""
    found: dict[int, set[str]] = {}
    for number, line in enumerate(lines_of(text), start=1):
        comment = _IGNORE.search(line)
        if comment is not None:
            ids = set(re.findall(r"MC\d{3}", comment[1]))
            alone = line.lstrip().startswith("#")
            found.setdefault(number + alone, set()).update(ids)
    return found
