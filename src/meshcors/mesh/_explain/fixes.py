"""The ``meshcors fix`` commands that ``explain`` prints: fix accepts each of them.

They name all the files that explain was given: these are one mesh.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from meshcors._policy.errors import OriginError
from meshcors._policy.wording import file_argument
from meshcors.mesh import DocumentError, DocumentProblem, Gateway
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._fix import FixOptions, fix_mesh, separate_mesh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._analysis.page_call import TracedCall
    from meshcors.mesh._fix import Responder

_RESPONDERS: Final[tuple[Responder, ...]] = ("pod", "mesh")
# With more rules, one way to fix them is enough: each is tried, and reads the file again.
_MANY_RULES: Final = 200
_NOT_TAKEN: Final = "not_taken"
# Where fix refuses for these reasons, it refuses a second document too.
_WITHOUT_SECOND: Final = (_NOT_TAKEN, "origins_needed")
_DEFAULT_POD: Final = ("meshcors-dummy", 8080)


@dataclass(frozen=True, slots=True)
class FixCommands:
    """What the commands are made from: the documents, the arguments FILE..., and the pod."""

    mesh: MeshDocuments
    files: Sequence[str]
    pod: tuple[str, int]
    gateway: str

    def lines(self, page_call: TracedCall) -> Iterator[str]:
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
            why = "This adds a second document, because fix cannot change the first"
            yield f"{why}: {tries.in_place}."
        if not commands and tries.is_by_hand:
            yield "write it by hand: it matches the method OPTIONS and the header"
            yield "access-control-request-method, and its route leads to the pod."
        if not commands and tries.reason:
            yield f"fix writes none: {tries.reason}."


class _Tries:
    """Tries to fix the documents for a call.

    ``reason`` is why fix writes nothing, ``is_by_hand`` whether there is no way for it to, and
    ``in_place`` is why it leaves a document as it is.
    """

    def __init__(self, mesh: MeshDocuments, page_call: TracedCall, gateway: str) -> None:
        self._mesh, self._page_call, self._gateway = mesh, page_call, gateway
        self._needed: tuple[OriginMatch, ...] = ()
        self.reason = self.in_place = ""
        self.is_by_hand = True

    def accepted(self, pod: tuple[str, int]) -> list[tuple[FixOptions, bool]]:
        """Return the options for each responder that fix accepts, and whether with ``--separate``.

        The origin is named where fix asks for it; then all of them name it. A document that fix
        does not change, such as one that a controller writes, may get a second one beside it.
        """
        found: list[tuple[FixOptions, bool]] = []
        for responder in _RESPONDERS:
            apart = False
            problem = self._refusal(responder, pod)
            if problem is not None and problem.code not in _WITHOUT_SECOND:
                apart, self.in_place = True, f"{problem.place}: {problem.message}"
                problem = self._refusal(responder, pod, apart=True)
            if problem is None:
                found.append((FixOptions(responder, pod, self._needed), apart))
                if sum(len(each.http) for each in self._mesh.documents) > _MANY_RULES:
                    break
            elif not self.reason:
                hint = "" if "by hand" in problem.hint else f" ({problem.hint})"
                self.is_by_hand = not hint or problem.code == "origins_needed"
                self.reason = f"{problem.place}: {problem.message}{hint}"
        return found

    def _refusal(
        self, responder: Responder, pod: tuple[str, int], *, apart: bool = False
    ) -> DocumentProblem | None:
        """Return why fix does not help the call; the origin is named once fix asks for it."""
        problem = self._problem(FixOptions(responder, pod, self._needed), apart=apart)
        if problem is None or problem.code != "origins_needed" or self._needed:
            return problem
        # null, the origin of sandboxed frames, cannot be named
        with contextlib.suppress(OriginError):
            self._needed = (origin_match(self._page_call.call.origin),)
            problem = self._problem(FixOptions(responder, pod, self._needed), apart=apart)
        return problem

    def _problem(self, options: FixOptions, *, apart: bool) -> DocumentProblem | None:
        try:
            if apart:
                result = separate_mesh(self._mesh, "{} (second)".format, options)
            else:
                result = fix_mesh(self._mesh, options)
        except DocumentError as error:
            return error.problems[0]
        route = self._page_call.request.answer.route or self._page_call.decisive.answer.route
        if self._is_taken(result.after) or route is None:
            return None
        message = "rules of fix would not take this preflight"
        return DocumentProblem(route.place, _NOT_TAKEN, "", message, "write one by hand")

    def _is_taken(self, after: MeshDocuments) -> bool:
        """Tell whether a rule for preflights takes that of the call."""
        preflight = self._page_call.preflight
        if preflight is None:
            return False
        gateway = Gateway.of(after.documents, name=self._gateway)
        route = gateway.handle(preflight.sent).route
        return route is not None and is_preflight_rule(route)


def _command(files: Sequence[str], options: FixOptions, *, apart: bool) -> str:
    words = ["meshcors", "fix", *map(file_argument, files), *(["--separate"] if apart else [])]
    words += ["--with", options.responder]
    if options.responder == "pod" and options.pod != _DEFAULT_POD:
        words += ["--pod", ":".join(map(str, options.pod))]
    for kind, value in options.origins:
        words += ["--allow-origin", f"regex:{value}" if kind == "regex" else value]
    return shlex.join(words)
