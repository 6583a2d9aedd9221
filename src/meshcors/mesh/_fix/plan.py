"""Which rules to write: for each document the plainest ones that harm nobody.

Candidates are tried in the model of the gateway, all documents at once. A document whose rules harm
a call, or leave one of its own lost, gets narrower ones, until nothing is harmed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from meshcors.mesh._analysis.comparison import answered_as_before, harmed_hosts
from meshcors.mesh._analysis.lost_calls import lost_calls
from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._analysis.service_host import full_host
from meshcors.mesh._documents.model import DocumentKey
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._fix.edited_mesh import NewRules, with_rules
from meshcors.mesh._fix.errors import listed, would_harm, would_stay_blocked
from meshcors.mesh._fix.http_route_data import grants_needed
from meshcors.mesh._fix.kept_rule import BESIDE_KEPT, MOST_KEPT, kept_rule
from meshcors.mesh._fix.narrowing import LONGEST_REGEX, NARROWINGS
from meshcors.mesh._fix.preflight_rule import free_names, preflight_rules, unmatched_rule
from meshcors.mesh._fix.rule_data import rule_data

if TYPE_CHECKING:
    from meshcors.mesh._analysis.comparison import HarmedCall
    from meshcors.mesh._analysis.lost_calls import LostCalls
    from meshcors.mesh._documents.model import HttpRule, VirtualService
    from meshcors.mesh._fix.blocked_calls import BlockedCalls
    from meshcors.mesh._fix.options import FixOptions

_Write: TypeAlias = Callable[[MeshDocuments, Mapping[DocumentKey, NewRules]], MeshDocuments]


@dataclass(slots=True)
class Plan:
    """The rules for each document, those with the calls they are for, and notes for the user.

    ``also`` are the headers that every call may have besides those that its policy lists. ``pod``
    is the host and port of the pod, if new rules lead to it.
    """

    rules: dict[DocumentKey, list[tuple[BlockedCalls, HttpRule]]]
    also: frozenset[str] = frozenset()
    pod: tuple[str, int] | None = None
    unmatched: dict[DocumentKey, HttpRule] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def new(self) -> dict[DocumentKey, NewRules]:
        """The rules that each document gets."""
        return {
            key: NewRules(
                tuple(rule for _, rule in rules),
                (self.unmatched[key],) if key in self.unmatched else (),
            )
            for key, rules in self.rules.items()
        }

    @property
    def services(self) -> list[VirtualService]:
        """The documents that get rules."""
        return [rules[0][0].service for rules in self.rules.values()]

    @property
    def blocked(self) -> tuple[BlockedCalls, ...]:
        """The calls that each new rule is for."""
        return tuple(blocked for rules in self.rules.values() for blocked, _ in rules)

    @property
    def lost_beside_kept(self) -> list[LostCalls]:
        """The lost calls of documents with rules that keep answers: they must get another one."""
        return [
            lost
            for rules in self.rules.values()
            if any(rule.label for _, rule in rules)
            for blocked, rule in rules
            if not rule.label
            for lost in blocked.calls
        ]

    def written(self, rule: HttpRule, document: VirtualService) -> dict[str, Any]:
        """Return a rule as `document` spells it; what leads preflights to the pod tries again."""
        to_pod = [(each.host, each.port) for each in rule.route] == [self.pod]
        of_preflights = any(each.method is not None for each in rule.match)
        return rule_data(rule, document, tries_again=to_pod and of_preflights)

    def leave_out(self, key: DocumentKey, reason: str) -> None:
        """Leave out the last rule of a document."""
        self.unmatched.pop(key, None)
        service = self.rules[key][0][0].service
        self.notes.append(f"{service.label}: no rule for unmatched requests is written: {reason}")


def planned(
    mesh: MeshDocuments,
    blocked: list[BlockedCalls],
    options: FixOptions,
    write: _Write = with_rules,
) -> Plan:
    """Return the rules to write; ``write`` says where, in the model.

    ``DocumentError`` if it is unclear which origins to allow, or no rules are safe.
    """
    candidates = {each.service.key: _Candidates(each, options) for each in blocked}
    pod = None if options.responder == "mesh" else (full_host(options.pod[0]), options.pod[1])
    rules = {key: each.current for key, each in candidates.items()}
    plan = Plan(rules, options.also_allowed, pod)
    _add_unmatched(plan, mesh, options)
    while plan.rules:
        after = write(mesh, plan.new)
        kept = len(plan.unmatched)
        refused = _refused(plan, mesh, after, candidates)
        if len(plan.unmatched) == kept and not refused:
            break
        for key, refusal in refused.items():
            candidates[key].narrow(refusal)
            plan.rules[key] = candidates[key].current
    _drop_dead(plan, write(mesh, plan.new))
    _say_what_is_unmatched(plan)
    plan.notes += grants_needed(plan.services, options)
    return plan


class _Candidates:
    """The rules for one document, from the plainest to the narrowest."""

    def __init__(self, blocked: BlockedCalls, options: FixOptions) -> None:
        self.blocked = blocked
        self._options = options
        self._tried: list[object] = []
        self._left = (each for each in NARROWINGS if options.also_allowed or not each.json)
        self._error: DocumentError | None = None
        self._kept = 0
        first = self._next()
        if first is None:
            raise self._error or would_stay_blocked(blocked.calls[0])
        self.current = first

    def narrow(self, refusal: _Refusal) -> None:
        """Go on to the next candidate; the error of the refusal is raised if there is none."""
        # Why the plainest rules do not work says the most.
        self._error = self._error or refusal.error
        following = self._next()
        if following is None and refusal.harmed is not None and self._kept < MOST_KEPT:
            following = self._with_kept(refusal.harmed)
        if following is None:
            raise self._error
        self.current = following

    def _with_kept(self, harmed: HarmedCall) -> list[tuple[BlockedCalls, HttpRule]] | None:
        """Return the rules with one more, before the one that would take a harmed call."""
        taker = harmed.taker.route
        at = next(
            (at for at, (_, rule) in enumerate(self.current)
             if taker and rule.name == taker.source.name and not rule.label), None
        )  # fmt: skip
        taken = {rule.name for _, rule in self.current}
        names = (
            name for name in free_names(self.blocked.service, "preflight") if name not in taken
        )
        if at is None:
            return None
        part, new = self.current[at]
        kept = kept_rule(self.blocked.service, harmed, new, next(names))
        if kept is None:
            return None
        self._kept += 1
        return [*self.current[:at], (part, kept), *self.current[at:]]

    def _next(self) -> list[tuple[BlockedCalls, HttpRule]] | None:
        for narrowing in self._left:
            try:
                rules = preflight_rules(self.blocked, self._options, narrowing)
                written = [rule_data(rule, self.blocked.service) for _, rule in rules]
            except DocumentError as error:
                self._error = self._error or error
                continue
            is_new = written not in self._tried or narrowing == BESIDE_KEPT
            if is_new and all(map(_is_short, (rule for _, rule in rules))):
                self._tried.append(written)
                return rules
        return None


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why rules are not safe, and the call that they would harm, if it is that."""

    error: DocumentError
    harmed: HarmedCall | None = None


