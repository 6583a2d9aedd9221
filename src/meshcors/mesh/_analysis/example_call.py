"""A call that meets the conditions of a rule, made from these conditions, and its preflight."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors._policy.headers import is_forbidden_request_header as is_forbidden
from meshcors._policy.regex_examples import example_of
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD
from meshcors.mesh._routing.matching import mismatches, text_matches
from meshcors.mesh._routing.request import GatewayRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._documents.model import StringMatch
    from meshcors.mesh._routing.routes import HeaderCondition, PathCondition, Route

# An origin that no document names. Routing does not depend on it.
EXAMPLE_ORIGIN: Final = "https://ui.example"
# In the order in which they are tried.
CALL_METHODS: Final = ("POST", "GET", "PUT", "DELETE", "PATCH", "HEAD")
# A segment of a path that no document names.
_ANYTHING: Final = "any-path"


def example_call(route: Route, domain: str, port: int) -> GatewayRequest | None:
    """Return a request that meets all conditions of ``route``, or None if none is found."""
    return next(example_calls(route, domain, port), None)


def example_calls(route: Route, domain: str, port: int) -> Iterator[GatewayRequest]:
    """Yield requests that meet all conditions of ``route``, with different paths and methods.

    Where earlier rules take the first of them, another one may be left to the route.
    """
    query = [(name, _example_text(match)) for name, match in route.match.query]
    headers: list[tuple[str, str]] = []
    pseudo = {":method": "", ":authority": example_host(domain), ":scheme": "https"}
    texts = [text for _, text in query]
    for condition in route.match.headers:
        if condition.inverted or condition.name == ":method":
            continue
        text = _example_text(condition.match)
        texts.append(text)
        if condition.name in pseudo:
            pseudo[condition.name] = text or ""
        else:
            headers.append((condition.name, text or ""))
    if None in texts:
        return
    asked = "?" + "&".join(f"{name}={value}" for name, value in query) if query else ""
    for method, path in product(_example_methods(route), _example_paths(route.match.path)):
        try:
            call = GatewayRequest(
                method, pseudo[":authority"], path + asked, headers, pseudo[":scheme"], port
            )
        except ValueError:
            continue
        if not any(mismatches(route.match, call)):
            yield call


def example_host(domain: str) -> str:
    """Return a host name that ``domain`` covers: ``any.example.com`` for ``*.example.com``."""
    return "any.example" if domain == "*" else domain.replace("*", "any", 1)


def announced_headers(route: Route) -> tuple[str, ...]:
    """Return the headers that the preflight of a call to ``route`` names: those a script sets."""
    return tuple(sorted({item.name for item in route.match.headers if _is_set_by_script(item)}))


def preflight_of(
    call: GatewayRequest, names: tuple[str, ...], origin: str = EXAMPLE_ORIGIN
) -> GatewayRequest:
    """Return the preflight that a browser sends before ``call`` (Fetch, CORS-preflight fetch).

    ``names`` are the headers of the call that it announces, ``origin`` is the page's.
    """
    headers = [("origin", origin), (REQUEST_METHOD, call.method)]
    if names:
        headers.append((REQUEST_HEADERS, ",".join(names)))
    return GatewayRequest("OPTIONS", call.host, call.path, headers, call.scheme, call.port)


def _is_set_by_script(condition: HeaderCondition) -> bool:
    name = condition.name
    set_by_others = (
        name in SAFELISTED_REQUEST_HEADERS
        or name == "user-agent"
        or is_forbidden(name)
        or name.startswith((":", "x-forwarded"))
    )
    return not (condition.inverted or set_by_others)


def _example_paths(condition: PathCondition) -> tuple[str, ...]:
    """Return paths that most likely meet a condition."""
    if condition.kind == "exact":
        return (condition.value,)
    if condition.kind == "regex":
        text = example_of(condition.value) or ""
        return (text, f"/{text}", f"/{_ANYTHING}")
    return (condition.value or "/", f"{condition.value.removesuffix('/')}/{_ANYTHING}")


def _example_text(match: StringMatch) -> str | None:
    if match.kind == "regex":
        return example_of(match.value)
    if match.kind == "range":
        return match.value.partition("..")[0]
    return match.value or "x"


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
