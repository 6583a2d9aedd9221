"""The calls of the page: for each rule the right key, a wrong one, none, and what may go wrong.

Pure: made from the gateway's rules. A call is kept only if the gateway sends it to the rule that it
is made for, or, for a call with another key, away from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from meshcors import browser
from meshcors.mesh._analysis.example_call import announced_headers, example_host
from meshcors.mesh._analysis.preflight_rules import is_preflight_rule
from meshcors.mesh._analysis.sample_calls import (
    PageRequest,
    SampleCalls,
    call_it_takes,
    credentials_of,
    means_to_allow,
)
from meshcors.mesh._analysis.sample_origins import sample_origins
from meshcors.mesh._routing.cors_filter import origin_allowed
from meshcors.mesh._routing.request import GatewayRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from meshcors.mesh._routing.gateway import Gateway
    from meshcors.mesh._routing.routes import Route, VirtualHost

# What a call asks a model service for, in its query.
Wish: TypeAlias = Literal["", "stream", "500"]

# For a rule of every host, and in place of a wildcard.
EXAMPLE_HOST: Final = "api.example.com"
_FIRST_LABEL: Final = "api"
_STRANGERS: Final = ("https://stranger.example", "https://foreign.example", "https://other.example")
_BODY: Final = '{"inputs": [1, 2, 3]}'
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
_JSON: Final = ("content-type", "application/json")
_WRONG_KEYS: Final = ("wrong", "another-wrong-key", "0")


@dataclass(frozen=True, slots=True)
class LabCall:
    """A call that a page makes.

    ``request`` is what its script asks for, with real names; ``service`` is where its rule leads,
    as ``host:port``, and ``keys`` are the headers that the rule picks by. ``is_meant`` tells
    whether the rule is meant to serve it.
    """

    id: str
    title: str
    # not shown: it has the key
    request: browser.Request = field(repr=False)
    body: str | None
    wish: Wish
    rule: str
    service: str
    keys: tuple[str, ...]
    is_meant: bool

    @property
    def host(self) -> str:
        """The host that is called, without a port."""
        return self.request.url.partition("://")[2].partition("/")[0]

    @property
    def target(self) -> str:
        """The path and the query."""
        return f"/{self.request.url.partition('://')[2].partition('/')[2]}"


@dataclass(frozen=True, slots=True)
class CallWishes:
    """What is wanted: the page's origin, which destinations are real, and how many rules at most.

    ``is_pod`` and ``is_real`` tell of a ``host:port``: a real service cannot be asked to fail.
    ``most_rules`` is None for all of them.
    """

    origin: str
    is_pod: Callable[[str], bool]
    is_real: Callable[[str], bool]
    most_rules: int | None


@dataclass(frozen=True, slots=True)
class MadeCalls:
    """The calls, and how many rules have none because there are too many."""

    calls: tuple[LabCall, ...]
    rules_left_out: int = 0


def stranger_among(origins: Iterable[str]) -> str:
    """Return an origin of nobody that is none of the given ones."""
    known = set(origins)
    more = (f"https://stranger-{number}.example" for number in range(len(known) + 1))
    return next(each for each in (*_STRANGERS, *more) if each not in known)


def named_origins(gateway: Gateway, port: int) -> list[str]:
    """Return an origin for each entry of the policies at the gateway's rules, the first first."""
    policies = (
        route.source.cors_policy for host in gateway.virtual_hosts(port) for route in host.routes
    )
    found = (origin for policy in policies if policy for origin in sample_origins(policy))
    return [origin for origin in dict.fromkeys(found) if origin != "null"]


def calls_of(gateway: Gateway, port: int, wishes: CallWishes) -> MadeCalls:
    """Return the calls of a page to each rule that leads to a service."""
    stranger = stranger_among([*named_origins(gateway, port), wishes.origin])
    made: list[LabCall] = []
    rules = left_out = 0
    seen: set[str] = set()
    for host in gateway.virtual_hosts(port):
        for route in host.routes:
            if route.rule in seen or not _is_called(route, wishes):
                continue
            first = _first_call(gateway, port, host, route, wishes.origin)
            if first is None:
                continue
            # the hosts of one document share its rules
            seen.add(route.rule)
            if rules == wishes.most_rules:
                left_out += 1
                continue
            rules += 1
            made += _RuleCalls(gateway, port, route, first, stranger, wishes, rules).all()
    return MadeCalls(tuple(made), left_out)


def _is_called(route: Route, wishes: CallWishes) -> bool:
    """Tell whether a page may call a rule: it leads to a service that is not the pod."""
    if is_preflight_rule(route) or not route.is_forward or not route.source.route:
        return False
    return not wishes.is_pod(service_of(route))


def service_of(route: Route) -> str:
    """Return the ``host:port`` that a rule leads to; of several, the one with most weight."""
    to = max(route.source.route, key=lambda each: each.weight)
    return f"{to.host}:{to.port or route.port}"


