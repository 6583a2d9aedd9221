"""Which rules no request reaches, and which rule is in the way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from meshcors.mesh._analysis.example_call import example_call
from meshcors.mesh._routing.matching import takes_all_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors._policy.place import Place
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import HttpRule, RuleKey
    from meshcors.mesh._routing.routes import DroppedRule, Route


@dataclass(frozen=True, slots=True)
class InTheWay:
    """Why nothing reaches a rule: the label of the rule, document or gateway in the way.

    earlier_rule: it takes all that the rule would take. behind_catch_all: it takes everything.
    other_owner: for sidecars, it owns the host. gateway: the document is not bound to it.
    """

    kind: Literal["earlier_rule", "behind_catch_all", "other_owner", "gateway"]
    label: str


def unreached_rules(mesh: MeshDocuments) -> dict[RuleKey, InTheWay]:
    """Return the rules that no request reaches, on any host, port or gateway.

    A rule is among them only if that is certain: its conditions contain those of one earlier rule.
    One for which no example call is found is not, nor one that asks for labels of the caller, nor
    one behind a rule for one port, because the gateway may have others.
    """
    rules, on_one_port = _rules_by_label(mesh)
    reached: set[RuleKey] = set()
    unreached: dict[RuleKey, InTheWay] = {}
    for gateway, port, host in mesh.hosts:
        for dropped in host.dropped:
            keys, reason = rules[dropped.rule, dropped.place], _reason(dropped)
            if dropped.reason == "source" or dropped.detail in on_one_port:
                reached.update(keys)
            elif reason is not None:
                unreached.update({key: reason for key in keys if key not in unreached})
        for route in host.routes:
            keys = _written(route.source)
            if reached.issuperset(keys):
                continue
            call = example_call(route, host.domain, port)
            taken = gateway.handle(call).route if call else None
            earlier = None
            if call and taken and taken.source.key != route.source.key:
                earlier = _covering(route, host.table.index.candidates(call))
            if earlier is None or earlier.rule in on_one_port:
                reached.update(keys)
            else:
                unreached.update(dict.fromkeys(keys, InTheWay("earlier_rule", earlier.rule)))
    return {key: reason for key, reason in unreached.items() if key not in reached}


def _covering(route: Route, candidates: Iterable[Route]) -> Route | None:
    """Return the first rule before ``route`` that certainly takes all of its requests."""
    earlier = takewhile(lambda each: each.key != route.key, candidates)
    return next((each for each in earlier if takes_all_of(each.match, route.match)), None)


def _written(rule: HttpRule) -> tuple[RuleKey, ...]:
    """Return the rules of the documents that a rule of a gateway comes from."""
    own = rule.key._replace(root=None)
    return (own,) if rule.root is None else (own, rule.root)


def _reason(dropped: DroppedRule) -> InTheWay | None:
    reason = dropped.reason
    if reason == "behind_catch_all" or reason == "other_owner" or reason == "gateway":
        return InTheWay(reason, dropped.detail)
    return None


def _rules_by_label(
    mesh: MeshDocuments,
) -> tuple[dict[tuple[str, Place], tuple[RuleKey, ...]], set[str]]:
    """Return the rules by label and place of each match entry, and the entries for one port."""
    found: dict[tuple[str, Place], tuple[RuleKey, ...]] = {}
    on_one_port: set[str] = set()
    for document in mesh.merged:
        entry = "match" if document.kind == "VirtualService" else "matches"
        for rule in document.http:
            keys = _written(rule)
            found[rule.label, rule.place] = keys
            for at, match in enumerate(rule.match, start=rule.match_index):
                label = f"{rule.label} {entry}[{at}]"
                found[label, match.place] = keys
                on_one_port.update([label] if match.port else [])
    return found, on_one_port
