"""Rendered documents next to existing ones: nobody else's call may change hands.

The documents are compared with and without the rendered ones, in which the rendered ones are the
oldest and then the youngest: which it is, depends on the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.comparison import harmed_calls
from meshcors.mesh._analysis.lost_calls import lost_calls
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._documents.reading import read_documents
from meshcors.mesh._render.hosts import wildcards_over
from meshcors.mesh._routing.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from meshcors.mesh._analysis.comparison import HarmedCall
    from meshcors.mesh._analysis.lost_calls import LostCalls
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import VirtualService

# Before and after every timestamp, and a document without one.
_AGES: Final = ("0", "~~")


@dataclass(frozen=True, slots=True)
class TakenCall:
    """A call that a rendered document would take from another one, or block."""

    harmed: HarmedCall

    def __str__(self) -> str:
        """Say which call it is, and who answers it today."""
        today = self.harmed.exchange
        preflight = "the preflight of " if today.step == "preflight" else ""
        route = today.answer.route
        by = f"{route.rule} ({route.place})" if route else "no rule"
        return f"{by} takes {preflight}{self.harmed} today"

    @property
    def taker(self) -> VirtualService | None:
        """The document whose unmatched rule would take it; None if another rule is to blame."""
        route = self.harmed.taker.route
        return route.document if route is not None and not route.match.headers else None


@dataclass(frozen=True, slots=True)
class HiddenHosts:
    """Hosts below the rendered wildcard ``host``, which other documents name: by host, the first.

    A gateway looks at its most specific virtual host alone, so the wildcard never gets their calls.
    """

    host: str
    owners: dict[str, VirtualService]


class HarmError(ValueError):
    """The rendered documents take a call that they must not; `taken` is the call."""

    def __init__(self, taken: TakenCall) -> None:
        self.taken = taken
        super().__init__(str(taken))


def render_beside(
    make: Callable[[Collection[str]], str], mesh: MeshDocuments
) -> tuple[str, dict[str, TakenCall]]:
    """Return the text of documents that take no call of the documents in `mesh`.

    `make` renders the text, given the names of the documents that are to be without their unmatched
    rule. The result says which ones are, each with a call that the rule would take. Raises
    `HarmError` if a rule for preflights harms, or the mere host.
    """
    without: dict[str, TakenCall] = {}
    while True:
        text = make(without)
        rendered = read_documents(text)
        taken = next(_taken_calls(mesh, rendered), None)
        if taken is None:
            return text, without
        ours, taker = list(map(_identity, rendered)), taken.taker
        if taker is None or _identity(taker) not in ours or taker.name in without:
            raise HarmError(taken)
        without[taker.name] = taken


def still_lost(mesh: MeshDocuments, text: str) -> Iterator[LostCalls]:
    """Yield the calls whose preflights the documents in `text` are for, and which stay lost.

    The documents are the youngest, so a rule of another one may take these preflights first.
    """
    rendered = tuple(replace(each, created=_AGES[-1]) for each in read_documents(text))
    (name,) = rendered[0].gateways
    alone = Gateway(rendered, name)
    for lost in lost_calls(replace(mesh, documents=(*_others(mesh, rendered), *rendered))):
        meant = alone.handle(lost.calls.preflight(lost.requests[0])).route
        if lost.calls.gateway == name and meant is not None and is_preflight_rule(meant):
            yield lost


def hidden_hosts(mesh: MeshDocuments, text: str) -> list[HiddenHosts]:
    """Return the hosts that the documents in `text` cover by a wildcard, but never get."""
    rendered = read_documents(text)
    ours = {host for each in rendered for host in each.hosts}
    found: dict[str, HiddenHosts] = {}
    for document in _others(mesh, rendered):
        if set(document.gateways).isdisjoint(rendered[0].gateways):
            continue
        for host in document.hosts:
            wildcard = next((each for each in wildcards_over(host) if each in ours), None)
            if wildcard is not None and host not in ours:
                hidden = found.setdefault(wildcard, HiddenHosts(wildcard, {}))
                hidden.owners.setdefault(host, document)
    return list(found.values())


def _taken_calls(mesh: MeshDocuments, rendered: Sequence[VirtualService]) -> Iterator[TakenCall]:
    others = _others(mesh, rendered)
    before = replace(mesh, documents=others)
    for age in _AGES:
        aged = (replace(each, created=age) for each in rendered)
        after = replace(mesh, documents=(*others, *aged))
        yield from map(TakenCall, harmed_calls(before, after))


def _others(mesh: MeshDocuments, rendered: Sequence[VirtualService]) -> tuple[VirtualService, ...]:
    """Return the documents that stay: what is rendered again takes its own place."""
    ours = set(map(_identity, rendered))
    return tuple(each for each in mesh.documents if _identity(each) not in ours)


def _identity(document: VirtualService) -> tuple[str, str, str]:
    return document.kind, document.namespace, document.name
