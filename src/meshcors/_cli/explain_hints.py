"""What to change so that a call that is not allowed is, and where.

A ``meshcors fix`` command among it is one that succeeds on its file.
"""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING, Final

from meshcors._cli.mesh_files import STDIN
from meshcors._policy.errors import OriginError
from meshcors.mesh import DocumentError
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._fix import File, FixOptions, fix_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.cause import Cause
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._analysis.page_call import PageCall
    from meshcors.mesh._fix import Responder

_RESPONDERS: Final[tuple[Responder, ...]] = ("pod", "mesh")
_DEFAULT_POD: Final = ("meshcors-dummy", 8080)


def hints(
    cause: Cause | None, page_call: PageCall, mesh: MeshDocuments, pod: tuple[str, int]
) -> list[str]:
    """Return what to change, line by line; nothing for a call that is allowed.

    ``mesh`` has the documents of the call, and ``pod`` is the pod's service.
    """
    if cause is None:
        return []
    lines = list(cause.advice)
    if cause.needs_preflight_rule:
        taken = page_call.decisive.answer.route is not None
        lines.append(f"Put a rule that takes preflights {'before this one' if taken else 'first'}:")
        lines += _fix_commands(page_call, mesh, pod)
    if cause.code == "service_unknown":
        lines.append("To assume that they answer by a policy, pass its file with --config.")
    return lines


def _fix_commands(page_call: PageCall, mesh: MeshDocuments, pod: tuple[str, int]) -> Iterator[str]:
    """Yield the commands that write such a rule into the file of the rule that takes the call."""
    place = page_call.request.answer.place or page_call.decisive.answer.place
    name = place.file if place else next(iter(mesh.texts))
    if name == STDIN:
        yield "save the documents in a file, and explain that file to get the command for it."
        return
    if any(
        each.kind == "RouteConfiguration" and each.place.file == name for each in mesh.documents
    ):
        yield "meshcors fix does it in the VirtualService or HTTPRoute that this comes from."
        return
    commands = [
        f"meshcors fix {shlex.quote(name)} --with {responder}"
        + (f" --pod {shlex.quote(f'{pod[0]}:{pod[1]}')}" if _names_pod(responder, pod) else "")
        + (f" --allow-origin {shlex.quote(page_call.call.origin)}" if needs_origin else "")
        for responder, needs_origin in _working_fixes(
            File.of(mesh, name), page_call.call.origin, pod
        )
    ]
    if not commands:
        yield "write it by hand: it matches the method OPTIONS and the header"
        yield "access-control-request-method, and its route leads to the pod."
    for number, command in enumerate(commands):
        if number:
            yield "or, without a pod:"
        yield command


def _names_pod(responder: Responder, pod: tuple[str, int]) -> bool:
    return responder == "pod" and pod != _DEFAULT_POD


def _working_fixes(
    file: File, origin: str, pod: tuple[str, int]
) -> Iterator[tuple[Responder, bool]]:
    """Yield the responders with which fix succeeds, and whether it needs the origin for that.

    Each is tried. If the pod needs the origin, so does the mesh.
    """
    named: tuple[OriginMatch, ...] = ()
    # null, the origin of sandboxed frames, cannot be named
    with contextlib.suppress(OriginError):
        named = (origin_match(origin),)
    needed = False
    for responder in _RESPONDERS:
        outcome = _try(file, FixOptions(responder, pod, named if needed else ()))
        if outcome == "origins_needed" and named and not needed:
            needed = True
            outcome = _try(file, FixOptions(responder, pod, named))
        if outcome == "fixed":
            yield responder, needed


def _try(file: File, options: FixOptions) -> str:
    """Return "fixed", "unchanged", or the code of the problem."""
    try:
        return "fixed" if fix_file(file, options).blocked else "unchanged"
    except DocumentError as error:
        return error.problems[0].code
