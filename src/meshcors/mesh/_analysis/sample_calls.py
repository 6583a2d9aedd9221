"""Sample calls of pages: enough of them to see what an edit of the documents changes for browsers.

Each `SampleCalls` stands for the calls that one rule takes at one path. They differ in the page's
origin, the method, the headers that a script sets, and the credentials mode: all combinations of a
bounded number of each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, product
from typing import TYPE_CHECKING, Final, NamedTuple

from meshcors import browser
from meshcors._policy.headers import SAFELISTED_METHODS, SAFELISTED_REQUEST_HEADERS
from meshcors.mesh._analysis.example_call import (
    EXAMPLE_ORIGIN,
    announced_headers,
    carried,
    example_call,
    example_calls,
    example_host,
)
from meshcors.mesh._analysis.meeting_urls import meeting_urls
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._analysis.route_effect import cors_effect
from meshcors.mesh._analysis.sample_origins import STRANGER, HostOrigins, sample_origins
from meshcors.mesh._analysis.useless_names import useless_header, useless_method
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD, origin_allowed
from meshcors.mesh._routing.index import RouteIndex
from meshcors.mesh._routing.matching import mismatches, text_matches
from meshcors.mesh._routing.request import GatewayRequest
from meshcors.mesh._routing.routes import RouteMatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors.mesh._documents.model import CorsPolicy
    from meshcors.mesh._routing.gateway import Gateway
    from meshcors.mesh._routing.routes import PathCondition, Route, VirtualHost

# How many of each a rule's sample calls have.
_OTHER_ORIGINS: Final = 4
_METHODS: Final = 6
_PICKED_BY: Final = 4
# Methods that a policy may leave out.
_UNLISTED: Final = ("PUT", "DELETE")
# A value that every browser announces, whatever the header's name is.
_ANNOUNCED_VALUES: Final = {"content-type": "application/json"}
_SOME_VALUE: Final = "x"


class PageRequest(NamedTuple):
    """One of the `SampleCalls`: ``names`` are the headers that a preflight announces, sorted."""

    origin: str
    method: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SampleCalls:
    """Calls that ``route`` takes at a gateway's port, all of them to the URL of ``call``.

    ``call`` has headers that the page sets, ``names`` are those of them that the rule picks by.
    ``own`` are the calls which the rule's corsPolicy allows, or would if it listed ``names``;
    ``others`` are calls which it does not allow, such as those of another policy's origins. Where
    another rule has the same preflights, there is neither: only the call itself is of interest.
    """

    gateway: str
    port: int
    route: Route
    call: GatewayRequest
    names: tuple[str, ...]
    own: tuple[PageRequest, ...]
    others: tuple[PageRequest, ...]
    credentials: tuple[browser.Credentials, ...]

    @property
    def requests(self) -> tuple[PageRequest, ...]:
        """All of them."""
        return self.own + self.others

    def preflight(self, asked: PageRequest) -> GatewayRequest:
        """Return the preflight that a browser sends for one of the calls."""
        fields = [
            *carried(self.call),
            ("accept", "*/*"),
            (REQUEST_METHOD, asked.method),
            ("origin", asked.origin),
        ]
        if asked.names:
            fields.append((REQUEST_HEADERS, ",".join(asked.names)))
        call = self.call
        return GatewayRequest("OPTIONS", call.host, call.path, fields, call.scheme, self.port)

    def browser_request(
        self, asked: PageRequest, credentials: browser.Credentials
    ) -> browser.Request:
        """Return one of the calls as a page's script makes it.

        `ValueError` if no script can make it.
        """
        values = {name.lower(): value for name, value in self.call.headers}
        extra = (name for name in asked.names if name not in values)
        headers = values | {name: _ANNOUNCED_VALUES.get(name, _SOME_VALUE) for name in extra}
        url = f"{self.call.scheme}://{self.call.host}{self.call.path}"
        return browser.Request(asked.origin, url, asked.method, headers, credentials)


class HostCalls:
    """The sample calls of one virtual host: that of ``domain`` on a port of a gateway."""

    def __init__(self, gateway: Gateway, port: int, domain: str) -> None:
        self._gateway, self._port, self._domain = gateway, port, domain
        self._host = gateway.virtual_host(example_host(domain), port)

    def of_rules(self) -> Iterator[SampleCalls]:
        """Yield the calls of every rule to an example of its own path."""
        if self._host is not None:
            maker = _Maker(self._gateway, self._port, self._host)
            for route, call in self._rules:
                yield from maker.calls(call, announced_headers(route, call), route)

    def where_rules_meet(self, targets: Iterable[Route] = ()) -> Iterator[SampleCalls]:
        """Yield the calls of every rule, also to examples of other rules' and ``targets``' paths.

        Of many rules only those for preflights are such others, to save time.
        """
        if self._host is None:
            return
        maker = _Maker(self._gateway, self._port, self._host)
        for route, call in self._rules:
            yield from maker.calls(call, announced_headers(route, call), route)
        for url in self._urls(targets):
            for route, moved in self._at(url):
                yield from maker.calls(moved, announced_headers(route, moved), route)

    def at(self, url: GatewayRequest) -> list[SampleCalls]:
        """Return a call of each rule to one URL, without any `PageRequest`."""
        found: list[SampleCalls] = []
        for route, call in self._at(url):
            if self._gateway.handle(call).route is route:
                names = announced_headers(route, call)
                found.append(
                    SampleCalls(self._gateway.name, self._port, route, call, names, (), (), ())
                )
        return found

    def _at(self, url: GatewayRequest) -> Iterator[tuple[Route, GatewayRequest]]:
        for route, call in self._by_path.at(url):
            moved = GatewayRequest(
                call.method, url.host, url.path, call.headers, url.scheme, url.port
            )
            if not any(mismatches(route.match, moved)):
                yield route, moved

    def _urls(self, targets: Iterable[Route]) -> Iterator[GatewayRequest]:
        routes = self._host.routes if self._host else ()
        others = (*filter(is_preflight_rule, routes), *targets)
        calls = ((route, example_call(route, self._domain, self._port)) for route in others)
        return meeting_urls(self._rules, [(route, call) for route, call in calls if call])

    @cached_property
    def _rules(self) -> list[tuple[Route, GatewayRequest]]:
        routes = self._host.routes if self._host else ()
        calls = (
            (route, call_it_takes(self._gateway, route, self._domain, self._port))
            for route in routes if not is_preflight_rule(route)
        )  # fmt: skip
        return [(route, call) for route, call in calls if call is not None]

    @cached_property
    def _by_path(self) -> _CallsByPath:
        return _CallsByPath(self._rules)


def call_it_takes(gateway: Gateway, route: Route, domain: str, port: int) -> GatewayRequest | None:
    """Return a call that ``route`` takes; if earlier rules take all of them, any of them."""
    host = gateway.virtual_host(example_host(domain), port)
    first: GatewayRequest | None = None
    for call in example_calls(route, domain, port, beside=host.table.forbidden if host else ()):
        if gateway.handle(call).route is route:
            return call
        first = first or call
    return first


class _CallsByPath:
    """Calls by the path conditions of their rules."""

    def __init__(self, rules: Iterable[tuple[Route, GatewayRequest]]) -> None:
        self._calls: dict[PathCondition, dict[object, tuple[Route, GatewayRequest]]] = {}
        paths: dict[PathCondition, Route] = {}
        for route, call in rules:
            path = route.match.path
            there = self._calls.setdefault(path, {})
            paths.setdefault(path, replace(route, match=RouteMatch(path)))
            there.setdefault(_likeness(route), (route, call))
        self._index = RouteIndex(list(paths.values()))

    def at(self, url: GatewayRequest) -> Iterator[tuple[Route, GatewayRequest]]:
        """Yield the rules that may take a URL, each with a call to its own path."""
        for path in self._index.candidates(url):
            yield from self._calls[path.match.path].values()


class _Maker:
    """Makes the sample calls of one virtual host, each once."""

    def __init__(self, gateway: Gateway, port: int, host: VirtualHost) -> None:
        self._gateway = gateway
        self._port = port
        policies = (route.source.cors_policy for route in host.routes)
        self._origins = HostOrigins(policy for policy in policies if policy is not None)
        names = (name for route in host.routes for name in announced_headers(route))
        self._picked_by = list(dict.fromkeys(names))[:_PICKED_BY]
        self._made: set[object] = set()

    def calls(
        self, call: GatewayRequest, names: tuple[str, ...], meant: Route
    ) -> Iterator[SampleCalls]:
        """Yield the calls like ``call``, which is made for the rule ``meant``."""
        route = self._gateway.handle(call).route
        if route is None or is_preflight_rule(route):
            return
        own = route.source.cors_policy
        # An earlier rule that picks by fewer headers may take the call.
        picked = names if route is meant else announced_headers(route)
        made = SampleCalls(self._gateway.name, self._port, route, call, picked, (), (), ())
        same = (call.host, call.path, call.scheme, call.method, names, _likeness(route))
        if same in self._made:
            yield made
            return
        self._made.add(same)
        first = PageRequest(STRANGER, call.method, names)
        there = self._gateway.handle(made.preflight(first)).route
        answering = there.source.cors_policy if there else None
        name_sets = [*_name_sets(names, own), *_name_sets(names, answering), _with_json(names)]
        # With a value that no rule knows, these go wherever they go without it.
        name_sets += [tuple(sorted({*names, name})) for name in self._picked_by]
        # What no policy here lists, a service may allow all the same.
        name_sets.append(tuple(sorted({*names, "authorization"})))
        every = map(PageRequest._make, product(
            self._some_origins(own, answering),
            dict.fromkeys([
                *_methods(route, call, own), *_methods(route, call, answering),
                *(name for name in _UNLISTED if takes_method(route, name)),
            ]),
            dict.fromkeys(name_sets),
        ))  # fmt: skip
        mine: list[PageRequest] = []
        others: list[PageRequest] = []
        for asked in every:
            (mine if means_to_allow(made, asked) else others).append(asked)
        yield replace(
            made, own=tuple(mine), others=tuple(others),
            credentials=tuple(dict.fromkeys([credentials_of(own), credentials_of(answering)])),
        )  # fmt: skip

    def _some_origins(self, own: CorsPolicy | None, answering: CorsPolicy | None) -> list[str]:
        first = [
            origin for policy in (own, answering) if policy is not None
            # A policy may allow nothing that a browser sends: its rule still means to be called.
            for origin in self._origins.of(policy) or (EXAMPLE_ORIGIN,)
        ]  # fmt: skip
        others = (origin for origin in self._origins.every if origin not in first)
        return list(dict.fromkeys([*first, *islice(others, _OTHER_ORIGINS), STRANGER]))


def means_to_allow(calls: SampleCalls, asked: PageRequest) -> bool:
    """Tell whether the rule of ``calls`` means to allow a call: its corsPolicy does.

    The headers that the rule picks by need not be listed. Without a corsPolicy, the service may
    allow anything.
    """
    own = calls.route.source.cors_policy
    if own is None:
        return bool(calls.names)
    if not (origin_allowed(own, asked.origin) or not sample_origins(own)):
        return False
    methods = {*own.allow_methods, *SAFELISTED_METHODS, calls.call.method}
    names = {*(name.lower() for name in own.allow_headers), *calls.names}
    return ("*" in methods or asked.method in methods) and (
        "*" in names or names.issuperset(asked.names)
    )


def takes_method(route: Route, method: str) -> bool:
    """Tell whether a rule takes calls with a method."""
    conditions = (item for item in route.match.headers if item.name == ":method")
    return all(text_matches(item.match, method) != item.inverted for item in conditions)


def _likeness(route: Route) -> object:
    """Return what rules have in common that differ, for a browser, only in a header's value."""
    headers = (
        (item.name, item.inverted, item.match.value if item.name.startswith(":") else "")
        for item in route.match.headers
    )
    query = tuple((name, wanted.value) for name, wanted in route.match.query)
    return route.match.path, tuple(headers), query, cors_effect(route)


