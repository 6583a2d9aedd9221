"""The rules of gateways as text and as data.

The value of a header or of a query parameter may be a key: it is not printed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._explain.values import is_public, shown_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshcors.mesh._analysis.route_listing import ListedGateway, ListedHost, ListedRoute
    from meshcors.mesh._documents.model import CorsPolicy, StringMatch
    from meshcors.mesh._routing.gateway import GatewayAnswer
    from meshcors.mesh._routing.routes import DroppedRule, HeaderCondition, Route, RouteKey

_HIDDEN: Final = "…"
_SHOWN_DOMAINS: Final = 5
_SHOWN_ORIGINS: Final = 5
_REASONS: Final = {
    "port": "it is for port {detail}",
    "gateway": "it is for {detail}",
    "source": "it is for workloads with {detail}",
    "behind_catch_all": "{detail} takes every request before it",
    "other_owner": "{detail} is older and owns the host",
}


def narrate(gateways: Iterable[ListedGateway]) -> Iterator[str]:
    """Yield the table, line by line."""
    for number, gateway in enumerate(gateways):
        if number:
            yield ""
        yield from _gateway_lines(gateway)
        for host in gateway.hosts:
            yield ""
            yield f"  {_enumerated(host.domains, _SHOWN_DOMAINS)}"
            numbers = {each.route.key: at for at, each in enumerate(host.routes, start=1)}
            for listed in host.routes:
                yield from _route_lines(listed, numbers)
            for dropped in host.dropped:
                yield f"    left out: {dropped.rule} ({dropped.place}): {_reason(dropped)}"


def _gateway_lines(gateway: ListedGateway) -> Iterator[str]:
    connection = gateway.connection
    yield f"gateway {gateway.name}"
    if connection is None:
        return
    if not connection.name and not connection.filters:
        yield "  no file has its listener: a cors filter is assumed, and no filter before it"
        return
    address = f" on {connection.address}" if connection.address else ""
    filters = ", ".join(name.rpartition(".")[2] for name in connection.filters) or "none"
    yield f"  listener {connection.name or 'without a name'}{address}, filters: {filters}"


def _route_lines(listed: ListedRoute, numbers: Mapping[RouteKey, int]) -> Iterator[str]:
    route = listed.route
    yield f"    {numbers[route.key]}. {route.rule} ({route.place})"
    yield f"       if: {'; '.join(conditions(route)) or 'always'}"
    yield f"       then: {destination(route)}"
    policy = route.source.cors_policy
    if policy is not None:
        yield f"       corsPolicy: {'; '.join(policy_in_short(policy))}"
    yield f"       preflights: {preflights(listed, numbers)}"
    shown = listed.preflight.doubts if listed.preflight is not None else ()
    for doubt in dict.fromkeys((*route.match.unknown, *route.doubts, *shown)):
        yield f"       not certain: {doubt}"


def conditions(route: Route) -> list[str]:
    """Return the conditions of a route in words, without what may be a key."""
    match = route.match
    found: list[str] = []
    if (match.path.kind, match.path.value) not in {("prefix", "/"), ("prefix", "")}:
        case = ", whatever the case" if match.path.ignore_case else ""
        segments = ", in whole segments" if match.path.kind == "segments" else ""
        found.append(f"{route.path_field} {match.path}{segments}{case}")
    found += [_header(condition) for condition in (*match.headers, *match.claims)]
    found += [f"query {name} {_hidden(wanted)}" for name, wanted in match.query]
    found += [f"query {name} absent" for name in match.absent_query]
    return found


def _header(condition: HeaderCondition) -> str:
    group, _, name = condition.field.partition(".")
    label = f"header {name}" if name else group
    public = not name or is_public(name.lower())
    text = str(condition.match) if public else _hidden(condition.match)
    return f"{label} {'not ' if condition.inverted else ''}{text}"


def _hidden(match: StringMatch) -> str:
    return "present" if match.kind == "present" else f'{match.kind} "{_HIDDEN}"'


def destination(route: Route) -> str:
    """Return what a route does with a request, in words."""
    rule = route.source
    if rule.redirect is not None:
        to = rule.redirect.uri or rule.redirect.prefix_rewrite or "the same path"
        host = f" on {shown_target(rule.redirect.authority)}" if rule.redirect.authority else ""
        return f"redirect {rule.redirect.code or 301} to {shown_target(to)}{host}"
    if rule.direct_response is not None:
        return f"answer {rule.direct_response.status} directly"
    several = len(rule.route) > 1
    ports = {to: to.port or route.port for to in rule.route}
    names = [
        f"{to.host}{f':{ports[to]}' if ports[to] else ''}{f' ({to.weight})' if several else ''}"
        for to in rule.route
    ]
    return ", ".join(names) or "what is not modelled"


def policy_in_short(policy: CorsPolicy) -> list[str]:
    """Return what a corsPolicy says, in words."""
    origins = _enumerated([str(each) for each in policy.allow_origins], _SHOWN_ORIGINS)
    values = policy.values
    found = [f"origins {origins or 'none'}"]
    names = {"allowMethods": "methods", "allowHeaders": "headers", "exposeHeaders": "exposes"}
    for field, name in names.items():
        listed = ", ".join(each.strip() for each in values[field].split(","))
        found += [f"{name} {listed}"] if listed else []
    if policy.allow_credentials:
        found.append("credentials")
    if values["maxAge"]:
        found.append(f"max age {values['maxAge']}")
    ignored = policy.unmatched_preflights == "IGNORE"
    found.append(f"preflights of other origins are {'answered' if ignored else 'forwarded'}")
    return found


def preflights(listed: ListedRoute, numbers: Mapping[RouteKey, int]) -> str:
    """Return where the preflight of a call to a route goes, in words.

    ``numbers`` are those of the routes of the same table.
    """
    if listed.is_preflight_rule:
        return "this rule is for them"
    answer = listed.preflight
    if answer is None:
        return "no call is found that this rule takes"
    if answer.route is None:
        return "no rule takes them: 404"
    number = numbers.get(answer.route.key)
    rule = answer.route.rule if number is None else f"rule {number}"
    if answer.route.key == listed.route.key:
        rule = "this rule"
    return _end(rule, answer.route, answer)


def _end(rule: str, route: Route, answer: GatewayAnswer) -> str:
    policy = route.source.cors_policy
    if answer.kind == "unknown":
        return f"{rule} may take them"
    if answer.kind == "forward" and policy is None:
        return f"{rule} sends them to {answer.destination}"
    if answer.kind in {"forward", "cors"}:
        return f"the corsPolicy of {rule} answers them"
    return f"{rule} answers them with {answer.status}, without CORS headers"


def _reason(dropped: DroppedRule) -> str:
    return _REASONS[dropped.reason].format(detail=dropped.detail)


def _enumerated(items: Iterable[str], at_most: int) -> str:
    listed = list(items)
    more = len(listed) - at_most
    return ", ".join(listed[:at_most]) + (f" and {more} more" if more > 0 else "")


def as_data(gateways: Iterable[ListedGateway]) -> dict[str, object]:
    """Return the table as JSON's types."""
    return {
        "gateways": [
            {
                "name": gateway.name,
                "listener": _listener(gateway),
                "hosts": [_host(host) for host in gateway.hosts],
            }
            for gateway in gateways
        ]
    }


