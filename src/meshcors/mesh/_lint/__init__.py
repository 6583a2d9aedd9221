"""What is wrong with CORS in the documents of a mesh: a table of rules.

`lint` is pure: texts in, diagnostics out. `meshcors.mesh._lint.formats` prints them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.mesh_documents import read_mesh
from meshcors.mesh._analysis.mesh_notes import NOTES
from meshcors.mesh._documents.yaml_nodes import lines_of
from meshcors.mesh._lint.canaries import with_canaries
from meshcors.mesh._lint.completion import HintCompletion
from meshcors.mesh._lint.finding import Diagnostic, LintRule, summed_up
from meshcors.mesh._lint.rules import BAD_REGEX, RULES, WOULD_NOT_LOAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshcors._policy.place import Place
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.problems import DocumentProblem
    from meshcors.mesh._lint.finding import Finding

__all__ = ["RULES", "Diagnostic", "LintRule", "diagnose", "lint"]

_IGNORE: Final = re.compile(r"(?:^|\s)#\s*meshcors:\s*ignore\s+(MC\d{3}(?:[\s,]+MC\d{3})*)")


def lint(texts: Mapping[str, str], rules: Iterable[LintRule] = RULES) -> list[Diagnostic]:
    """Return what ``rules`` find in all files together, sorted by place.

    ``texts`` maps the name of a file to its content. ``DocumentError`` is raised only if
    ruamel.yaml is not installed.
    """
    return diagnose(read_mesh(texts), rules)


def diagnose(
    mesh: MeshDocuments, rules: Iterable[LintRule] = RULES, files: Sequence[str] | None = None
) -> list[Diagnostic]:
    """Return what ``rules`` find in documents that are read, sorted by place.

    ``# meshcors: ignore MC014`` silences rules on its line, or if it stands alone, on the next.
    ``files`` are the arguments that commands in hints name; by default, all files.
    """
    chosen = {rule.id: rule for rule in rules}
    silenced = {file: _silenced(text) for file, text in mesh.texts.items()}

    def is_kept(rule: LintRule, place: Place) -> bool:
        ids = silenced.get(place.file, {}).get(place.line, ())
        return rule.id in chosen and rule.id not in ids

    problems = map(_from_problem, (*mesh.problems, *mesh.notes))
    kept = {each for each in problems if is_kept(each.rule, each.place)}
    mesh = with_canaries(mesh)
    for rule in chosen.values():
        findings: Iterable[Finding] = rule.check(mesh) if rule.check else ()
        findings = (each for each in findings if is_kept(rule, each.place))
        if rule.summary:
            findings = summed_up(findings, rule.summary)
        kept.update(Diagnostic(rule, each.place, each.reason, each.hint) for each in findings)
    completion = HintCompletion(mesh, kept, list(mesh.texts) if files is None else files)
    completed = map(completion.completed, kept)
    return sorted(completed, key=lambda each: (each.place, each.rule.id, each.reason))


def _from_problem(problem: DocumentProblem) -> Diagnostic:
    # without RE2 no regex can be checked
    bad_regex = problem.code == "regex" and "meshcors[regex]" not in problem.message
    rule = BAD_REGEX if bad_regex else WOULD_NOT_LOAD
    where = f"{problem.path}: " if problem.path else ""
    reason, note = where + problem.message, NOTES.get(problem.code, "")
    return Diagnostic(rule, problem.place, reason, problem.hint, note)


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
