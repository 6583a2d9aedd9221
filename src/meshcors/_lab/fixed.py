"""The documents as ``meshcors fix --with pod`` writes them.

Pure. What fix asks a person, which pages may call, the lab answers with its page's origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from meshcors.mesh import DocumentError
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._fix import FixOptions, FixResult, fix_mesh, separate_mesh

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcors._lab.settings import LabSettings
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

_IN_PLACE: Final = "As meshcors fix --with pod writes them, with the pod."
_SEPARATE: Final = (
    "With the second document that meshcors fix --with pod --separate writes, and the pod."
)


@dataclass(frozen=True, slots=True)
class FixedDocuments:
    """What ``fix`` makes of the documents, ``result`` is None if it refuses."""

    result: FixResult | None
    after: MeshDocuments
    change: str
    notes: tuple[str, ...]


def fixed_documents(mesh: MeshDocuments, settings: LabSettings, origin: str) -> FixedDocuments:
    """Fix the documents, or write a second one beside what a controller overwrites."""
    try:
        try:
            return _closed(mesh, settings, origin, fix_mesh, _IN_PLACE)
        except DocumentError as error:
            if "--separate" not in error.problems[0].hint:
                raise
            return _closed(mesh, settings, origin, _beside, _SEPARATE)
    except DocumentError as error:
        change = f"The same documents: meshcors fix cannot change them. {error.problems[0]}."
        return FixedDocuments(None, mesh, change, ())


_Fix: TypeAlias = "Callable[[MeshDocuments, FixOptions], FixResult]"


def _beside(mesh: MeshDocuments, options: FixOptions) -> FixResult:
    return separate_mesh(mesh, lambda name: f"{name} (second)", options)


def _closed(
    mesh: MeshDocuments, settings: LabSettings, origin: str, fix: _Fix, change: str
) -> FixedDocuments:
    """Fix the documents; where they do not say which pages may call, the lab's page may."""
    notes: tuple[str, ...] = ()
    try:
        result = fix(mesh, FixOptions("pod", settings.pod, (), settings.unmatched))
    except DocumentError as error:
        problem = error.problems[0]
        if problem.code != "origins_needed":
            raise
        named = (origin_match(origin),)
        result = fix(mesh, FixOptions("pod", settings.pod, named, settings.unmatched))
        said = f"{problem.message}: the lab allows {origin} instead; --origin names another"
        notes = (f"{problem.place}: {said}",)
    if all(mesh.texts.get(name) == text for name, text in result.texts.items()):
        change = "The same documents: meshcors fix finds nothing to change."
        return FixedDocuments(result, mesh, change, (*notes, *result.notes))
    return FixedDocuments(result, result.after, change, (*notes, *result.notes))
