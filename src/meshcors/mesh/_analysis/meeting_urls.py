"""URLs at which rules meet: examples of each path, one of those that the same rules may take."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from meshcors.mesh._analysis.example_call import example_paths
from meshcors.mesh._routing.index import RouteIndex
from meshcors.mesh._routing.matching import path_matches
from meshcors.mesh._routing.request import GatewayRequest
from meshcors.mesh._routing.routes import RouteMatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcors.mesh._routing.routes import PathCondition, Route

_Meeting: TypeAlias = "tuple[tuple[PathCondition, ...], str, str, str]"
# Of more rules than this, only regexes are tried, beside the paths of ``others``.
_MOST_CROSSED: Final = 50


def meeting_urls(
    rules: Sequence[tuple[Route, GatewayRequest]], others: Sequence[tuple[Route, GatewayRequest]]
) -> Iterator[GatewayRequest]:
    """Yield URLs for ``rules``, each with a call that it takes, and for ``others`` near them."""
    every = [*others, *rules]
    paths = {route.match.path: route for route, _ in every}
    index = RouteIndex([replace(it, match=RouteMatch(path)) for path, it in paths.items()])
    if len(rules) <= _MOST_CROSSED:
        yield from _new(every, index, set())
        return
    by_regex = [(route, call) for route, call in rules if route.match.path.kind == "regex"]
    crossed = {route.match.path for route, _ in others}
    # there is a call to each of these already
    seen = {_meeting(index, call) for it, call in by_regex if it.match.path not in crossed}
    yield from _new([*others, *by_regex], index, seen)


def _new(
    rules: Sequence[tuple[Route, GatewayRequest]], index: RouteIndex, seen: set[_Meeting]
) -> Iterator[GatewayRequest]:
    done: set[object] = set()
    for route, call in rules:
        path = route.match.path
        query = call.path.partition("?")[2]
        if (path, query, call.host) in done:
            continue
        done.add((path, query, call.host))
        for url in _examples(path, call):
            meeting = _meeting(index, url)
            if path in meeting[0] and meeting not in seen:
                seen.add(meeting)
                yield url


def _examples(path: PathCondition, call: GatewayRequest) -> Iterator[GatewayRequest]:
    yield call
    before, mark, query = call.path.partition("?")
    for example in example_paths(path):
        if example == before:
            continue
        try:
            yield GatewayRequest(
                "GET", call.host, example + mark + query, (), call.scheme, call.port
            )
        except ValueError:
            continue


def _meeting(index: RouteIndex, url: GatewayRequest) -> _Meeting:
    """Return which paths a URL meets, and what else rules may look at."""
    path = url.path_only
    met = (it.match.path for it in index.candidates(url) if path_matches(it.match.path, path))
    return tuple(met), url.path.partition("?")[2], url.host, url.scheme
