"""Calls that the rules mean to allow, and that browsers block because of where their preflights go.

A rule with a corsPolicy means to allow what this policy allows, with the headers that the rule
picks by. A preflight is lost if no rule takes it, if a redirect or directResponse answers it, if
it strays to another rule's service, or if another rule's corsPolicy refuses it. A rule for
preflights alone is meant to take them: what its service answers is not known here.

A rule without a corsPolicy leaves CORS to its service. Its preflights are lost if none can reach a
service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcors import browser
from meshcors.mesh._analysis.preflight_routing import groups, routing_names
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._analysis.sample_calls import HostCalls, credentials_of
from meshcors.mesh._analysis.sample_origins import sample_origins
from meshcors.mesh._documents.virtual_service import MESH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.sample_calls import PageRequest, SampleCalls
    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._routing.gateway import Gateway, GatewayAnswer


@dataclass(frozen=True, slots=True)
class LostCalls:
    """Those of some sample calls whose preflights are lost, and the answer to the first of them."""

    calls: SampleCalls
    requests: tuple[PageRequest, ...]
    answer: GatewayAnswer


def lost_calls(mesh: MeshDocuments) -> Iterator[LostCalls]:
    """Yield the lost calls of every rule."""
    for gateway, port, host in mesh.hosts:
        names = routing_names(port, host.domain, gateway)
        for calls in HostCalls(gateway, port, host.domain).where_rules_meet():
            lost = lost_among(calls, gateway, names)
            if lost and _is_for_browsers(calls.route.document):
                yield LostCalls(calls, lost, gateway.handle(calls.preflight(lost[0])))


def lost_among(
    calls: SampleCalls, gateway: Gateway, names: frozenset[str]
) -> tuple[PageRequest, ...]:
    """Return those of ``calls`` that are lost; ``names`` are the `routing_names`."""
    if not calls.route.is_forward:
        return ()
    # A GET or HEAD without headers of its own has no preflight.
    own = [each for each in calls.own if each.names or each.method not in {"GET", "HEAD"}]
    return tuple(each for group in groups(own, names) for each in _lost(calls, group, gateway))


def _lost(calls: SampleCalls, group: list[PageRequest], gateway: Gateway) -> Iterator[PageRequest]:
    """Yield the lost ones of a group whose preflights go the same way."""
    answer = gateway.handle(calls.preflight(group[0]))
    taken, own = answer.route, calls.route.source
    if taken is None:
        yield from group
    elif taken.source is own:
        return
    elif taken.is_forward and taken.source.cors_policy is None:
        if own.cors_policy is not None and not is_preflight_rule(taken):
            yield from group
    elif own.cors_policy is not None or not taken.is_forward:
        is_meant = taken.is_forward and is_preflight_rule(taken)
        for asked in group:
            answer = gateway.handle(calls.preflight(asked))
            if answer.kind == "forward" and is_meant:
                continue
            if answer.kind == "forward" or not _permits(calls, asked, answer):
                yield asked


def _permits(calls: SampleCalls, asked: PageRequest, answer: GatewayAnswer) -> bool:
    """Tell whether the gateway's own answer to a preflight permits the call."""
    own = calls.route.source.cors_policy
    if own is not None and not sample_origins(own) and answer.kind == "cors":
        return True  # there is no origin to ask it with
    try:
        request = calls.browser_request(asked, credentials_of(own))
    except ValueError:
        return True
    response = browser.Response(answer.status or 0, answer.headers)
    return browser.judge_preflight(request, response).allowed


def _is_for_browsers(document: VirtualService) -> bool:
    """Tell whether browsers call a document's hosts.

    They call gateways. A sidecar's rules matter only if somebody configured CORS there.
    """
    return document.gateways != (MESH,) or any(rule.cors_policy for rule in document.http)
