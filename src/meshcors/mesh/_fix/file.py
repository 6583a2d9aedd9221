"""A file that is to be fixed: its text, the YAML nodes of the text, and the documents in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._documents.reading import read_objects
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

    def refuse_if_empty(self) -> None:
        """Raise ``DocumentError`` if the file has no VirtualService."""
        documents = self.mesh.documents
        if not any(document.kind == "VirtualService" for document in documents):
            raise nothing_to_read(self.name, has_routes=bool(documents))


def read_file(text: str, name: str) -> File:
    """Read a text; ``DocumentError`` if it does not load."""
    read = read_objects(text, name).checked()
    return File(name, text, read.roots, MeshDocuments(read.documents, read.others, {name: text}))
