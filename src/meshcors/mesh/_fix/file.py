"""A file that is to be fixed: its text, the YAML nodes of the text, and the documents in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meshcors.mesh._analysis.mesh_documents import MeshDocuments, read_mesh
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._fix.errors import nothing_to_read


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is read once.

    The documents of ``mesh`` find their own nodes among ``roots``, by path.
    """

    name: str
    text: str
    roots: tuple[Any, ...]
    mesh: MeshDocuments

    @classmethod
    def of(cls, mesh: MeshDocuments, name: str) -> File:
        """Return one file of a mesh, without the others."""
        own = mesh.of_file(name)
        return cls(name, own.texts[name], own.roots[name], own)

    def refuse_if_empty(self) -> None:
        """Raise ``DocumentError`` if the file has a problem, or no document to fix."""
        unknown = [each for each in self.mesh.notes if each.code == "delegate_missing"]
        if self.mesh.problems or unknown:
            raise DocumentError([*self.mesh.problems, *unknown])
        if not self.mesh.documents:
            raise nothing_to_read(self.name)


def read_file(text: str, name: str) -> File:
    """Read a text; ``DocumentError`` if it does not load."""
    file = File.of(read_mesh({name: text}), name)
    if file.mesh.problems:
        raise DocumentError(file.mesh.problems)
    return file
