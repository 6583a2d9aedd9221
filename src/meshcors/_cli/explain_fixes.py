"""The ``meshcors fix`` commands that ``explain`` prints: fix accepts each of them.

A command names the file of the rule alone, if that harms no call of the other files; else all of
them.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshcors._cli.mesh_files import STDIN
from meshcors._policy.errors import OriginError
from meshcors.mesh import DocumentError
from meshcors.mesh._analysis.comparison import harmed_calls
from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._fix import FixOptions, fix_mesh
from meshcors.mesh._fix.edited_mesh import with_closed_origins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._analysis.page_call import PageCall
    from meshcors.mesh._fix import Responder

_RESPONDERS: Final[tuple[Responder, ...]] = ("pod", "mesh")
# With more rules, one way to fix them is enough: each is tried, and reads the file again.
_MANY_RULES: Final = 200
_DEFAULT_POD: Final = ("meshcors-dummy", 8080)


@dataclass(frozen=True, slots=True)
class FixCommands:
    """What the commands are made from: the documents, the arguments FILE..., and the pod."""

    mesh: MeshDocuments
    files: Sequence[str]
    pod: tuple[str, int]

    def lines(self, page_call: PageCall) -> Iterator[str]:
        """Yield the commands that write a rule for the preflights of a call, or what to do."""
        place = page_call.request.answer.place or page_call.decisive.answer.place
        name = place.file if place else next(iter(self.mesh.texts))
        if "-" in self.files and (name == STDIN or len(self.files) > 1):
            yield "save the documents in a file, and explain that file to get the command for it."
            return
        in_file = [each for each in self.mesh.documents if each.place.file == name]
        if any(each.kind == "RouteConfiguration" for each in in_file):
            yield "meshcors fix does it in the VirtualService or HTTPRoute that this comes from."
            return
        tries = _Tries(self.mesh, name, self.files)
        commands = tries.commands(page_call.call.origin, self.pod)
        for number, command in enumerate(commands):
            if number:
                yield "or, without a pod:"
            yield command
        if not commands:
            yield "write it by hand: it matches the method OPTIONS and the header"
            yield "access-control-request-method, and its route leads to the pod."
            if tries.reason:
                yield f"fix writes none: {tries.reason}."


class _Tries:
    """Tries to fix the file ``name``, else all ``files``; ``reason`` is why the first failed."""

    def __init__(self, mesh: MeshDocuments, name: str, files: Sequence[str]) -> None:
        self._mesh, self._name, self._files = mesh, name, files
        self.reason = ""

    def commands(self, origin: str, pod: tuple[str, int]) -> list[str]:
        """Return a command for each responder that fix accepts.

        The origin is named where fix asks for it; then all commands name it.
        """
        named: tuple[OriginMatch, ...] = ()
        # null, the origin of sandboxed frames, cannot be named
        with contextlib.suppress(OriginError):
            named = (origin_match(origin),)
        needed: tuple[OriginMatch, ...] = ()
        found: list[str] = []
        for responder in _RESPONDERS:
            files, problem = self._fixed(FixOptions(responder, pod, needed))
            if problem == "origins_needed" and named != needed:
                needed = named
                files, _ = self._fixed(FixOptions(responder, pod, needed))
            if files:
                found.append(_command(files, FixOptions(responder, pod, needed)))
                if sum(len(each.http) for each in self._mesh.documents) > _MANY_RULES:
                    break
        return found

    def _fixed(self, options: FixOptions) -> tuple[Sequence[str], str]:
        """Return the files to name, if any, and the code of the problem, if there is one."""
        if len(self._mesh.texts) == 1:
            return self._fixed_all(options)
        part = self._mesh.of_file(self._name)
        with contextlib.suppress(DocumentError):
            result = fix_mesh(part, options)
            if result.blocked:
                before = _with_file(self._mesh, self._name, with_closed_origins(part, options))
                after = _with_file(self._mesh, self._name, result.after)
                if next(harmed_calls(before, after, options.also_allowed), None) is None:
                    return [self._name], ""
        return self._fixed_all(options)

    def _fixed_all(self, options: FixOptions) -> tuple[Sequence[str], str]:
        try:
            return (self._files if fix_mesh(self._mesh, options).blocked else ()), ""
        except DocumentError as error:
            problem = error.problems[0]
            self.reason = self.reason or f"{problem.place}: {problem.message}"
            return (), problem.code


def _with_file(mesh: MeshDocuments, name: str, part: MeshDocuments) -> MeshDocuments:
    """Return the documents with those of one file in the place of its old ones."""
    parts = [part if file == name else mesh.of_file(file) for file in mesh.texts]
    return MeshDocuments(
        tuple(document for each in parts for document in each.documents),
        mesh.others,
        mesh.texts,
    )


def _command(files: Sequence[str], options: FixOptions) -> str:
    named = [f"./{file}" if file.startswith("-") else file for file in files]
    words = ["meshcors", "fix", *named, "--with", options.responder]
    if options.responder == "pod" and options.pod != _DEFAULT_POD:
        words += ["--pod", ":".join(map(str, options.pod))]
    for kind, value in options.origins:
        words += ["--allow-origin", f"regex:{value}" if kind == "regex" else value]
    return shlex.join(words)
