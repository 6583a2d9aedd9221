"""Servers that answer with bytes of the test's own, whether they are HTTP or not."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import ssl

# What a server does with one connection after it has read a request.
Act: TypeAlias = Callable[[socket.socket], None]


@dataclass
class RawServer:
    """A server of 127.0.0.1: its port, and the requests that it got."""

    port: int
    requests: list[bytes] = field(default_factory=list)


def say(text: str) -> Act:
    """Send `text`, with line ends as HTTP has them, and close."""
    return lambda connection: connection.sendall(text.replace("\n", "\r\n").encode("latin-1"))


def reset(connection: socket.socket) -> None:
    """Close the connection with RST in place of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def in_turn(*acts: Act) -> Act:
    """Do the first with the first connection, the second with the second, and so on."""
    left = iter(acts)
    return lambda connection: next(left)(connection)


@contextmanager
def raw_server(
    act: Act, tls: ssl.SSLContext | None = None, *, reads: bool = True
) -> Iterator[RawServer]:
    """Serve one connection after another; `act` returns when it wants to close one.

    Unless it `reads`, the server acts as soon as a connection is open.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RawServer(listener.getsockname()[1])
        ended = threading.Event()
        thread = threading.Thread(target=_serve, args=(listener, act, tls, server, ended, reads))
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(20)


def _serve(
    listener: socket.socket,
    act: Act,
    tls: ssl.SSLContext | None,
    server: RawServer,
    ended: threading.Event,
    reads: bool,
) -> None:
    while not ended.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), connection:
            connection.settimeout(20)
            if tls is not None:
                # Of a client that has gone, ssl would leave a socket open.
                connection.getpeername()
                connection = tls.wrap_socket(connection, server_side=True)
            with connection:
                if reads:
                    server.requests.append(_request(connection))
                act(connection)


def _request(connection: socket.socket) -> bytes:
    """A request, as its bytes."""
    read = b""
    while b"\r\n\r\n" not in read and (more := connection.recv(65536)):
        read += more
    length = re.search(rb"\r\ncontent-length: *(\d+)", read, re.IGNORECASE)
    end = read.find(b"\r\n\r\n") + 4 + (int(length[1]) if length else 0)
    while len(read) < end and (more := connection.recv(65536)):
        read += more
    return read
