"""Which hosts share a document: those that the same rules cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._policy.rules import Rule, RuleSet

_EVERY_HOST = "*"


@dataclass(frozen=True, slots=True)
class HostGroup:
    """Hosts of one document, and the rules that cover them, in order."""

    hosts: list[str]
    rules: list[Rule]


def host_groups(rules: RuleSet) -> list[HostGroup]:
    """Return every host that `rules` name, grouped by the rules that cover it.

    Envoy looks at one entry of hosts only, the most specific one, so a document must have all
    rules that cover its hosts, also those for wildcards. The time is linear in what the documents
    then contain.
    """
    # Which rules name a host.
    naming: dict[str, list[int]] = {}
    for number, rule in enumerate(rules.rules):
        for host in rule.hosts or (_EVERY_HOST,):
            naming.setdefault(host, []).append(number)
    # Most hosts are named by the same rules as their neighbours: each list is compared once.
    ids: dict[tuple[int, ...], int] = {}
    list_of = {host: ids.setdefault(tuple(found), len(ids)) for host, found in naming.items()}
    lists = list(ids)
    unions: dict[frozenset[int], int] = {}
    union_ids: dict[tuple[int, ...], int] = {}
    groups: dict[int, list[str]] = {}
    for host in naming:
        covering = (list_of[each] for each in (host, *wildcards_over(host)) if each in list_of)
        found = frozenset(covering)
        if found not in unions:
            numbers = tuple(sorted({number for each in found for number in lists[each]}))
            unions[found] = union_ids.setdefault(numbers, len(union_ids))
        groups.setdefault(unions[found], []).append(host)
    covering_rules = [[rules.rules[number] for number in numbers] for numbers in union_ids]
    return [HostGroup(_without_covered(groups[at]), covering_rules[at]) for at in groups]


def _without_covered(hosts: list[str]) -> list[str]:
    """Leave out hosts below a wildcard in the same list: Istio refuses such a pair."""
    there = set(hosts)
    return [host for host in hosts if there.isdisjoint(wildcards_over(host))]


def wildcards_over(host: str) -> Iterator[str]:
    """Yield the other host names that cover a host: ``*.b.c`` and ``*.c`` for ``a.b.c``, ``*``."""
    if host == _EVERY_HOST:
        return
    parent = host.removeprefix("*.").partition(".")[2]
    while parent:
        yield f"*.{parent}"
        parent = parent.partition(".")[2]
    yield _EVERY_HOST
