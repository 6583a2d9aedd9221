"""Files in the directories of other programs: Helm's charts and kustomize's patches."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from meshcors._policy.place import Place
from meshcors._policy.regular_file import FileError, read_content
from meshcors._policy.wording import file_argument
from meshcors.mesh._analysis.untyped_objects import items_of, text_of, value_at
from meshcors.mesh._documents.cursor import Cursor, Report
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.unrendered import CHART, DIRECTORY, patch_problem
from meshcors.mesh._documents.yaml_nodes import MAX_CHARACTERS, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._documents.problems import DocumentProblem

_CHART_FILES: Final = ("Chart.yaml",)
_KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_PATCHES: Final = ("patches", "patchesStrategicMerge", "patchesJson6902")


class OtherPrograms:
    """Looks for the charts and kustomizations that files belong to; each is read once."""

    def __init__(self) -> None:
        self._found = cache(_file_of)
        self._patches = cache(_patches_of)

    def patch(self, file: str) -> DocumentProblem | None:
        """Return what a file is that a kustomization lists as a patch; None if none does."""
        for directory in _above(file):
            listing = self._found(directory, _KUSTOMIZATIONS)
            if listing and _resolved(Path(file)) in self._patches(listing):
                return self.located(patch_problem(Place(file, 1, 1)))
        return None

    def located(self, problem: DocumentProblem) -> DocumentProblem:
        """Return a problem whose command names the chart, or the kustomization's directory."""
        file, hint = problem.place.file, problem.hint
        if problem.code not in {"unrendered", "not_an_object"}:
            return problem
        for placeholder, names in ((CHART, _CHART_FILES), (DIRECTORY, _KUSTOMIZATIONS)):
            nearest = next((each for each in _above(file) if self._found(each, names)), None)
            if nearest is not None:
                hint = hint.replace(f" {placeholder} ", f" {_quoted(nearest)} ")
        return replace(problem, hint=hint)


def _above(file: str) -> Iterator[PurePath]:
    """Yield the directories that a file is in, as far as its name tells."""
    if not file.startswith("<"):
        yield from PurePath(file).parents


def _file_of(directory: PurePath, names: tuple[str, ...]) -> Path | None:
    return next((path for name in names if (path := Path(directory, name)).is_file()), None)


def _patches_of(kustomization: Path) -> frozenset[Path]:
    try:
        content = read_content(str(kustomization), MAX_CHARACTERS)
        roots = parse(content.decode(), str(kustomization))
    except (FileError, UnicodeDecodeError, DocumentError):
        return frozenset()
    found: set[Path] = set()
    for cursor in (Cursor(root, "", Report(str(kustomization))) for root in roots):
        for item in (item for name in _PATCHES for item in items_of(value_at(cursor, name))):
            text = text_of(item) or text_of(value_at(item, "path"))
            # a patch may stand here itself, in the place of a path
            if text and "\n" not in text:
                found.add(_resolved(kustomization.parent / text))
    return frozenset(found)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path


def _quoted(directory: PurePath) -> str:
    return shlex.quote(file_argument(str(directory)))