def credentials_of(policy: CorsPolicy | None) -> browser.Credentials:
    """Return the credentials mode of the calls that a policy allows."""
    return "include" if policy is not None and policy.allow_credentials else "same-origin"


def _methods(route: Route, call: GatewayRequest, policy: CorsPolicy | None) -> tuple[str, ...]:
    """Return the call's own method and those that a policy lists, if ``route`` takes them."""
    listed = policy.allow_methods if policy else ()
    useful = (name for name in listed if name != "*" and not useless_method(name))
    # A policy need not list GET.
    found = dict.fromkeys(
        [call.method, *(it for it in ("GET", *useful) if takes_method(route, it))]
    )
    return tuple(found)[:_METHODS]


def _with_json(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``names`` and what most calls with a body announce."""
    return tuple(sorted({*names, "content-type"}))


def _name_sets(names: tuple[str, ...], policy: CorsPolicy | None) -> tuple[tuple[str, ...], ...]:
    """Return ``names`` alone, and together with the headers that a policy lists.

    Without a policy, these are what a service most likely allows.
    """
    listed = ["content-type"] if policy is None else [it.lower() for it in policy.allow_headers]
    announced = {
        "content-type" if name == "*" else name
        for name in listed
        if not useless_header(name)
        and (name == "content-type" or name not in SAFELISTED_REQUEST_HEADERS)
    }
    return tuple(dict.fromkeys([names, tuple(sorted({*names, *announced}))]))
