"""Whether an edit of the documents harms anybody: what changes for the calls of pages.

Sample calls of every rule, to every host, port and gateway, go through the model of the gateway and
of the browser, before and after. A call is harmed if it worked and now is blocked or answered by
somebody else. Where the documents do not say what a service answers, the call counts as one that
worked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from meshcors.mesh._analysis.example_call import example_host
from meshcors.mesh._analysis.lost_calls import lost_among
from meshcors.mesh._analysis.page_call import trace_call
from meshcors.mesh._analysis.preflight_routing import groups, routing_names
from meshcors.mesh._analysis.route_effect import answerer, conditions, effect
from meshcors.mesh._analysis.sample_calls import (
    HostCalls,
    PageRequest,
    SampleCalls,
    means_to_allow,
    takes_method,
)
from meshcors.mesh._analysis.sample_origins import STRANGER
from meshcors.mesh._routing.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors.mesh._analysis.lost_calls import LostCalls
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.page_call import TracedCall, TracedExchange
    from meshcors.mesh._routing.gateway import GatewayAnswer
    from meshcors.mesh._routing.routes import Route


@dataclass(frozen=True, slots=True)
class HarmedCall:
    """A call that worked ``before`` and is blocked or answered by somebody else ``after``."""

    before: TracedCall
    after: TracedCall

    @property
    def is_blocked(self) -> bool:
        """Whether the call is blocked afterwards; otherwise somebody else answers."""
        return self.after.outcome == "blocked"

    @property
    def exchange(self) -> TracedExchange:
        """The request, or else the preflight, as it was answered before: the one that changes."""
        return self._changed[0]

    @property
    def taker(self) -> GatewayAnswer:
        """What that request or preflight is answered after."""
        return self._changed[1].answer

    @property
    def _changed(self) -> tuple[TracedExchange, TracedExchange]:
        pairs = list(zip(self.before.exchanges, self.after.exchanges, strict=True))
        for old, new in reversed(pairs):
            is_blocked = new.outcome == "blocked" and old.outcome != "blocked"
            if is_blocked or _answerer(old.answer) != _answerer(new.answer):
                return old, new
        return pairs[-1]

    @property
    def example(self) -> str:
        """The call in a few words, for somebody whom its origin does not matter to."""
        call = self.before.call
        return f"{call.method} {call.url.partition('?')[0]} (origin {call.origin})"

    def __str__(self) -> str:
        """Name the call without the values of its headers, and without its query."""
        call = self.before.call
        url = call.url.partition("?")[0]
        names = ", ".join(dict.fromkeys(name for name, _ in call.headers))
        return f"{call.method} {url} from {call.origin}" + (f" with {names}" if names else "")


def harmed_calls(
    before: MeshDocuments, after: MeshDocuments, also: frozenset[str] = frozenset()
) -> Iterator[HarmedCall]:
    """Yield sample calls that the step from ``before`` to ``after`` harms; none if it is safe.

    The preflight of a call that is lost before (`lost_calls`) may be answered by anybody; also if
    the call has headers of ``also``, and is lost with and without them.
    """
    return (harmed for host in _hosts(before, after, also) for harmed in host.harmed())


def harmed_hosts(
    before: MeshDocuments, after: MeshDocuments, also: frozenset[str] = frozenset()
) -> Iterator[HarmedCall]:
    """Yield what `harmed_calls` does, and at most one call for each host."""
    for host in _hosts(before, after, also):
        yield from islice(host.harmed(), 1)


def answered_as_before(
    before: MeshDocuments, after: MeshDocuments, lost: Iterable[LostCalls]
) -> Iterator[LostCalls]:
    """Yield those of the lost calls whose preflights are answered after as they are before."""
    gateways = [{it.name: it for it, _, _ in mesh.hosts} for mesh in (before, after)]
    for each in lost:
        calls = each.calls
        old, new = (found[calls.gateway] for found in gateways)
        names = routing_names(calls.port, calls.call.host, old, new)
        for group in groups(each.requests, names):
            preflight = calls.preflight(group[0])
            if _is_same(old.handle(preflight).route, new.handle(preflight).route):
                yield replace(each, requests=tuple(group), answer=new.handle(preflight))


def _hosts(
    before: MeshDocuments, after: MeshDocuments, also: frozenset[str]
) -> Iterator[_Comparison]:
    later = {gateway.name: gateway for gateway, _, _ in after.hosts}
    ports = sorted({port for mesh in (before, after) for _, port, _ in mesh.hosts}, reverse=True)
    for gateway in {gateway.name: gateway for gateway, _, _ in before.hosts}.values():
        domains = dict.fromkeys(
            host.domain
            for mesh in (before, after)
            for each, _, host in mesh.hosts
            if each.name == gateway.name
        )
        for port in ports:
            for domain in domains:
                there = later.get(gateway.name, Gateway((), gateway.name))
                yield _Comparison(gateway, there, port, domain, also)


class _Comparison:
    """One host on one port of a gateway, before and after."""

    def __init__(
        self, before: Gateway, after: Gateway, port: int, domain: str, also: frozenset[str]
    ) -> None:
        self._before, self._after, self._port, self._domain = before, after, port, domain
        self._also = also
        self._names = routing_names(port, domain, before, after)
        self._calls = HostCalls(before, port, domain)
        self._at: dict[object, list[SampleCalls]] = {}

    def harmed(self) -> Iterator[HarmedCall]:
        if self._is_unchanged():
            return
        for calls in self._samples():
            taken = self._after.handle(calls.call).route
            if not _is_same(calls.route, taken):
                moved = taken is None or answerer(taken) != answerer(calls.route)
                some = PageRequest(STRANGER, calls.call.method, calls.names)
                for asked in (some,) if moved else calls.requests:
                    yield from self._traced(calls, asked, is_request=moved)
            for group in groups(calls.requests, self._names):
                yield from self._of_group(calls, group)

    def _of_group(self, calls: SampleCalls, group: list[PageRequest]) -> Iterator[HarmedCall]:
        """Yield the harmed calls of a group whose preflights go the same way."""
        preflight = calls.preflight(group[0])
        old, new = (each.handle(preflight).route for each in (self._before, self._after))
        # A preflight that no rule takes is blocked.
        if old is None or _is_same(old, new):
            return
        is_unknown = new is not None and _leaves_it_to_a_service(new)
        for asked in group:
            # Nothing that is lost now can get worse by going to a service.
            if not (is_unknown and self._is_lost(calls, asked)):
                yield from self._traced(calls, asked)

    def _traced(
        self, calls: SampleCalls, asked: PageRequest, *, is_request: bool = False
    ) -> Iterator[HarmedCall]:
        """Yield a call if it is harmed; ``is_request`` if the request itself has changed hands."""
        for credentials in calls.credentials or ("same-origin",):
            try:
                request = calls.browser_request(asked, credentials)
            except ValueError:
                continue  # no script can make it
            old = trace_call(self._before, request, port=self._port)
            if old.outcome == "blocked" and not is_request:
                continue
            new = trace_call(self._after, request, port=self._port)
            harmed = HarmedCall(old, new)
            if is_request or harmed.is_blocked:
                yield harmed
            elif old.preflight is not None and new.preflight is not None:
                moved = _answerer(old.preflight.answer) != _answerer(new.preflight.answer)
                if moved and not self._is_lost(calls, asked):
                    yield harmed

    def _is_lost(self, calls: SampleCalls, asked: PageRequest) -> bool:
        """Tell whether the same preflight is sent for a call that is lost."""
        url = (calls.call.host, calls.call.path, calls.call.scheme)
        if url not in self._at:
            self._at[url] = self._calls.at(calls.call)
        names = set(asked.names)
        return any(
            names.issuperset(each.names)
            and takes_method(each.route, asked.method)
            and self._is_lost_by(each, asked)
            for each in self._at[url]
        )

    def _is_lost_by(self, calls: SampleCalls, asked: PageRequest) -> bool:
        """Tell whether a call that the rule of ``calls`` takes is meant to work, and lost."""
        checked = [asked]
        if not means_to_allow(calls, asked):
            kept = (it for it in asked.names if it not in self._also or it in calls.names)
            checked.append(asked._replace(names=tuple(kept)))
        return means_to_allow(calls, checked[-1]) and all(
            lost_among(replace(calls, own=(each,)), self._before, self._names) for each in checked
        )

    def _samples(self) -> Iterator[SampleCalls]:
        return self._calls.where_rules_meet(self._new_routes())

    def _is_unchanged(self) -> bool:
        old, new = self._routes(self._before), self._routes(self._after)
        return len(old) == len(new) and all(
            _is_same(one, two) and conditions(one) == conditions(two)
            for one, two in zip(old, new, strict=True)
        )

    def _new_routes(self) -> list[Route]:
        """Return the routes that are new; all of them if old ones have moved or gone."""
        left = [conditions(route) for route in reversed(self._routes(self._before))]
        found: list[Route] = []
        for route in self._routes(self._after):
            if left and conditions(route) == left[-1]:
                left.pop()
            else:
                found.append(route)
        return list(self._routes(self._after)) if left else found

    def _routes(self, gateway: Gateway) -> tuple[Route, ...]:
        host = gateway.virtual_host(example_host(self._domain), self._port)
        return host.routes if host else ()


def _is_same(old: Route | None, new: Route | None) -> bool:
    """Tell whether two routes do the same with what they take."""
    if old is not None and new is not None and old.source is new.source:
        return True
    return effect(old) == effect(new)


def _leaves_it_to_a_service(route: Route) -> bool:
    """Tell whether a service alone decides what a browser makes of an answer."""
    rule = route.source
    operations = (rule.headers.response, *(to.headers.response for to in rule.route))
    changes = any(each.set or each.add or each.remove for each in operations)
    return route.is_forward and rule.cors_policy is None and not changes


def _answerer(answer: GatewayAnswer) -> object:
    """Return who answers: a corsPolicy of the gateway, a service, or a fixed answer."""
    if answer.kind == "cors" or answer.route is None:
        return answer.kind
    return answerer(answer.route)
