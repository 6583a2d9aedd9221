"""One request on a connection of its own, sent byte for byte, and the answer."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
import h2.exceptions

# Seconds after which a silent server counts as having rejected the request.
_SECONDS = 60.0

# A WebSocket handshake (RFC 6455 4.1).
HANDSHAKE = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@dataclass(frozen=True)
class Request:
    """A request; `hosts` are the lines of its Host field, `fields` whole lines."""

    target: bytes
    hosts: tuple[bytes, ...] = (b"api.example",)
    fields: tuple[bytes, ...] = ()
    method: bytes = b"GET"
    version: bytes = b"HTTP/1.1"

    def head(self, *more: bytes) -> bytes:
        """Return the bytes of the head (RFC 9112)."""
        hosts = tuple(b"Host: " + host for host in self.hosts)
        start = self.method + b" " + self.target + b" " + self.version
        return b"\r\n".join((start, *hosts, *more, *self.fields, b"", b""))

    def fields2(self, *more: bytes) -> list[tuple[bytes, bytes]]:
        """Return the fields of HTTP/2 (RFC 9113): the first host is the authority."""
        pseudo = [(b":method", self.method), (b":scheme", b"http"), (b":path", self.target)]
        if self.hosts and self.hosts[0]:
            pseudo.append((b":authority", self.hosts[0]))
        lines = [*more, *self.fields, *(b"host: " + host for host in self.hosts[1:])]
        pairs = [line.partition(b":") for line in lines]
        return pseudo + [(name.lower(), value.strip()) for name, _, value in pairs]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(port: int, request: Request, *more: bytes) -> Answer | None:
    """Send `request` over HTTP/1.1; return None if no answer came back."""
    upgrades = any(line.startswith(b"Upgrade:") for line in (*more, *request.fields))
    closing = () if upgrades else (b"Connection: close",)
    return parse(_exchange(port, request.head(*more, *closing)))


def _exchange(port: int, sent: bytes) -> bytes:
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
            connection.sendall(sent)
            while not _is_whole(received):
                data = connection.recv(65536)
                if not data:
                    break
                received += data
    except OSError:
        pass
    return received


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    if head.startswith(b"HTTP/1.1 101"):
        return True
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return head.lower().find(b"transfer-encoding: chunked") >= 0 and body.endswith(b"0\r\n\r\n")


def parse(received: bytes) -> Answer | None:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found or not head.startswith(b"HTTP/1."):
        return None
    start, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(start.split()[1]), headers, body)


def ask2(port: int, request: Request, *more: bytes) -> Answer | None:
    """Send `request` over HTTP/2 in clear, with prior knowledge (RFC 9113 3.3)."""
    config = h2.config.H2Configuration(
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
    )
    client = h2.connection.H2Connection(config)
    client.initiate_connection()
    client.send_headers(1, request.fields2(*more), end_stream=True)
    headers: dict[str, str] = {}
    body = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
            connection.sendall(client.data_to_send())
            while data := connection.recv(65536):
                for event in client.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        headers = {
                            name.decode("latin-1"): value.decode("latin-1")
                            for name, value in event.headers or ()
                        }
                    elif isinstance(event, h2.events.DataReceived):
                        body += event.data or b""
                    elif isinstance(event, h2.events.StreamEnded):
                        return Answer(int(headers[":status"]), headers, body)
                    elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                        return None
                connection.sendall(client.data_to_send())
    except (OSError, h2.exceptions.ProtocolError):
        pass
    return None
