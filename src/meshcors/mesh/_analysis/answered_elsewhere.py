"""Which preflights of a corsPolicy another corsPolicy answers, or a rule for preflights takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcors import browser
from meshcors.mesh._analysis.preflight_routing import groups, routing_names
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._analysis.sample_calls import HostCalls
from meshcors.mesh._routing.cors_filter import origin_allowed
from meshcors.mesh._routing.index import RouteIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.sample_calls import PageRequest, SampleCalls
    from meshcors.mesh._routing.gateway import Gateway
    from meshcors.mesh._routing.routes import Route


@dataclass(frozen=True, slots=True)
class AnsweredElsewhere:
    """Calls that the corsPolicy of their rule allows, and the rule that takes their preflights.

    ``refused`` is the first of them that the taker's own corsPolicy does not allow, with what it
    does not allow: ``the method PUT``. It is None if a service decides, or if all are allowed.
    ``is_unknown`` tells these apart. ``is_taken`` means that without rules for preflights their own
    rule would answer them.
    """

    calls: SampleCalls
    taker: Route
    refused: tuple[PageRequest, str] | None
    is_unknown: bool
    is_taken: bool


def answered_elsewhere(mesh: MeshDocuments) -> Iterator[AnsweredElsewhere]:
    """Yield the calls of every rule with a corsPolicy whose preflights another such rule takes."""
    ends = {"other_policy", "preflight_rule"}
    elsewhere = {call.route.source.key for call in mesh.calls if call.preflight_end in ends}
    for gateway, port, host in mesh.hosts:
        names = routing_names(port, host.domain, gateway)
        # if no rule looks at a preflight's headers, an example tells for all
        if not (names or any(route.source.key in elsewhere for route in host.routes)):
            continue
        others = RouteIndex([route for route in host.routes if not is_preflight_rule(route)])
        for calls in HostCalls(gateway, port, host.domain).of_rules():
            policy = calls.route.source.cors_policy
            if policy is None or not calls.route.is_forward:
                continue
            # a GET or HEAD without headers of its own has no preflight
            own = [
                each for each in calls.own
                if (each.names or each.method not in {"GET", "HEAD"})
                and origin_allowed(policy, each.origin)
            ]  # fmt: skip
            for group in groups(own, names):
                preflight = calls.preflight(group[0])
                taker = gateway.handle(preflight).route
                if taker is None or taker.source is calls.route.source or not taker.is_forward:
                    continue
                without = others.first(preflight) if is_preflight_rule(taker) else None
                is_taken = without is not None and without.source is calls.route.source
                if taker.source.cors_policy is not None:
                    refused, is_unknown = _first_refused(calls, group, gateway, taker)
                    yield AnsweredElsewhere(calls, taker, refused, is_unknown, is_taken)
                elif is_preflight_rule(taker):
                    yield AnsweredElsewhere(calls, taker, None, True, is_taken)


def _first_refused(
    calls: SampleCalls, group: list[PageRequest], gateway: Gateway, taker: Route
) -> tuple[tuple[PageRequest, str] | None, bool]:
    """Return the first call that a policy refuses and why, and whether a service decides others."""
    is_unknown = False
    for asked in group:
        answer = gateway.handle(calls.preflight(asked))
        if answer.kind == "cors":
            response = browser.Response(answer.status or 0, answer.headers)
            try:
                request = calls.browser_request(asked, calls.credentials[0])
            except ValueError:
                continue  # no script can make it
            verdict = browser.judge_preflight(request, response)
            # a missing routing header alone is MC013's finding, at the list that lacks it
            in_list = verdict.code == "header_not_allowed" and verdict.field in calls.names
            if not verdict.allowed and not in_list:
                return (asked, _what(verdict, asked)), is_unknown
        elif is_preflight_rule(taker):
            # the policy leaves refused origins to a service that is there for preflights
            is_unknown = True
        else:
            return (asked, f"the origin {asked.origin}"), is_unknown
    return None, is_unknown


def _what(verdict: browser.Verdict, asked: PageRequest) -> str:
    if verdict.code == "method_not_allowed":
        return f"the method {verdict.field}"
    if verdict.code == "header_not_allowed":
        return f"the header {verdict.field}"
    is_origin = verdict.code in {"acao_missing", "acao_mismatch"}
    return f"the origin {asked.origin}" if is_origin else "credentials"
