"""Streams of requests for HTTP/1.1: valid ones, and valid ones with faults put into them.

Made by a `random.Random`, so that a seed names a stream and tens of thousands take seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

_HOST = b"Host: api.example"
_METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")
_TARGETS = (b"/", b"/v1/chat", b"/v1/chat?a=b&c", b"/%76x", b"/v1/%C3%A9", b"/" + b"a" * 300, b"*")
_LINES = (
    b"Accept: */*",
    b"accept:\t text/html , */*;q=0.5 ",
    b"X-Empty:",
    b"X-Bytes: \xe9\xff",
    b"x-request-id: 7",
    b"Cookie: a=b; c=d",
    b"Connection: keep-alive",
    b"TE: trailers",
    b"X-Long: " + b"a" * 900,
)
_TRAILERS = (b"X-Trailer: a", b"X-Sum:", b"Accept: text/plain")
_EXTENSIONS = (b"", b"", b";a", b";a=b", b';a="b c"', b";a=b;c=d")


@dataclass(frozen=True)
class Sent:
    """A request as bytes, and whether nothing after it may be answered."""

    data: bytes
    closes: bool


def valid_request(random: Random) -> Sent:
    """A well-formed request, of any shape that the pod goes on after, or closes after."""
    method = random.choice(_METHODS)
    target = random.choice(_TARGETS)
    if target == b"*":
        method = b"OPTIONS"
    lines = [_HOST, *random.sample(_LINES, random.randrange(4))]
    if method == b"OPTIONS" and random.random() < 0.8:
        lines += [b"Origin: https://ui.example", b"Access-Control-Request-Method: POST"]
    body = b""
    kind = random.choice(("", "", "length", "chunks", "upgrade", "close", "1.0", "expect"))
    if kind == "length":
        content = _content(random)
        lines.append(b"Content-Length: %d" % len(content))
        body = content
    elif kind in ("chunks", "expect"):
        lines.append(b"Transfer-Encoding: chunked")
        body = _chunks(random)
    elif kind == "upgrade":
        lines += [b"Connection: Upgrade", b"Upgrade: " + random.choice((b"h2c", b"websocket"))]
    elif kind == "close":
        lines.append(b"Connection: close")
    if kind == "expect":
        lines.append(b"Expect: 100-continue")
    random.shuffle(lines)
    version = b"HTTP/1.0" if kind == "1.0" else b"HTTP/1.1"
    head = b"\r\n".join([b" ".join((method, target, version)), *lines, b"", b""])
    return Sent(head + body, kind in ("close", "1.0", "expect"))


def valid_stream(random: Random, *, closing: bool = True) -> list[Sent]:
    """Pipelined requests; without `closing`, all but the last leave the connection open."""
    count = random.randint(1, 6)
    requests = [valid_request(random) for _ in range(count)]
    if not closing:
        requests = [each for each in requests[:-1] if not each.closes] + requests[-1:]
    return requests


def pieces(random: Random, data: bytes, most: int | None = None) -> list[bytes]:
    """`data`, cut at random places: at `most`, or few, or nearly everywhere."""
    count = random.choice((0, 1, 3, 10, len(data))) if most is None else random.randint(0, most)
    cuts = sorted({0, len(data), *(random.randrange(len(data) + 1) for _ in range(count))})
    return [data[begin:end] for begin, end in pairwise(cuts)] or [data]


def mutated(random: Random, data: bytes) -> bytes:
    """`data` with one to four faults in it."""
    for _ in range(random.randint(1, 4)):
        data = random.choice(_FAULTS)(random, data)
    return data


def _content(random: Random) -> bytes:
    # What looks like the next request is what a reader must not take for one.
    return random.choice(
        (b"", b"a" * random.randrange(2000), b"GET /inside HTTP/1.1\r\nHost: api.example\r\n\r\n")
    )


def _chunks(random: Random) -> bytes:
    parts = []
    for _ in range(random.randrange(4)):
        content = _content(random)
        if content:
            size = (b"%x", b"%X", b"00%x")[random.randrange(3)] % len(content)
            parts += [size, random.choice(_EXTENSIONS), b"\r\n", content, b"\r\n"]
    parts += [b"0", random.choice(_EXTENSIONS), b"\r\n"]
    for line in random.sample(_TRAILERS, random.randrange(3)):
        parts += [line, b"\r\n"]
    return b"".join((*parts, b"\r\n"))


def _flip(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _delete(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + data[at + random.randint(1, 8) :] or data


def _repeat(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data))
    end = at + random.choice((1, 2, 8, 60))
    return data[:end] + data[at:end] + data[end:]


def _insert(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(_INSERTED) + data[at:]


def _insert_at_line(random: Random, data: bytes) -> bytes:
    """Put a line where one begins."""
    begins = [at + 2 for at in range(len(data)) if data[at : at + 2] == b"\r\n"] or [0]
    at = random.choice(begins)
    return data[:at] + random.choice(_INSERTED_LINES) + data[at:]


def _truncate(random: Random, data: bytes) -> bytes:
    return data[: random.randint(1, len(data))]


def _splice(random: Random, data: bytes) -> bytes:
    """Go on with a part of another stream."""
    other = b"".join(each.data for each in valid_stream(random))
    return data[: random.randint(1, len(data))] + other[random.randrange(len(other)) :]


_INSERTED = (
    b"\r",
    b"\n",
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b"0",
    b"\xff",
    b",",
    b";",
)
_INSERTED_LINES = (
    *(b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length : 5\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Host: other\r\n"),
    *(
        b"Transfer-Encoding: x, chunked\r\n",
        b"Connection: Upgrade\r\nUpgrade: x\r\n",
        b" folded\r\n",
    ),
    *(b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"0\r\n\r\n", b"5\r\naaaaa\r\n"),
    *(b"Transfer-Encoding: chunked\t\r\n", b"Transfer-Encoding:\x0bchunked\r\n"),
)
_FAULTS: tuple[Callable[[Random, bytes], bytes], ...] = (
    *(
        _flip,
        _delete,
        _repeat,
        _insert,
        _insert,
        _insert_at_line,
        _insert_at_line,
        _truncate,
        _splice,
    ),
)
