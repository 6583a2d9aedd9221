"""What findings say once all are known: their object, and the command or document in a hint."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.object_names import ObjectNames
from meshcors.mesh._lint.commands import FIX, SEPARATE, fix_command
from meshcors.mesh._lint.origins import star_with_credentials
from meshcors.mesh._lint.other_objects import owned_documents
from meshcors.mesh._lint.running import running_files
from meshcors.mesh._lint.unanswered import unanswered_preflights

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.object_names import NamedObject
    from meshcors.mesh._lint.finding import Diagnostic

_ADD: Final = re.compile(rf"add a rule for preflights.*: {re.escape(FIX)}")
# What a controller writes is left as it is.
_BESIDE: Final = f"add a second document, for preflights: {SEPARATE}"
_APART: Final = (
    (f"add a rule for preflights before this one: {FIX}", _BESIDE),
    (f"add a rule for preflights: {FIX}", _BESIDE),
    (f"name the origins: {FIX}", "name the origins"),
)


class HintCompletion:
    """Completes the findings of a mesh, ``diagnostics``.

    ``files`` are the arguments that commands name.
    """

    def __init__(
        self, mesh: MeshDocuments, diagnostics: Iterable[Diagnostic], files: Sequence[str]
    ) -> None:
        self._mesh, self._files = mesh, files
        self._names = ObjectNames(mesh)
        self._running = running_files(mesh)
        places = (each.place for each in diagnostics if _ADD.search(each.hint))
        self._lost = {self._key(self._names.at(place)) for place in places}

    def completed(self, diagnostic: Diagnostic) -> Diagnostic:
        """Return a finding with its object's name and a hint that can be followed as it stands."""
        found = self._names.at(diagnostic.place)
        return replace(
            diagnostic,
            hint=self._hint(diagnostic, found),
            object=found.name if found else "",
            is_alone=found is None or found.is_alone,
        )

    def _hint(self, diagnostic: Diagnostic, found: NamedObject | None) -> str:
        hint, is_problem = diagnostic.hint, diagnostic.rule.check is None
        if diagnostic.place.file in self._running and not is_problem:
            source = found.source if found else ""
            return f"{hint}, in {source or 'the document that this comes from'}"
        if FIX not in hint:
            return hint
        key = self._key(found)
        if key in self._owned:
            for before, after in _APART:
                hint = hint.replace(before, after)
        if key not in self._lost:
            # then fix would find nothing to write
            hint = hint.removesuffix(f": {SEPARATE}")
        return hint.replace(FIX, self._command)

    @staticmethod
    def _key(found: NamedObject | None) -> tuple[str, str]:
        return (found.place.file, found.name) if found else ("", "")

    @cached_property
    def _command(self) -> str:
        # fix asks for origins where a policy has none that it could keep
        asking = (*star_with_credentials(self._mesh), *unanswered_preflights(self._mesh))
        needs_origins = any(FIX in finding.hint for finding in asking)
        return fix_command(self._files, needs_origins=needs_origins)

    @cached_property
    def _owned(self) -> set[tuple[str, str]]:
        """The documents that controllers write, by file and name."""
        return {
            (document.place.file, f"{document.kind} {document.label}")
            for document, _ in owned_documents(self._mesh)
        }
