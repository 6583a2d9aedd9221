"""HTTP/1.1 on one connection (RFC 9112): each request is answered before the next one is read.

httptools parses. A handler answers at once, so a request needs no task and no timer. It is answered
as soon as its head has arrived, unless the handler reads bodies; a body that nobody reads is
discarded as it arrives, and so are fields that nobody reads. What cannot be read as a request is
refused, and nothing after it is read.

Everything that a client may send is bounded: the head and all other framing, in bytes and lines,
and what arrives while the client does not read its answers. So is the time it may take:
`ClientConnection.close_if_overdue` is called every second.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from meshcors._decision.fields import join_lines
from meshcors._decision.preflight import MAX_LIST_BYTES
from meshcors.dummy._head import RefusedError, framing, read_target
from meshcors.dummy._logs import LOGGER
from meshcors.dummy._port import CLOSE, CONTINUE, Handler, Port, refusal

# The limit on what is no body: the request line, fields, trailers, chunk framing, empty lines.
MAX_HEAD_BYTES: Final = 64 * 1024
# The limit on a head and its trailers together. Browsers send about 20; Envoy lets 100 pass by
# default, and adds a few of its own.
MAX_FIELD_LINES: Final = 128
# One byte of framing is free for so many bytes of body: small chunks may go on.
_BODY_BYTES: Final = 16
# Bytes that are discarded after a refusal, so that the client can read it before it is cut off.
_MAX_DISCARDED: Final = 1024 * 1024

# Seconds for a head, from its first byte to its last. Envoy and browsers send it in one piece: a
# client that takes longer is holding the connection open.
HEAD_SECONDS: Final = 10.0
# Seconds for a client to read the last answer, and to close its end.
_LAST_SECONDS: Final = 2.0

# Where a connection is: between requests; in a head; in a body that the handler reads; in one that
# is discarded, because the answer is sent; at its end, where nothing is read any more.
_IDLE, _HEAD, _BODY, _ANSWERED, _ENDED = range(5)
_NONE: Final[frozenset[bytes]] = frozenset()


def _status(cause: BaseException | None) -> int:
    """Return the status for a request whose parsing has failed; without a cause, by its syntax."""
    if cause is not None and not isinstance(cause, RefusedError):
        LOGGER.error("cannot answer a request", exc_info=cause)
        return 500
    return cause.status if cause else 400


class ClientConnection(asyncio.Protocol):
    """One connection of a port."""

    __slots__ = (
        *("_body", "_body_bytes", "_closes", "_fields", "_handler", "_has_ended", "_held"),
        *("_is_paused", "_is_reading", "_lines", "_overhead", "_parser", "_phase"),
        *("_port", "_reads", "_since", "_target", "transport"),
    )

    transport: asyncio.Transport
    # Of the current request.
    _body: bytes
    _closes: bool
    _fields: dict[bytes, bytes]
    _handler: Handler
    _reads: frozenset[bytes]

    def __init__(self, port: Port) -> None:
        self._port = port
        self._parser: Any = HttpRequestParser(self)
        self._phase = _IDLE
        # When the current request began, the last one ended, or the connection was opened.
        self._since = port.now
        # The client has closed its end; requests that it sent before may still be held.
        self._has_ended = False
        # The client does not read its answers, so nothing is parsed; what has arrived is held.
        self._is_paused = False
        self._is_reading = True
        self._held: bytes | memoryview = b""
        # Of this request: its target, the number of its field lines and of its bytes that are not
        # body, and the bytes of body in the last slice.
        self._target = b""
        self._lines = 0
        self._overhead = 0
        self._body_bytes = 0

    # --- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)
        self._port.connections[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything, the parser too, which refers to this object."""
        self._port.connections.pop(self, None)
        self._phase = _ENDED
        self._held = b""
        self._parser = None

    def data_received(self, data: bytes | memoryview) -> None:
        """Answer the requests in `data`; what has to wait is held."""
        if len(data) > self._port.at_once or self._held or self._is_paused:
            self._held = b"".join((self._held, data))
            self._stop_reading()
            self._go_on()
            return
        if self._phase == _IDLE:
            self._phase = _HEAD
            self._since = self._port.now
        elif self._phase == _ENDED:
            self._overhead += len(data)
            if self._overhead > _MAX_DISCARDED:
                self.transport.abort()
            return
        rest = data
        while rest:
            try:
                self._parser.feed_data(rest)
            except HttpParserUpgrade as upgrade:
                # There is nothing to upgrade to: HTTP/1.1 goes on (RFC 9110 7.8).
                self._parser = HttpRequestParser(self)
                rest = rest[upgrade.args[0] :]
                continue
            except HttpParserError as error:
                self._refuse(_status(error.__context__))
            break
        if self._phase != _IDLE:
            self._bound(len(data))

    def eof_received(self) -> bool:
        """Close, once what has arrived is answered."""
        self._has_ended = True
        return bool(self._held)

    def pause_writing(self) -> None:
        """Read nothing more while the client does not read its answers."""
        self._is_paused = True
        self._stop_reading()

    def resume_writing(self) -> None:
        """Go on; later, because the caller may be a write in the middle of parsing."""
        self._is_paused = False
        self._port.call_soon(self._go_on)

    # --- how much may arrive

    def _stop_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self.transport.pause_reading()

    def _go_on(self) -> None:
        """Read a part of what is held, then let others have their turn; or read on."""
        held, self._held = memoryview(self._held), b""
        left = self._port.a_turn
        while held and left and not self._is_paused:
            self.data_received(held[: self._port.at_once])
            held = held[self._port.at_once :]
            left -= self._port.at_once
        # An empty view would keep the memory.
        self._held = held or b""
        if self._is_reading or self._is_paused or self.transport.is_closing():
            return
        if held:
            self._port.call_soon(self._go_on)
        elif self._has_ended:
            self.transport.close()
        else:
            self._is_reading = True
            self.transport.resume_reading()

    def _bound(self, size: int) -> None:
        """Count a slice that ends inside a request, and refuse what is too large.

        A part of the slice may belong to the request before.
        """
        body, self._body_bytes = self._body_bytes, 0
        self._overhead = max(0, self._overhead + size - body - body // _BODY_BYTES)
        if self._overhead > MAX_HEAD_BYTES or self._lines > MAX_FIELD_LINES:
            self._refuse(431)

    # --- called by httptools, in the order of a request's parts

    def on_url(self, url: bytes) -> None:
        """Begin a request, with the handler of this moment, or take another part of its target."""
        if self._target:
            self._target += url
            return
        if self._phase == _ENDED:
            raise RefusedError(400)
        self._phase = _HEAD
        self._handler = handler = self._port.current()
        self._reads = handler.reads
        self._fields = {}
        self._target = url
        self._lines = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field line, of the head or, where nobody reads it, of the trailers."""
        self._lines += 1
        reads = self._reads
        if name not in reads and (name.islower() or (name := name.lower()) not in reads):
            return
        fields = self._fields
        if name not in fields:
            fields[name] = value
        elif name == b"host":
            raise RefusedError(400)  # RFC 9112 3.2
        else:
            fields[name] = join_lines(fields[name], value, MAX_LIST_BYTES)

    def on_headers_complete(self) -> None:
        """Answer the request, or wait for its body."""
        fields = self._fields
        self._closes = self._port.draining or not self._parser.should_keep_alive()
        if self._lines > MAX_FIELD_LINES:
            raise RefusedError(431)
        if (
            self._closes
            or b"host" not in fields
            or b"connection" in fields
            or b"proxy-connection" in fields
            or b"content-length" in fields
            or b"transfer-encoding" in fields
        ):
            reads_body = self._handler.max_body > 0
            closes, waits = framing(self._parser, fields, reads_body=reads_body)
            self._closes |= closes
            if waits:
                self.transport.write(CONTINUE)
        # No trailer is kept.
        self._reads = _NONE
        if self._handler.max_body:
            self._phase = _BODY
            self._body = b""
        else:
            self._answer(b"")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, or discard it."""
        self._body_bytes += len(body)
        if self._phase == _BODY:
            self._body += body
            if len(self._body) > self._handler.max_body:
                raise RefusedError(413)

    def on_message_complete(self) -> None:
        """End the request; the next one may follow, unless the answer said otherwise."""
        if self._lines > MAX_FIELD_LINES:
            raise RefusedError(431)
        if self._phase == _BODY:
            self._answer(self._body)
        self._phase = _IDLE
        self._since = self._port.now
        self._port.connections.move_to_end(self)
        self._target = b""
        self._overhead = self._body_bytes = 0
        if self._closes:
            self._end()

    # --- answers

    def _answer(self, body: bytes) -> None:
        # httptools lets nothing but ASCII pass.
        path = self._target.decode("ascii")
        if path[0] != "/" or "?" in path or "%" in path or "#" in path:
            path = read_target(path, self._fields)
        method = self._parser.get_method().decode()
        begin, end, bodiless = self._handler.handle(method, path, self._fields, body)
        self._phase = _ANSWERED
        if method == "CONNECT":
            # The client takes what follows for a tunnel.
            self._closes = True
        elif method == "HEAD":
            end = bodiless
        date = self._port.date
        self.transport.write(begin + (date + CLOSE if self._closes else date) + end)

    def _refuse(self, status: int) -> None:
        """Answer with `status`, unless there is an answer already, and read nothing more."""
        if self._phase == _ENDED:
            return
        if self._phase != _ANSWERED:
            begin, end, _ = refusal(status)
            self.transport.write(begin + self._port.date + CLOSE + end)
        self._end()

    def _end(self) -> None:
        """Close this end, once everything is written, and discard what still comes.

        Closing both at once would lose the answer to a client that is still sending (RFC 9112 9.6).
        """
        self._phase = _ENDED
        self._since = self._port.now
        self._overhead = 0
        if self._has_ended:
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """Close, once everything is written."""
        self._phase = _ENDED
        self._since = self._port.now
        self.transport.close()

    def close_if_overdue(self, keep_alive: float) -> None:
        """Close if `keep_alive` seconds have passed without a whole request, or a head is late.

        A client that does not read the last answer is cut off.
        """
        waits = self._port.now - self._since
        if self._phase == _ENDED:
            if waits > _LAST_SECONDS:
                self.transport.abort()
        elif waits > (min(keep_alive, HEAD_SECONDS) if self._phase == _HEAD else keep_alive):
            self.close()
