"""A port: what answers its requests, without ever waiting, and what its connections share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from meshcors.dummy._wire import WireAnswer

if TYPE_CHECKING:
    from meshcors.dummy._protocol import ClientConnection

# The request fields that the protocol reads itself.
FRAMING_FIELDS: Final = frozenset(
    b"host connection proxy-connection expect content-length transfer-encoding".split()
)


# Called with a request's method, its path, decoded once, its fields and its body.
Handle: TypeAlias = Callable[[str, str, Mapping[bytes, bytes], bytes], WireAnswer]


class Handler(NamedTuple):
    """What answers the requests of a port.

    `reads` are the fields that it is given, in lower case, `FRAMING_FIELDS` among them; several
    lines of one are joined with a comma. `max_body` is how many bytes of body it reads.
    """

    handle: Handle
    reads: frozenset[bytes]
    max_body: int = 0


@dataclass(slots=True, eq=False)
class Port:
    """What the connections of a port share.

    `current` returns the handler of a request that begins now. `connections` are the open ones, the
    longest idle first. `now` is the time in seconds and `date` the Date field, both a second old at
    most. While `draining`, every answer closes its connection. The parser gets `at_once` bytes,
    then bounds are checked; after `a_turn`, other connections have theirs: `call_soon` is the event
    loop's.
    """

    current: Callable[[], Handler]
    call_soon: Callable[[Callable[[], None]], object]
    at_once: int
    a_turn: int
    now: float = 0.0
    date: bytes = b""
    connections: OrderedDict[ClientConnection, None] = field(default_factory=OrderedDict)
    draining: bool = False
