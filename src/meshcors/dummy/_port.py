"""A port: what answers its requests, in the bytes of HTTP/1.1 (RFC 9112), without ever waiting.

What its connections share is here too.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from time import gmtime, strftime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from meshcors.dummy._protocol import ClientConnection

# The request fields that the protocol reads itself.
FRAMING_FIELDS: Final = frozenset(
    b"host connection proxy-connection expect content-length transfer-encoding".split()
)

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE: Final = b"connection: close\r\n"


class WireAnswer(NamedTuple):
    """The bytes of an answer: its first line, what comes after, and that without the body.

    Further fields go after the first line.
    """

    begin: bytes
    end: bytes
    bodiless: bytes


# Called with a request's method, its path, decoded once, its fields and its body.
Handle: TypeAlias = Callable[[str, str, Mapping[bytes, bytes], bytes], WireAnswer]


@dataclass(frozen=True, slots=True)
class Handler:
    """What answers the requests of a port.

    `reads` are the fields that it is given, in lower case, `FRAMING_FIELDS` among them; several
    lines of one are joined with a comma. `max_body` is how many bytes of body it reads.
    """

    handle: Handle
    reads: frozenset[bytes]
    max_body: int = 0


@dataclass(slots=True, eq=False)
class Port:
    """What is served on `sockets`, with at most `limit` connections open, and what they share.

    `current` returns the handler of a request that begins now. `connections` are the open ones, the
    longest idle first. `now` is the time in seconds and `date` the Date field, both a second old at
    most. While `draining`, every answer closes its connection. The parser gets `at_once` bytes,
    then bounds are checked; after `a_turn`, other connections have theirs. `call_soon` is that of
    the event loop, once there is one.
    """

    current: Callable[[], Handler]
    at_once: int
    a_turn: int
    sockets: list[socket.socket] = field(default_factory=list)
    limit: int = 0
    call_soon: Callable[[Callable[[], None]], object] = field(init=False)
    now: float = 0.0
    date: bytes = b""
    connections: OrderedDict[ClientConnection, None] = field(default_factory=OrderedDict)
    draining: bool = False


def wire(status: int, fields: Iterable[tuple[str, str]], body: bytes = b"") -> WireAnswer:
    """Return the bytes of an answer, whose `fields` already tell the length of its body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    # RFC 9112 4
    status_line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    bodiless = f"{lines}\r\n".encode("latin-1")
    return WireAnswer(status_line.encode(), bodiless + body, bodiless)


def refusal(status: int) -> WireAnswer:
    """Return the answer to what cannot be read as a request, or is too large."""
    text = f"{HTTPStatus(status).phrase}\n"
    fields = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(text)))]
    return wire(status, fields, text.encode())


def date_line() -> bytes:
    """Return the Date field of this second (RFC 9110 6.6.1)."""
    return strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime()).encode()
