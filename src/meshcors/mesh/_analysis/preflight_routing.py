"""Where the preflights of sample calls go, looked up once for those that go the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.example_call import example_host
from meshcors.mesh._routing.cors_filter import REQUEST_HEADERS, REQUEST_METHOD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._analysis.sample_calls import PageRequest
    from meshcors.mesh._routing.gateway import Gateway

# In the order of the fields of `PageRequest`.
_NAMES: Final = ("origin", REQUEST_METHOD, REQUEST_HEADERS)


def routing_names(port: int, domain: str, *gateways: Gateway) -> frozenset[str]:
    """Return which headers of a preflight decide where it goes: those that any rule looks at."""
    found: set[str] = set()
    for gateway in gateways:
        host = gateway.virtual_host(example_host(domain), port)
        found.update(
            item.name
            for route in (host.routes if host else ())
            for item in route.match.headers
            # every preflight has this header
            if not (item.name == REQUEST_METHOD and item.match.kind == "present")
        )
    return frozenset(found.intersection(_NAMES))


def groups(requests: Iterable[PageRequest], names: frozenset[str]) -> Iterable[list[PageRequest]]:
    """Group the calls to one URL whose preflights go the same way."""
    chosen = [at for at, name in enumerate(_NAMES) if name in names]
    found: dict[tuple[object, ...], list[PageRequest]] = {}
    for asked in requests:
        found.setdefault(tuple(asked[at] for at in chosen), []).append(asked)
    return found.values()
