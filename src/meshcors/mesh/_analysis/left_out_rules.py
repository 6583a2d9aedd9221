"""Rules that would take a request, if the control plane had not left them out of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from meshcors.mesh._documents.model import HttpMatch, HttpRule, StringMatch
from meshcors.mesh._routing.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._policy.place import Place
    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._routing.gateway import GatewayAnswer
    from meshcors.mesh._routing.request import GatewayRequest

LeftOutReason: TypeAlias = Literal[
    "port", "gateway", "source", "behind_catch_all", "other_owner", "not_exported"
]


@dataclass(frozen=True, slots=True)
class LeftOutRule:
    """A rule that would take a request, and why it does not.

    ``detail`` is the port, gateway or labels that it is for, or the rule or document that is used
    instead.
    """

    rule: str
    place: Place
    reason: LeftOutReason
    detail: str


def left_out_rule(
    gateway: Gateway, answer: GatewayAnswer, *, elsewhere: bool = True
) -> LeftOutRule | None:
    """Return the first rule that would take the request of ``answer`` but is left out.

    With ``elsewhere``, what takes it on another port or at another gateway counts too.
    """
    found = next(_dropped(gateway, answer), None)
    if found is None and elsewhere and answer.kind == "no_route":
        found = next(_elsewhere(gateway, answer.request), None)
    return found


def _dropped(gateway: Gateway, answer: GatewayAnswer) -> Iterator[LeftOutRule]:
    """Yield the rules of the host that are left out of its table."""
    dropped = answer.dropped
    if answer.kind == "no_route":
        # a document has no table, and no host, if all its rules are left out
        dropped = _with_hosts(gateway).handle(answer.request).dropped
    if not dropped:
        return
    sources = {
        (rule.label, match.place if match else rule.place): (document, rule, match)
        for document in gateway.documents
        for rule in document.http
        for match in rule.match or (None,)
    }
    for each in dropped:
        source = sources.get((each.rule.partition(" match")[0], each.place))
        # of a delegate's rule in conflict with its root nobody knows what it would take
        if source is None or each.reason == "conflict":
            continue
        if _takes(source, gateway, answer.request):
            yield LeftOutRule(each.rule, each.place, each.reason, each.detail)


def _with_hosts(gateway: Gateway) -> Gateway:
    """Return a gateway where every VirtualService has a rule, which takes nothing."""
    documents: list[VirtualService] = []
    for document in gateway.documents:
        place = document.place
        never = HttpMatch(place, uri=StringMatch("exact", " ", place))
        rule = HttpRule(place, "", document.key, (), match=(never,))
        is_service = document.kind == "VirtualService"
        documents.append(replace(document, http=(rule, *document.http)) if is_service else document)
    return Gateway(tuple(documents), gateway.name, gateway.labels, gateway.namespace)


def _takes(
    source: tuple[VirtualService, HttpRule, HttpMatch | None],
    gateway: Gateway,
    request: GatewayRequest,
) -> bool:
    """Tell whether a rule alone, for whatever proxy, takes the request."""
    document, rule, match = source
    if match is not None:
        match = replace(match, port=0, gateways=(), source_labels=(), source_namespace="")
    rule = replace(rule, match=(match,) if match else (), left_out="")
    alone = replace(document, http=(rule,))
    return Gateway((alone,), gateway.name).handle(request).route is not None


def _elsewhere(gateway: Gateway, request: GatewayRequest) -> Iterator[LeftOutRule]:
    """Yield the rules that take the request on another port, or at another gateway."""
    matches = [
        match for document in gateway.documents for rule in document.http for match in rule.match
    ]
    for port in dict.fromkeys(match.port for match in matches if match.port):
        route = gateway.handle(replace(request, port=port)).route
        if route is not None:
            yield LeftOutRule(route.rule, route.place, "port", str(port))
    for name in gateway.names:
        if name != gateway.name:
            route = Gateway(gateway.documents, name).handle(request).route
            if route is not None:
                yield LeftOutRule(route.rule, route.place, "gateway", name)
