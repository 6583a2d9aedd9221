"""What to change so that a call that is not allowed is, and where."""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING, Final

from meshcors._policy.errors import OriginError
from meshcors.mesh import DocumentError
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._fix import File, FixOptions, fix_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._analysis.page_call import Exchange, PageCall
    from meshcors.mesh._fix import Responder

_RESPONDERS: Final[Mapping[Responder, str]] = {
    "pod": "--with pod --pod HOST:PORT",
    "mesh": "--with mesh",
}


def hints(page_call: PageCall, mesh: MeshDocuments) -> list[str]:
    """Return what to change, line by line; nothing for a call that is allowed.

    ``mesh`` has the documents of the call. A ``meshcors fix`` command in the lines is one that
    succeeds on its file.
    """
    exchange = page_call.decisive
    if exchange.outcome == "allowed":
        return []
    if exchange.answer.kind == "forward":
        return _service_must_answer(page_call, exchange)
    if exchange.answer.kind == "cors":
        return [_policy_must_allow(page_call, exchange)]
    if exchange.step == "preflight":
        return _preflight_must_arrive(page_call, exchange, mesh)
    return [
        "the page cannot read this answer. Send what no rule takes to the pod, as the last rule:",
        "its answer is readable.",
    ]


def _preflight_must_arrive(
    page_call: PageCall, exchange: Exchange, mesh: MeshDocuments
) -> list[str]:
    no_route = exchange.answer.kind == "no_route"
    if no_route and page_call.request.answer.kind == "no_route":
        return ["no rule takes this host and path at all: check --host and --path first."]
    commands = _fix_commands(page_call, mesh)
    if not no_route:
        return ["put a rule that takes preflights before this one:", *commands]
    carried = [name for name, _ in page_call.call.headers if _is_condition(name, exchange)]
    if not carried:
        return ["put a rule that takes preflights first:", *commands]
    return [
        f"a preflight names {', '.join(carried)} but does not carry it. A rule that asks for its",
        "value never matches a preflight, and its corsPolicy never applies.",
        "Put a rule that takes preflights first:",
        *commands,
    ]


def _is_condition(name: str, exchange: Exchange) -> bool:
    """Tell whether a rule did not match because of this header."""
    return any(
        mismatch.field == f"headers.{name}"
        for tried in exchange.answer.trail
        for mismatch in tried.mismatches
    )


def _fix_commands(page_call: PageCall, mesh: MeshDocuments) -> Iterator[str]:
    """Yield the commands that write such a rule into the file of the rule that takes the call."""
    place = page_call.request.answer.place or page_call.decisive.answer.place
    name = place.file if place else next(iter(mesh.texts))
    commands = [
        f"meshcors fix {shlex.quote(name)} {_RESPONDERS[responder]}"
        + (f" --allow-origin {shlex.quote(page_call.call.origin)}" if needs_origin else "")
        for responder, needs_origin in _working_fixes(File.of(mesh, name), page_call.call.origin)
    ]
    if not commands:
        yield "write it by hand: it matches the method OPTIONS and the header"
        yield "access-control-request-method, and its route is the pod."
    for number, command in enumerate(commands):
        yield command if number == 0 else f"or, without a pod: {command}"


def _working_fixes(file: File, origin: str) -> Iterator[tuple[Responder, bool]]:
    """Yield the responders with which fix succeeds, and whether it needs the origin for that.

    Each is tried. If the pod needs the origin, so does the mesh.
    """
    named: tuple[OriginMatch, ...] = ()
    # null, the origin of sandboxed frames, cannot be named
    with contextlib.suppress(OriginError):
        named = (origin_match(origin),)
    needed = False
    for responder in _RESPONDERS:
        outcome = _try(file, FixOptions(responder, origins=named if needed else ()))
        if outcome == "origins_needed" and named and not needed:
            needed = True
            outcome = _try(file, FixOptions(responder, origins=named))
        if outcome == "fixed":
            yield responder, needed


def _try(file: File, options: FixOptions) -> str:
    """Return "fixed", "unchanged", or the code of the problem."""
    try:
        return "fixed" if fix_file(file, options).blocked else "unchanged"
    except DocumentError as error:
        return error.problems[0].code


def _policy_must_allow(page_call: PageCall, exchange: Exchange) -> str:
    where = f"the corsPolicy of {exchange.answer.rule} ({exchange.answer.place})"
    code, field = exchange.verdict.code, exchange.verdict.field
    if code == "header_not_allowed":
        return f"add {field} to allowHeaders in {where}."
    if code == "method_not_allowed":
        return f"add {field} to allowMethods in {where}."
    if code in {"acac_not_true", "acao_wildcard_with_credentials"}:
        return f"name the origins and set allowCredentials: true in {where}."
    return f"add {{exact: {page_call.call.origin}}} to allowOrigins in {where}."


def _service_must_answer(page_call: PageCall, exchange: Exchange) -> list[str]:
    service = exchange.answer.destination
    origin = page_call.call.origin
    if exchange.step == "preflight":
        return [
            f"{service} must answer the OPTIONS request itself, with",
            f"access-control-allow-origin: {origin} and whatever else the call needs. Run it with",
            "MeshCORS, or send preflights to the pod. To check against a policy: --config POLICY",
        ]
    return [
        f"{service} must send access-control-allow-origin: {origin}. Run it with MeshCORS,",
        "or put a corsPolicy on the rule. To check against a policy: --config POLICY",
    ]
