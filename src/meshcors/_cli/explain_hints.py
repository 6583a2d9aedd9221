"""What to change so that a call that is not allowed is, and where.

A ``meshcors fix`` command among it is one that succeeds on its file.
"""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import dataclass, field
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
# With more rules in a file, one way to fix it is enough: each is tried, and reads the file again.
_MANY_RULES: Final = 200
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
    argument = f"./{name}" if name.startswith("-") else name
    fixes = _working_fixes(File.of(mesh, name), page_call.call.origin, pod)
    for number, options in enumerate(fixes.working):
        if number:
            yield "or, without a pod:"
        yield _command(argument, options)
    if not fixes.working:
        yield "write it by hand: it matches the method OPTIONS and the header"
        yield "access-control-request-method, and its route leads to the pod."
        if fixes.reason:
            yield f"fix writes none: {fixes.reason}."


def _command(file: str, options: FixOptions) -> str:
    words = ["meshcors", "fix", file, "--with", options.responder]
    if options.responder == "pod" and options.pod != _DEFAULT_POD:
        words += ["--pod", ":".join(map(str, options.pod))]
    for kind, value in options.origins:
        words += ["--allow-origin", f"regex:{value}" if kind == "regex" else value]
    return shlex.join(words)


@dataclass(slots=True)
class _Fixes:
    """The options with which fix succeeds, and why it does not with the first others."""

    working: list[FixOptions] = field(default_factory=list)
    reason: str = ""


def _working_fixes(file: File, origin: str, pod: tuple[str, int]) -> _Fixes:
    """Try the responders. An origin is named where fix asks for one; then all need it."""
    named: tuple[OriginMatch, ...] = ()
    # null, the origin of sandboxed frames, cannot be named
    with contextlib.suppress(OriginError):
        named = (origin_match(origin),)
    fixes = _Fixes()
    needed: tuple[OriginMatch, ...] = ()
    for responder in _RESPONDERS:
        problem = _try(file, FixOptions(responder, pod, needed), fixes)
        if problem == "origins_needed" and named != needed:
            needed = named
            _try(file, FixOptions(responder, pod, needed), fixes)
        if fixes.working and sum(len(each.http) for each in file.mesh.documents) > _MANY_RULES:
            break
    return fixes


def _try(file: File, options: FixOptions, fixes: _Fixes) -> str:
    """Add options with which fix succeeds; return the code of the problem, if there is one."""
    try:
        if fix_file(file, options).blocked:
            fixes.working.append(options)
    except DocumentError as error:
        problem = error.problems[0]
        fixes.reason = fixes.reason or f"{problem.place}: {problem.message}"
        return problem.code
    return ""
