"""Which origins a fixed file allows: those it named before, and those of the options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcors.mesh._analysis.open_origins import is_open
from meshcors.mesh._documents.model import StringMatch
from meshcors.mesh._documents.node_fields import entry
from meshcors.mesh._fix.errors import cannot_fix, origins_needed
from meshcors.mesh._fix.http_route_data import origin_data

if TYPE_CHECKING:
    from meshcors.mesh._analysis.located_policy import LocatedPolicy
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch
    from meshcors.mesh._documents.model import CorsPolicy, VirtualService
    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.options import FixOptions

_ANY_SITE = "* with credentials lets any site act as the user"


@dataclass(frozen=True, slots=True)
class ReplacedOrigin:
    """An entry of ``allowOrigins`` (a list's node and a number), and the origins to put there."""

    file: str
    entries: Any
    number: int
    origins: tuple[OriginMatch, ...]


def refuse_open_origins(mesh: MeshDocuments, options: FixOptions) -> None:
    """Raise ``DocumentError`` if an open origin is to be allowed and a rule allows credentials."""
    for located in mesh.policies:
        for kind, value in options.origins:
            match = StringMatch("regex" if kind == "regex" else "exact", value, located.place())
            if located.policy.allow_credentials and is_open(match):
                place = located.place("allowCredentials")
                raise origins_needed(place, f"{value} cannot be combined with credentials")


def replaced_origins(mesh: MeshDocuments, options: FixOptions) -> list[ReplacedOrigin]:
    """Return every open entry of a policy with credentials, and what takes its place.

    ``DocumentError`` if the options name no origin.
    """
    found: dict[tuple[str, int], ReplacedOrigin] = {}
    for located in mesh.policies:
        if not located.policy.allow_credentials:
            continue
        allowed: set[OriginMatch] = {
            (each.kind, each.value) for each in located.policy.allow_origins
        }
        for number, origin in reversed(list(enumerate(located.policy.allow_origins))):
            if not is_open(origin):
                continue
            if not options.origins:
                raise origins_needed(origin.place, _ANY_SITE)
            entries = _entries(located, options)
            # An anchored list is read once for each alias, and changed once.
            file = located.document.place.file
            start = (file, entries.value[number].start_mark.index)
            if start not in found:
                first, *others = _spelled(options.origins, located.document)
                wanted = (first, *(each for each in others if each not in allowed))
                allowed.update(wanted)
                found[start] = ReplacedOrigin(file, entries, number, wanted)
    return list(found.values())


def allowed_origins(blocked: BlockedCalls, options: FixOptions) -> tuple[OriginMatch, ...]:
    """Return the origins that the calls' own rules allow, with open ones replaced.

    ``DocumentError`` if there is more than one answer and the options name none.
    """
    choices = {closed_origins(policy, options): policy for policy in blocked.policies}
    if len(choices) == 1 and all(choices):
        return next(iter(choices))
    if options.origins:
        return options.origins
    if not choices or not all(choices):
        place = blocked.service.place_at("spec", blocked.service.rules_field)
        raise origins_needed(place, "no corsPolicy says which pages may call")
    place = list(choices.values())[1].place
    raise origins_needed(place, "rules of one URL allow different origins, and share one preflight")


def closed_origins(policy: CorsPolicy, options: FixOptions) -> tuple[OriginMatch, ...]:
    """Return a policy's origins, each once; open ones are replaced if it allows credentials."""
    found: dict[OriginMatch, None] = {}
    for origin in policy.allow_origins:
        if policy.allow_credentials and is_open(origin):
            if not options.origins:
                raise origins_needed(origin.place, _ANY_SITE)
            found.update(dict.fromkeys(options.origins))
        else:
            found[origin.kind, origin.value] = None
    return tuple(found)


def _spelled(origins: tuple[OriginMatch, ...], document: VirtualService) -> tuple[OriginMatch, ...]:
    """Return origins as a document spells them: in an HTTPRoute, they are texts."""
    if document.kind == "VirtualService":
        return origins
    place = document.place
    matches = (
        StringMatch("regex" if kind == "regex" else "exact", it, place) for kind, it in origins
    )
    return tuple(("exact", origin_data(match, document)) for match in matches)


def _entries(located: LocatedPolicy, options: FixOptions) -> Any:
    """Return the node of the list of origins that a policy is read from."""
    if located.document.kind == "HTTPRoute":
        filters = located.document.node_at(*located.rule.path, "filters").value
        found = (cors for each in filters if (cors := entry(each, "cors")) is not None)
        origins = entry(next(found)[1], "allowOrigins")
        return origins[1] if origins else None
    node = located.document.node_at(*located.path, "allowOrigins")
    if node is not None and node.id == "sequence":
        return node
    if any(kind != "exact" for kind, _ in options.origins):
        message = "allowOrigin takes exact origins only"
        raise cannot_fix(located.place("allowOrigin"), message, "use allowOrigins instead")
    return located.document.node_at(*located.path, "allowOrigin")