def _listener(gateway: ListedGateway) -> dict[str, object] | None:
    connection = gateway.connection
    if connection is None or not (connection.name or connection.filters):
        return None
    filters = list(connection.filters)
    return {"name": connection.name, "address": connection.address, "filters": filters}


def _host(host: ListedHost) -> dict[str, object]:
    numbers = {each.route.key: at for at, each in enumerate(host.routes, start=1)}
    return {
        "domains": list(host.domains),
        "rules": [_rule(listed, numbers) for listed in host.routes],
        "left_out": [
            {"rule": each.rule, "place": str(each.place), "reason": each.reason}
            for each in host.dropped
        ],
    }


def _rule(listed: ListedRoute, numbers: Mapping[RouteKey, int]) -> dict[str, Any]:
    route, answer = listed.route, listed.preflight
    policy = route.source.cors_policy
    return {
        "rule": route.rule,
        "place": str(route.place),
        "conditions": conditions(route),
        "destination": destination(route),
        "cors_policy": None if policy is None else policy_in_short(policy),
        "preflights": {
            "text": preflights(listed, numbers),
            "kind": None if answer is None else answer.kind,
            "rule": None if answer is None else answer.rule,
        },
        "not_certain": [str(doubt) for doubt in (*route.match.unknown, *route.doubts)],
    }