def _is_short(rule: HttpRule) -> bool:
    conditions = (condition for match in rule.match for _, condition in match.headers)
    return all(len(each.value) <= LONGEST_REGEX for each in conditions)


def _refused(
    plan: Plan, mesh: MeshDocuments, after: MeshDocuments,
    candidates: Mapping[DocumentKey, _Candidates],
) -> dict[DocumentKey, _Refusal]:  # fmt: skip
    """Return whose rules are not safe, and why; last rules that are not safe are left out."""
    refused: dict[DocumentKey, _Refusal] = {}
    for harmed in harmed_hosts(mesh, after, plan.also):
        taker = harmed.taker.route
        key = taker.document.key if taker else None
        last = plan.unmatched.get(key) if key else None
        if taker and key and last and taker.source.name == last.name:
            rule = harmed.exchange.answer.rule
            plan.leave_out(key, f"it would take calls such as {harmed.example} away from {rule}")
            return refused
        if key is None or key not in candidates:
            if not plan.unmatched:
                raise would_harm(harmed)
            for each in list(plan.unmatched):
                plan.leave_out(each, f"{harmed} would be answered by something else")
            return refused
        refused.setdefault(key, _Refusal(would_harm(harmed), harmed))
    if refused:
        return refused
    for lost in lost_calls(after):
        own = lost.calls.route.document.key
        taker = lost.answer.route
        key = taker.document.key if taker and taker.document.key in candidates else own
        if own in candidates:
            refused.setdefault(key, _Refusal(would_stay_blocked(lost)))
    for lost in answered_as_before(mesh, after, plan.lost_beside_kept):
        refused.setdefault(lost.calls.route.document.key, _Refusal(would_stay_blocked(lost)))
    return refused


def _add_unmatched(plan: Plan, mesh: MeshDocuments, options: FixOptions) -> None:
    """Add the last rule to each document that has no rule for everything."""
    if options.responder == "mesh" or not options.unmatched:
        return
    catch_alls = {
        route.document.key: route
        for _, _, host in mesh.hosts
        for route in host.routes
        if route.match.is_catch_all
    }
    for key, rules in plan.rules.items():
        service = rules[0][0].service
        if key in catch_alls:
            plan.leave_out(key, f"{catch_alls[key].rule} takes every other request")
        elif service.gateways != (MESH,):
            plan.unmatched[key] = unmatched_rule(service, options)


def _say_what_is_unmatched(plan: Plan) -> None:
    taking = [service for service in plan.services if service.key in plan.unmatched]
    hosts = dict.fromkeys(host for service in taking for host in service.hosts)
    if hosts:
        named = "any host" if "*" in hosts else listed(hosts)
        plan.notes.append(
            "the last rule takes every request that no other rule in these files takes, to"
            f" {named}: pass the host's other documents too, or use --no-unmatched"
        )


def _drop_dead(plan: Plan, after: MeshDocuments) -> None:
    """Leave out last rules that get no requests: Istio keeps the first catch-all of a host."""
    if not plan.unmatched:
        return
    alive: set[DocumentKey] = set()
    others: dict[DocumentKey, str] = {}
    for _, _, host in after.hosts:
        last = host.routes[-1] if host.routes else None
        if last is None or not last.match.is_catch_all:
            continue
        alive.add(last.document.key)
        for route in host.routes:
            others[route.document.key] = last.rule
    for key in [key for key in plan.unmatched if key not in alive]:
        plan.leave_out(key, f"{others.get(key, 'another rule')} takes every other request")
