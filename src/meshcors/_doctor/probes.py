"""Who else is tried: other keys, and origins that a policy for one page must refuse."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from meshcors import browser
from meshcors._policy.errors import OriginError
from meshcors._policy.origins import Origin
from meshcors._policy.strangers import STRANGERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._doctor.consultation import RequestName

# A value that no service has. It is no secret.
WRONG_KEY: Final = "meshcors-doctor-wrong-key"
# Headers that scripts often set and that pick no service.
_USUAL_NAMES: Final = frozenset(
    {
        *("accept", "accept-language", "authorization", "baggage", "cache-control"),
        *("content-language", "content-type", "idempotency-key", "if-match", "if-modified-since"),
        *("if-none-match", "pragma", "prefer", "range", "traceparent", "tracestate", "user-agent"),
        *("x-correlation-id", "x-csrf-token", "x-csrftoken", "x-request-id", "x-requested-with"),
        *("x-xsrf-token", "sentry-trace"),
    }
)


def key_header(request: browser.Request, known: str = "") -> str:
    """Return the header of the call that picks a service, empty if none does.

    It is the `known` one of a policy, or the one that is no usual name.
    """
    names = [name for name, _ in request.headers if name not in _USUAL_NAMES]
    if any(name == known for name, _ in request.headers):
        return known
    return min(names, key=lambda name: "key" not in name, default="")


def with_key(request: browser.Request, key: str, value: str) -> browser.Request:
    """Return the call with another key."""
    without = without_key(request, key)
    return replace(without, headers=(*without.headers, (key, value)))


def without_key(request: browser.Request, key: str) -> browser.Request:
    """Return the call without the key."""
    headers = tuple(line for line in request.headers if line[0] != key)
    return replace(request, headers=headers, redirected_from=None)


def other_origins(origin: str) -> Iterator[tuple[RequestName, str]]:
    """Yield origins that are not the page's, and what each of them is."""
    yield "stranger", STRANGERS[0]
    if origin == "null":
        return
    yield "null_origin", "null"
    parts = urlsplit(origin)
    host, port = parts.hostname or "", "" if parts.port is None else f":{parts.port}"
    made: list[tuple[RequestName, str]] = [
        ("look_alike", f"{host}.evil.example"),
        ("look_alike_prefix", f"evil{host}"),
        ("look_alike_dot", _without_a_dot(host)),
        ("subdomain", f"meshcors-doctor.{host}"),
    ]
    for name, other in made[:1] if _is_address(host) else made:
        found = f"{parts.scheme}://{other}{port}"
        try:
            Origin.parse(found)
        except OriginError:
            continue
        if found != origin:
            yield name, found


def _without_a_dot(host: str) -> str:
    """Return a name that a regex matches whose dots are not escaped, and that can be registered.

    It is `host` itself where there is none: a top-level name cannot be registered.
    """
    labels = host.split(".")
    if len(labels) < 3:
        return host
    return ".".join([*labels[:-3], f"{labels[-3]}x{labels[-2]}", labels[-1]])


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
