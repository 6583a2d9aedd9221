"""A call that meets the conditions of a rule, made from these conditions, and its preflight."""

from __future__ import annotations

from itertools import combinations, islice, product
from typing import TYPE_CHECKING, Final, cast

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors._policy.headers import is_forbidden_request_header as is_forbidden
from meshcors._policy.regex_examples import branches_of
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD
from meshcors.mesh._routing.matching import mismatches, text_matches
from meshcors.mesh._routing.request import GatewayRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcors.mesh._documents.model import StringMatch
    from meshcors.mesh._routing.routes import HeaderCondition, PathCondition, Route

# An origin that no document names. Routing does not depend on it.
EXAMPLE_ORIGIN: Final = "https://ui.example"
# In the order in which they are tried.
CALL_METHODS: Final = ("POST", "GET", "PUT", "DELETE", "PATCH", "HEAD")
# A segment of a path that no document names.
_ANYTHING: Final = "any-path"
_ON_EVERY_REQUEST: Final = ("user-agent", "x-forwarded-", "x-envoy-")
# How many texts of one regex, and how many calls to one rule, are tried.
_MOST_TEXTS: Final = 8
_MOST_CALLS: Final = 128
_MOST_EXTRA: Final = 4


def example_call(route: Route, domain: str, port: int) -> GatewayRequest | None:
    """Return a request that meets all conditions of ``route``, or None if none is found."""
    return next(example_calls(route, domain, port), None)


def example_calls(
    route: Route, domain: str, port: int, *, beside: tuple[HeaderCondition, ...] = ()
) -> Iterator[GatewayRequest]:
    """Yield requests that meet all conditions of ``route``, the plainest first.

    Where earlier rules take the first of them, another one may be left to the route: they differ in
    one or two of path, method, scheme and values. ``beside`` are conditions of earlier rules that
    some headers must be missing: some of the requests have them.
    """
    wanted = [it for it in route.match.headers if not it.inverted and it.name != ":method"]
    texts = [_example_texts(it) for it in [*(it for _, it in route.match.query),
                                           *(it.match for it in wanted)]]  # fmt: skip
    if not all(texts):
        return
    axes: list[Sequence[object]] = [
        example_paths(route.match.path), _example_methods(route), ("https", "http"),
        _extra_headers(route, beside), *texts,
    ]  # fmt: skip
    count = len(route.match.query)
    for path, method, scheme, extra, *values in islice(_varied(axes), _MOST_CALLS):
        query = [f"{name}={it}" for (name, _), it in zip(route.match.query, values, strict=False)]
        pseudo = {":authority": example_host(domain), ":scheme": str(scheme)}
        headers = list(cast("tuple[tuple[str, str], ...]", extra))
        for condition, text in zip(wanted, values[count:], strict=True):
            if condition.name in pseudo:
                pseudo[condition.name] = str(text)
            else:
                headers.append((condition.name, str(text)))
        target = f"{path}?{'&'.join(query)}" if query else str(path)
        try:
            call = GatewayRequest(
                str(method), pseudo[":authority"], target, headers, pseudo[":scheme"], port
            )
        except ValueError:
            continue
        if not any(mismatches(route.match, call)):
            yield call


def _varied(axes: Sequence[Sequence[object]]) -> Iterator[tuple[object, ...]]:
    """Yield the first of each axis, then what differs from that in one or two of them."""
    first = [axis[0] for axis in axes]
    for changed in range(3):
        for chosen in combinations(range(len(axes)), changed):
            for others in product(*(axes[at][1:] for at in chosen)):
                made = first.copy()
                for at, other in zip(chosen, others, strict=True):
                    made[at] = other
                yield tuple(made)


def _extra_headers(
    route: Route, beside: tuple[HeaderCondition, ...]
) -> list[tuple[tuple[str, str], ...]]:
    """Return sets of headers to try: none, each, and all that an earlier rule forbids."""
    known = {item.name for item in route.match.headers}
    each = {
        it.name: texts[0]
        for it in beside[:_MOST_EXTRA]
        if it.name not in known and _is_set_by_script(it.name)
        and (texts := _example_texts(it.match))
    }  # fmt: skip
    alone = [((name, text),) for name, text in each.items()]
    return [(), *alone, *([tuple(each.items())] if len(each) > 1 else ())]


def example_host(domain: str) -> str:
    """Return a host name that ``domain`` covers: ``any.example.com`` for ``*.example.com``."""
    return "any.example" if domain == "*" else domain.replace("*", "any", 1)


def announced_headers(route: Route, call: GatewayRequest | None = None) -> tuple[str, ...]:
    """Return the headers that the preflight of a call to ``route`` names: those a script sets.

    ``call`` may have more headers than the rule asks for.
    """
    conditions = (item.name for item in route.match.headers if not item.inverted)
    names = {*conditions, *(name for name, _ in (call.headers if call else ()))}
    return tuple(sorted(filter(_is_set_by_script, names)))


def preflight_of(
    call: GatewayRequest, names: tuple[str, ...], origin: str = EXAMPLE_ORIGIN
) -> GatewayRequest:
    """Return the preflight that a browser sends before ``call`` (Fetch, CORS-preflight fetch).

    ``names`` are the headers of the call that it announces, ``origin`` is the page's.
    """
    headers = [*carried(call), ("origin", origin), (REQUEST_METHOD, call.method)]
    if names:
        headers.append((REQUEST_HEADERS, ",".join(names)))
    return GatewayRequest("OPTIONS", call.host, call.path, headers, call.scheme, call.port)


def carried(call: GatewayRequest) -> list[tuple[str, str]]:
    """Return the headers of a call that its preflight has as well.

    Browsers and proxies send them with every request.
    """
    return [(name, value) for name, value in call.headers if name.startswith(_ON_EVERY_REQUEST)]


def _is_set_by_script(name: str) -> bool:
    return not (
        name in SAFELISTED_REQUEST_HEADERS
        or is_forbidden(name)
        or name.startswith((":", *_ON_EVERY_REQUEST))
    )


def example_paths(condition: PathCondition) -> tuple[str, ...]:
    """Return paths that most likely meet a condition."""
    if condition.kind == "exact":
        return (condition.value,)
    if condition.kind == "regex":
        first, *others = branches_of(condition.value, most=_MOST_TEXTS) or ("",)
        rooted = () if first.startswith("/") else (f"/{first}",)
        return (first, *rooted, *others, f"/{_ANYTHING}")
    return (condition.value or "/", f"{condition.value.removesuffix('/')}/{_ANYTHING}")


def _example_texts(match: StringMatch) -> tuple[str, ...]:
    if match.kind == "regex":
        return branches_of(match.value, most=_MOST_TEXTS)
    if match.kind == "range":
        low, _, high = match.value.partition("..")
        return (low, str(int(high) - 1))
    if match.kind == "exact":
        return (match.value,)
    return (match.value or "x", f"{match.value}-{_ANYTHING}")


def _example_methods(route: Route) -> tuple[str, ...]:
    """Return the methods that a rule takes, those of calls first."""
    wanted = [
        item.match for item in route.match.headers
        if item.name == ":method" and not item.inverted
    ]  # fmt: skip
    known = (
        method for method in (*CALL_METHODS, "OPTIONS")
        if all(text_matches(match, method) for match in wanted)
    )  # fmt: skip
    return tuple(known) or tuple(match.value for match in wanted)
