"""The ``meshcors fix`` commands that ``explain`` prints: fix accepts each of them.

They name all the files that explain was given: these are one mesh.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshcors._policy.errors import OriginError
from meshcors.mesh import DocumentError, Gateway
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._fix import FixOptions, fix_mesh, separate_mesh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._analysis.page_call import PageCall
    from meshcors.mesh._fix import Responder

_RESPONDERS: Final[tuple[Responder, ...]] = ("pod", "mesh")
# With more rules, one way to fix them is enough: each is tried, and reads the file again.
_MANY_RULES: Final = 200
# What fix writes for an origin that nobody has named.
_UNKNOWN: Final = '"ORIGIN"'
_DEFAULT_POD: Final = ("meshcors-dummy", 8080)


@dataclass(frozen=True, slots=True)
class FixCommands:
    """What the commands are made from: the documents, the arguments FILE..., and the pod."""

    mesh: MeshDocuments
    files: Sequence[str]
    pod: tuple[str, int]
    gateway: str

    def lines(self, page_call: PageCall) -> Iterator[str]:
        """Yield the commands that write a rule for the preflights of a call, or what to do."""
        if "-" in self.files:
            yield "save the documents in a file, and explain that file to get the command for it."
            return
        route = page_call.request.answer.route or page_call.decisive.answer.route
        if route is not None and route.document.kind == "RouteConfiguration":
            yield "meshcors fix does it in the VirtualService or HTTPRoute that this comes from."
            return
        tries = _Tries(self.mesh, page_call, self.gateway)
        commands = tries.accepted(self.pod)
        for number, (options, apart) in enumerate(commands):
            if number:
                yield "or, without a pod:"
            yield _command(self.files, options, apart=apart)
        if any(apart for _, apart in commands):
            yield f"It is a second document, as fix leaves the first as it is: {tries.reason}."
        if not commands:
            yield "write it by hand: it matches the method OPTIONS and the header"
            yield "access-control-request-method, and its route leads to the pod."
            if tries.reason:
                yield f"fix writes none: {tries.reason}."


class _Tries:
    """Tries to fix the documents for a call; ``reason`` is why the first one failed."""

    def __init__(self, mesh: MeshDocuments, page_call: PageCall, gateway: str) -> None:
        self._mesh, self._page_call, self._gateway = mesh, page_call, gateway
        self.reason = ""

    def accepted(self, pod: tuple[str, int]) -> list[tuple[FixOptions, bool]]:
        """Return the options for each responder that fix accepts, and whether with ``--separate``.

        The origin is named where fix asks for it; then all of them name it. A document that fix
        does not change, such as one that a controller writes, may get a second one beside it.
        """
        named: tuple[OriginMatch, ...] = ()
        # null, the origin of sandboxed frames, cannot be named
        with contextlib.suppress(OriginError):
            named = (origin_match(self._page_call.call.origin),)
        needed: tuple[OriginMatch, ...] = ()
        found: list[tuple[FixOptions, bool]] = []
        for responder in _RESPONDERS:
            apart = False
            problem, reason = self._problem(FixOptions(responder, pod, needed))
            if problem == "origins_needed" and named != needed:
                needed = named
                problem, reason = self._problem(FixOptions(responder, pod, needed))
            if problem not in {"", "not_taken", "origins_needed"}:
                apart = True
                problem, _ = self._problem(FixOptions(responder, pod, needed), apart=True)
            self.reason = self.reason or reason
            if not problem:
                found.append((FixOptions(responder, pod, needed), apart))
                if sum(len(each.http) for each in self._mesh.documents) > _MANY_RULES:
                    break
        return found

    def _problem(self, options: FixOptions, *, apart: bool = False) -> tuple[str, str]:
        """Return the code of what keeps fix from helping the call, and the reason; else empty."""
        try:
            if apart:
                result = separate_mesh(self._mesh, "{} (second)".format, options)
            else:
                result = fix_mesh(self._mesh, options)
        except DocumentError as error:
            problem = error.problems[0]
            hint = "" if "by hand" in problem.hint else f" ({problem.hint})"
            return problem.code, f"{problem.place}: {problem.message}{hint}"
        if options.responder == "pod" and _UNKNOWN in json.dumps(result.pod):
            return "origins_needed", ""
        if self._is_taken(result.after):
            return "", ""
        return "not_taken", "its rules would not take this preflight"

    def _is_taken(self, after: MeshDocuments) -> bool:
        """Tell whether a rule for preflights takes that of the call."""
        preflight = self._page_call.preflight
        if preflight is None:
            return False
        gateway = Gateway.of(after.documents, name=self._gateway)
        route = gateway.handle(preflight.sent).route
        return route is not None and is_preflight_rule(route)


def _command(files: Sequence[str], options: FixOptions, *, apart: bool) -> str:
    named = [f"./{file}" if file.startswith("-") else file for file in files]
    words = ["meshcors", "fix", *named, *(["--separate"] if apart else [])]
    words += ["--with", options.responder]
    if options.responder == "pod" and options.pod != _DEFAULT_POD:
        words += ["--pod", ":".join(map(str, options.pod))]
    for kind, value in options.origins:
        words += ["--allow-origin", f"regex:{value}" if kind == "regex" else value]
    return shlex.join(words)