@dataclass(frozen=True, slots=True)
class _FirstCall:
    """The call that a rule takes, as a page's script makes it."""

    request: browser.Request
    names: tuple[str, ...]
    is_meant: bool


def _first_call(
    gateway: Gateway, port: int, host: VirtualHost, route: Route, page: str
) -> _FirstCall | None:
    """Return the plainest call that a rule is meant to serve; None if no script can make one."""
    taken = call_it_takes(gateway, route, host.domain, port)
    if taken is None:
        return None
    called = _example_host(gateway, host.domain, port)
    call = GatewayRequest(taken.method, called, taken.path, taken.headers, taken.scheme, port)
    names = announced_headers(route, call)
    sample = SampleCalls(gateway.name, port, route, call, names, (), (), ())
    policy = route.source.cors_policy
    origins = [page] if policy is None or origin_allowed(policy, page) else []
    origins += [each for each in (sample_origins(policy) if policy else ()) if each != "null"]
    with_json = tuple(sorted({*names, _JSON[0]}))
    name_sets = (with_json, names) if call.method in _BODY_METHODS else (names,)
    wanted = [PageRequest(origin, call.method, each) for origin in origins for each in name_sets]
    meant = [asked for asked in wanted if means_to_allow(sample, asked)]
    asked = next(iter(meant), PageRequest(next(iter(origins), page), call.method, names))
    try:
        request = sample.browser_request(asked, "omit")
    except ValueError:
        return None
    if not _takes(gateway, port, route, request):
        return None
    return _FirstCall(request, names, bool(meant))


def _example_host(gateway: Gateway, domain: str, port: int) -> str:
    """Return a host that ends at the virtual host of a domain, with a name that reads well."""
    wanted = EXAMPLE_HOST if domain == "*" else domain.replace("*", _FIRST_LABEL, 1)
    found = gateway.virtual_host(wanted, port)
    return wanted if found and found.domain == domain else example_host(domain)


def _takes(gateway: Gateway, port: int, route: Route, request: browser.Request) -> bool:
    scheme, _, rest = request.url.partition("://")
    host, slash, path = rest.partition("/")
    try:
        sent = GatewayRequest(request.method, host, f"{slash}{path}", request.headers, scheme, port)
    except ValueError:
        return False
    taken = gateway.handle(sent).route
    return taken is not None and taken.key == route.key


@dataclass(frozen=True, slots=True)
class _RuleCalls:
    """Makes the calls of one rule, which is the ``number``-th, from the first of them."""

    gateway: Gateway
    port: int
    route: Route
    first: _FirstCall
    stranger: str
    wishes: CallWishes
    number: int

    def all(self) -> Iterator[LabCall]:
        """Yield the calls in the order of their buttons."""
        request, is_meant = self.first.request, self.first.is_meant
        keyed = bool(self.first.names)
        yield self._call("right-key" if keyed else "call", "Right key" if keyed else "Call")
        if keyed:
            for value in _WRONG_KEYS:
                wrong = self._with_keys(value)
                if not _takes(self.gateway, self.port, self.route, wrong):
                    yield self._call("wrong-key", "Wrong key", wrong, is_meant=False)
                    break
            without = self._with_keys(None)
            if not _takes(self.gateway, self.port, self.route, without):
                yield self._call("no-key", "No key", without, is_meant=False)
        if not self.wishes.is_real(service_of(self.route)):
            yield from self._wished("stream", "Stream", "stream")
            yield from self._wished("server-error", "Server error", "500")
        trusts = credentials_of(self.route.source.cors_policy) == "include"
        yield self._call(
            "with-credentials",
            "With credentials",
            replace(request, credentials="include"),
            is_meant=is_meant and trusts,
        )
        foreign = replace(request, origin=self.stranger)
        yield self._call("foreign-origin", "Foreign origin", foreign, is_meant=False)

    def _wished(self, name: str, title: str, wish: Wish) -> Iterator[LabCall]:
        request = self.first.request
        mark = "&" if "?" in request.url else "?"
        asking = replace(request, url=f"{request.url}{mark}answer={wish}")
        if _takes(self.gateway, self.port, self.route, asking):
            yield replace(self._call(name, title, asking), wish=wish)

    def _with_keys(self, value: str | None) -> browser.Request:
        """Return the call with another value of every key, or without them."""
        names = self.first.names
        headers = tuple(
            (name, text if name not in names else value or "")
            for name, text in self.first.request.headers
            if value is not None or name not in names
        )
        return replace(self.first.request, headers=headers)

    def _call(
        self,
        name: str,
        title: str,
        request: browser.Request | None = None,
        *,
        is_meant: bool | None = None,
    ) -> LabCall:
        request = request or self.first.request
        return LabCall(
            name if self.number == 1 else f"{name}-{self.number}",
            title,
            request,
            _BODY if request.method in _BODY_METHODS else None,
            "",
            self.route.rule,
            service_of(self.route),
            self.first.names,
            self.first.is_meant if is_meant is None else is_meant,
        )
