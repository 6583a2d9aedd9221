"""The documents that a test gives: files, directories, or YAML as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from meshcors._policy.place import Place
from meshcors._policy.regular_file import FileError, read_content
from meshcors.mesh._analysis.mesh_documents import read_mesh
from meshcors.mesh._documents.problems import DocumentError, DocumentProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

# A text with a line break is YAML; any other names a file or a directory.
Documents: TypeAlias = str | Path | Sequence[str | Path]

_MAX_BYTES: Final = 16 * 1024 * 1024
_SUFFIXES: Final = (".yaml", ".yml", ".json")


def documents_of(given: Documents) -> MeshDocuments:
    """Return what the documents hold together.

    Of a directory these are its YAML and JSON files and those of the directories in it, without
    hidden ones; what is no object of Kubernetes there is left out. Raises `DocumentError` for
    anything that cannot be read.
    """
    texts: dict[str, str] = {}
    searched: set[str] = set()
    for each in [given] if isinstance(given, str | Path) else given:
        if isinstance(each, str) and "\n" in each:
            texts[f"<documents {len(texts) + 1}>" if texts else "<documents>"] = each
            continue
        path = Path(each)
        if path.is_dir():
            files = sorted(_files_in(path))
            searched.update(map(str, files))
        else:
            files = [path]
        texts.update((str(file), _text(file)) for file in files)
    mesh = read_mesh(texts)
    problems = [
        each
        for each in mesh.problems
        if each.code != "not_an_object" or each.place.file not in searched
    ]
    if problems:
        raise DocumentError(problems)
    return mesh


def _files_in(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        inner = path.relative_to(directory)
        hidden = any(part.startswith(".") for part in inner.parts)
        if path.suffix in _SUFFIXES and path.is_file() and not hidden:
            yield path


def _text(file: Path) -> str:
    try:
        return read_content(file, _MAX_BYTES).decode()
    except FileError as error:
        message, hint = error.hint, "name a file, a directory, or pass YAML with its line breaks"
    except UnicodeDecodeError:
        message, hint = "not UTF-8", "save the file as UTF-8"
    place = Place(str(file), 1, 1)
    raise DocumentError([DocumentProblem(place, "unreadable", "", message, hint)])
