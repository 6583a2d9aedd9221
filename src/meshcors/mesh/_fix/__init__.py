"""A VirtualService mended so that browsers get in: a rule for preflights, and no ``*`` as a user.

`fix` is pure: a text in, a text out. ruamel.yaml reads the file and says where everything stands;
the changes are spliced in there, so that all else stays byte for byte. The result is read again,
compared with what was meant, and routed again: a preflight that still gets lost is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._analysis.open_origins import is_open
from meshcors.mesh._analysis.origin_match import OriginMatch
from meshcors.mesh._documents.model import StringMatch
from meshcors.mesh._documents.problems import DocumentError, DocumentProblem, Place
from meshcors.mesh._documents.reading import read_objects, read_roots
from meshcors.mesh._documents.source import parse
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._fix.edits import Edit, apply, insert_rule, replace_origin, replaced_nodes
from meshcors.mesh._fix.nodes import child, compose, plain, same
from meshcors.mesh._fix.preflight import FixOptions, Need, Responder, asking, needs, preflight_rule
from meshcors.mesh._fix.writing import Style, block, flow

__all__ = ["FixOptions", "FixResult", "OriginMatch", "Responder", "fix", "separate"]


@dataclass(frozen=True, slots=True)
class FixResult:
    """The text after, and which VirtualServices got a rule for preflights.

    ``after`` is what there is then, read: the text, of `separate` both files.
    """

    text: str
    needs: tuple[Need, ...]
    after: MeshDocuments


def fix(text: str, file: str, wish: FixOptions) -> FixResult:
    """Return ``text`` with every VirtualService in it mended; unchanged where nothing is wrong.

    Each VirtualService whose calls a browser cannot make gets a first rule for preflights. Where
    any origin is allowed with credentials, the origins of ``wish`` take its place.

    ``DocumentError`` is raised for a file that would not load or holds no VirtualService, where
    origins are to be named, and for a file that cannot be changed without touching the rest.
    """
    roots = parse(text, file)
    subject = _subject(roots, text, file)
    _refuse_star(subject, wish)
    wanting = needs(subject)
    rules = [preflight_rule(need, wish) for need in wanting]
    choices = [
        list(insert_rule(text, _own_rules(need), rule, _comment(need)))
        for need, rule in zip(wanting, rules, strict=True)
    ]
    edits: list[Edit] = []
    # from here on the nodes become what the text is to say
    for place, origins, number in list(_open_origins(subject)):
        if not wish.origins:
            raise asking(place, "* with credentials lets any site act as the user")
        wanted = (wish.origins[0], *_missing(wish.origins[1:], plain(origins)))
        edits += replace_origin(text, origins, number, wanted)
        replaced_nodes(origins, number, wanted)
    if not wanting and not edits:
        return FixResult(text, (), subject)
    for need, rule in zip(wanting, rules, strict=True):
        child(need.service.node, "spec", "http").value.insert(0, compose(flow(rule)))
    for ways in _ways(choices):
        made = apply(text, [*edits, *ways])
        again = _read_again(made, file, roots)
        if again is not None:
            _refuse_lost(wanting, needs(again))
            return FixResult(made, tuple(wanting), again)
    raise _cannot(Place(file, 1, 1), "it cannot be changed without touching the rest")


def separate(text: str, file: str, wish: FixOptions) -> FixResult:
    """Return a second file that takes the preflights for the VirtualServices of the first.

    It is for VirtualServices that a controller writes over. Raises as `fix` does, and where the
    first file's rules would come before it.
    """
    subject = _subject(parse(text, file), text, file)
    _refuse_star(subject, wish)
    wanting = needs(subject)
    if not wanting:
        return FixResult("", (), subject)
    made = "---\n".join(_second(need, wish) for need in wanting)
    name = f"{file} (second)"
    second = read_objects(made, name).checked()
    texts = {name: made, file: text}
    both = MeshDocuments((*second.documents, *subject.documents), subject.others, texts)
    left = needs(both)
    if left:
        call = left[0].calls[0]
        taker = call.preflight_answer.rule or "no rule"
        reason = f"{taker} takes preflights before another VirtualService can"
        raise _cannot(call.route.place, reason)
    return FixResult(made, tuple(wanting), both)


def _subject(roots: list[Any], text: str, file: str) -> MeshDocuments:
    read = read_roots(roots, file).checked()
    if not any(document.kind == "VirtualService" for document in read.documents):
        message = "no VirtualService in this file"
        if read.documents:
            message += "; HTTPRoutes are read by lint and explain alone"
        raise DocumentError(
            [
                DocumentProblem(
                    Place(file, 1, 1), "no_routes", "", message, "pass the file that has it"
                )
            ]
        )
    return MeshDocuments(read.documents, read.others, {file: text})


def _refuse_star(subject: MeshDocuments, wish: FixOptions) -> None:
    """Refuse ``--allow-origin '*'`` where a rule allows credentials."""
    for at in subject.policies:
        for kind, value in wish.origins:
            match = StringMatch("regex" if kind == "regex" else "exact", value, at.place())
            if at.policy.allow_credentials and is_open(match):
                raise asking(at.place("allowCredentials"), f"{value} does not go with credentials")


def _own_rules(need: Need) -> Any:
    """Return the node of ``spec``, which has ``http`` of its own."""
    spec = child(need.service.node, "spec")
    if not any(key.value == "http" for key, _ in spec.value):
        raise _cannot(need.service.place_at("spec"), "its http rules are merged in by an alias")
    return spec


def _open_origins(subject: MeshDocuments) -> Iterator[tuple[Place, Any, int]]:
    """Yield the place, the list's node and the number of each ``*`` with credentials.

    From the last to the first of a list: one that is replaced by several moves those behind it.
    """
    seen: set[int] = set()
    for at in subject.policies:
        if at.document.kind != "VirtualService" or not at.policy.allow_credentials:
            continue
        policy = child(at.document.node, *at.path)
        origins = child(policy, "allowOrigins") or child(policy, "allowOrigin")
        for number, origin in reversed(list(enumerate(at.policy.allow_origins))):
            # an anchored list is read once for each alias, and changed once
            if is_open(origin) and id(origins.value[number]) not in seen:
                seen.add(id(origins.value[number]))
                yield origin.place, origins, number


def _missing(origins: tuple[OriginMatch, ...], there: list[Any]) -> Iterator[OriginMatch]:
    return (each for each in origins if dict([each]) not in there and each[1] not in there)


def _ways(choices: list[list[Edit]]) -> Iterator[list[Edit]]:
    """Yield the first choice of each, then the second of each."""
    if all(choices):
        yield [ways[0] for ways in choices]
        yield [ways[-1] for ways in choices]


def _read_again(text: str, file: str, meant: list[Any]) -> MeshDocuments | None:
    """Read the mended text; None where it does not say what is meant, in every document."""
    try:
        roots = parse(text, file)
    except DocumentError:
        return None
    if len(roots) != len(meant) or not all(map(same, roots, meant)):
        return None
    return _subject(roots, text, file)


def _refuse_lost(before: list[Need], after: list[Need]) -> None:
    for need in after:
        was = next((it for it in before if it.service.label == need.service.label), need)
        taker = need.calls[0].preflight_answer.rule or "no rule"
        place = was.calls[0].route.place
        raise _cannot(place, f"{taker} would still take its preflights")


def _cannot(place: Place, message: str) -> DocumentError:
    hint = "write the rule for preflights by hand"
    return DocumentError([DocumentProblem(place, "cannot_fix", "", message, hint)])


def _comment(need: Need) -> str:
    if not need.names:
        return "Browsers' preflights, which the rules below do not take."
    them = "them" if len(need.names) > 1 else "it"
    return f"A browser's preflight names {', '.join(need.names)} and never carries {them}."


def _second(need: Need, wish: FixOptions) -> str:
    """Return the document of the second VirtualService."""
    service = need.service
    if MESH in service.gateways and len(service.gateways) == 1:
        raise _cannot(service.place, "sidecars do not merge the VirtualServices of one host")
    metadata = {"name": f"{service.name}-preflight"}
    namespace = child(service.node, "metadata", "namespace")
    if namespace is not None:
        metadata["namespace"] = service.namespace
    gateways = plain(child(service.node, "spec", "gateways"))
    data = {
        "apiVersion": plain(child(service.node, "apiVersion")),
        "kind": "VirtualService",
        "metadata": metadata,
        "spec": {
            "gateways": [name for name in gateways if name != MESH],
            "hosts": plain(child(service.node, "spec", "hosts")),
            "http": [preflight_rule(need, wish)],
        },
    }
    lines = [f"# {_comment(need)} {service.label} is left as it is."]
    style = Style(flow=False)
    return "\n".join([*lines, *block(data, 0, style)]) + "\n"
