"""Documents that a controller writes: fix leaves them as they are."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from meshcors._policy.wording import file_argument
from meshcors.mesh._analysis.controllers import managed_documents, named_controller
from meshcors.mesh._analysis.open_origins import is_open
from meshcors.mesh._fix.errors import cannot_fix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._fix.blocked_calls import BlockedCalls

_MOST_FILES: Final = 4
_STDIN: Final = "<stdin>"


def without_owned(
    mesh: MeshDocuments, blocked: Sequence[BlockedCalls]
) -> tuple[list[BlockedCalls], list[str]]:
    """Return the calls of the other documents, and what to say about those that are left.

    ``DocumentError`` is raised if no others have such calls, and if an open origin is to be changed
    where a controller would overwrite that.
    """
    managed = managed_documents(mesh)
    opened = (
        each.document
        for each in mesh.policies
        if each.policy.allow_credentials and any(map(is_open, each.policy.allow_origins))
    )
    for document in opened:
        if controller := _controller(document, managed):
            raise cannot_fix(document.place, *_reason(mesh, document, controller))
    others = [each for each in blocked if not _controller(each.service, managed)]
    reasons = [
        (each.service, _reason(mesh, each.service, controller))
        for each in blocked
        if (controller := _controller(each.service, managed))
    ]
    if reasons and not others:
        document, reason = reasons[0]
        raise cannot_fix(document.place, *reason)
    return others, [f"{document.place}: {'; '.join(reason)}" for document, reason in reasons]


def _controller(document: VirtualService, managed: Mapping[str, str]) -> str:
    return named_controller(document) or managed.get(document.label, "")


def _reason(mesh: MeshDocuments, document: VirtualService, controller: str) -> tuple[str, str]:
    message = f"{controller} writes {document.label} and overwrites changes"
    return message, _instead(mesh, document, controller)


def _instead(mesh: MeshDocuments, document: VirtualService, controller: str) -> str:
    files = list(mesh.texts)
    names = (
        ["-" if file == _STDIN else shlex.quote(file_argument(file)) for file in files]
        if len(files) <= _MOST_FILES
        else ["FILE..."]
    )
    beside = f"write the rule in a second document: meshcors fix {' '.join(names)} --separate"
    if controller.startswith("Flagger"):
        return f"change spec.service of the Canary, or {beside}"
    if document.kind == "HTTPRoute":
        return f"change the object that it is made from, or {beside}"
    return beside
