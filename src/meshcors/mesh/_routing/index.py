"""Which routes could take a request, and which virtual host, found without trying all of them.

Routes are grouped by shape (the parts of a request that they check, and how many characters of
each), and within a shape by the strings that they expect: a request costs one look-up for each
shape (tuple space search: Srinivasan, Suri and Varghese, SIGCOMM 1999). The result is a superset,
in the order of the table; `matching` makes the decision.
"""

from __future__ import annotations

from collections import Counter
from heapq import merge
from typing import TYPE_CHECKING, TypeAlias

from meshcors.mesh._routing.matching import compiled, mismatches, without_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshcors.mesh._documents.model import MatchKind
    from meshcors.mesh._routing.request import GatewayRequest
    from meshcors.mesh._routing.routes import Route, RouteMatch, VirtualHost

# A part of a request: ("path", ""), ("folded", "") for the path in lower case, ("header", name),
# ("query", name).
_RequestPart: TypeAlias = tuple[str, str]
# A part, and how many of its first characters are compared; -1 is all of them.
_Check: TypeAlias = tuple[_RequestPart, int]

_WHOLE = -1


class RouteIndex:
    """The routes of one table, for finding the first that takes a request."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        shapes: dict[tuple[_Check, ...], _Shape] = {}
        for at, route in enumerate(routes):
            if any(not claim.inverted for claim in route.match.claims):
                continue  # no token is verified here: no request matches
            checks, texts = _checks(route.match)
            shapes.setdefault(checks, _Shape(checks)).add(at, texts)
        # a shape is found by the one of its parts that the fewest shapes check
        users = Counter(part for shape in shapes.values() for part, _ in shape.checks)
        self._shapes: dict[_RequestPart, list[_Shape]] = {}
        for shape in shapes.values():
            rarest = min((part for part, _ in shape.checks), key=users.__getitem__)
            self._shapes.setdefault(rarest, []).append(shape)

    def first(self, request: GatewayRequest) -> Route | None:
        """Return the first route whose conditions ``request`` meets."""
        return next(
            (it for it in self.candidates(request) if not any(mismatches(it.match, request))), None
        )

    def candidates(self, request: GatewayRequest) -> Iterator[Route]:
        """Yield the routes that could take ``request``, in the order of the table."""
        parts = _parts(request)
        found = [
            shape.find(parts) for part in parts if part in self._shapes
            for shape in self._shapes[part]
        ]  # fmt: skip
        return (self._routes[at] for at in merge(*found))


class _Shape:
    """The routes that check the same parts of a request, by the strings that they expect."""

    def __init__(self, checks: tuple[_Check, ...]) -> None:
        self.checks = checks
        self._all: list[int] = []
        self._by_texts: dict[tuple[str, ...], list[int]] = {}

    def add(self, at: int, texts: tuple[str, ...]) -> None:
        self._all.append(at)
        self._by_texts.setdefault(texts, []).append(at)

    def find(self, parts: Mapping[_RequestPart, tuple[str, ...]]) -> Sequence[int]:
        texts: list[str] = []
        for part, length in self.checks:
            values = parts.get(part, ())
            if len(values) > 1:
                return self._all  # several lines of one header: any of them may match
            if not values or len(values[0]) < length:
                return ()
            texts.append(values[0] if length == _WHOLE else values[0][:length])
        return self._by_texts.get(tuple(texts), ())


class HostIndex:
    """The virtual hosts of one port by their domains."""

    def __init__(self, hosts: tuple[VirtualHost, ...], *, ignore_port: bool = True) -> None:
        """Index ``hosts``; ``ignore_port`` is about the port in a request's host."""
        self.hosts = hosts
        self._ignore_port = ignore_port
        self._by_domain = {host.domain: host for host in hosts}
        in_front = {len(host.domain) for host in hosts if host.domain.startswith("*")} - {1}
        at_end = {len(host.domain) for host in hosts if host.domain.endswith("*")} - {1}
        self._suffix_lengths = sorted(in_front, reverse=True)
        self._prefix_lengths = sorted(at_end, reverse=True)

    def find(self, authority: str) -> VirtualHost | None:
        """Return the virtual host: the exact domain, else the longest wildcard.

        A wildcard in front (``*.example.com``) comes before one at the end (``api.*``), and ``*``
        comes last.
        """
        name = (without_port(authority) if self._ignore_port else authority).lower()
        if name in self._by_domain:
            return self._by_domain[name]
        # a wildcard covers at least one character, unless it stands alone
        size = len(name)
        ends = ("*" + name[size - most + 1 :] for most in self._suffix_lengths if most <= size)
        beginnings = (name[: most - 1] + "*" for most in self._prefix_lengths if most <= size)
        for domain in (*ends, *beginnings, "*"):
            if domain in self._by_domain:
                return self._by_domain[domain]
        return None


def _checks(match: RouteMatch) -> tuple[tuple[_Check, ...], tuple[str, ...]]:
    """Return what a route checks and the strings it expects; `mismatches` checks the rest."""
    path = match.path
    kind: MatchKind = "prefix" if path.kind == "segments" else path.kind
    folded = path.ignore_case and kind != "regex"
    text = path.value.lower() if folded else path.value
    found = [(("folded" if folded else "path", ""), *_beginning(kind, text))]
    found += [
        (("header", item.name), *_beginning(item.match.kind, item.match.value))
        for item in match.headers
        # a missing header is not among a request's parts
        if not (item.inverted or item.missing_is_empty)
    ]
    found += [
        (("query", name), *_beginning(wanted.kind, wanted.value)) for name, wanted in match.query
    ]
    found.sort()
    checks = tuple((part, length) for part, length, _ in found)
    return checks, tuple(text for _, _, text in found)


def _beginning(kind: MatchKind, value: str) -> tuple[int, str]:
    """Return the certain beginning of a string that matches: its length, and the string."""
    if kind == "exact":
        return _WHOLE, value
    if kind == "regex":
        value = compiled(value).literal_prefix()
    elif kind == "range":
        value = ""
    return len(value), value  # empty for "present"


def _parts(request: GatewayRequest) -> dict[_RequestPart, tuple[str, ...]]:
    path = request.path_only
    return {
        ("path", ""): (path,),
        ("folded", ""): (path.lower(),),
        **{("header", name): values for name, values in request.values.items()},
        **{("query", name): (value,) for name, value in request.query.items()},
    }
