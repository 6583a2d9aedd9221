"""Documents that a controller writes: fix leaves them as they are."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.controllers import managed_documents, named_controller
from meshcors.mesh._analysis.open_origins import is_open
from meshcors.mesh._fix.errors import cannot_fix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._fix.blocked_calls import BlockedCalls

_MOST_FILES: Final = 4
_STDIN: Final = "<stdin>"


def refuse_owned(mesh: MeshDocuments, blocked: Iterable[BlockedCalls]) -> None:
    """Raise ``DocumentError`` if a controller would overwrite what is to be changed."""
    managed = managed_documents(mesh)
    opened = (
        each.document
        for each in mesh.policies
        if each.policy.allow_credentials and any(map(is_open, each.policy.allow_origins))
    )
    for document in (*(each.service for each in blocked), *opened):
        controller = named_controller(document) or managed.get(document.label, "")
        if controller:
            message = f"{controller} writes {document.label} and overwrites changes"
            raise cannot_fix(document.place, message, _instead(mesh, document, controller))


def _instead(mesh: MeshDocuments, document: VirtualService, controller: str) -> str:
    files = list(mesh.texts)
    names = (
        ["-" if file == _STDIN else shlex.quote(file) for file in files]
        if len(files) <= _MOST_FILES
        else ["FILE..."]
    )
    beside = f"write the rule beside it: meshcors fix {' '.join(names)} --separate"
    if controller.startswith("Flagger"):
        return f"change spec.service of the Canary, or {beside}"
    if document.kind == "HTTPRoute":
        return f"change the object that it is made from, or {beside}"
    return beside
