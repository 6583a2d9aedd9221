"""aiohttp's own server for the driver: one for each policy, in a thread, over a socket."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import h11
from aiohttp import web

import meshcors.aiohttp
from meshcors import Policy
from tests.apps import TestApp
from tests.vectors import Call


@dataclass(slots=True)
class Received:
    """An answer as it came: its chunks are those of the transfer coding."""

    status: int
    fields: list[tuple[str, str]]
    chunks: list[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def get(self, name: str) -> str | None:
        """The value of the field, or None; it must not occur twice."""
        values = [value for each, value in self.fields if each == name]
        assert len(values) < 2, f"{name} occurs {len(values)} times"
        return values[0] if values else None


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def _wait(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(coroutine, _loop()).result(20)


class AiohttpServer:
    """A server of `app` on a free port."""

    def __init__(self, app: web.Application) -> None:
        # Wide enough for the longest key of the vectors.
        self._runner = web.AppRunner(app, max_field_size=65536)
        self.port: int = _wait(self._start())
        # The app of the driver's server; it changes from call to call.
        self.used = TestApp("ok")

    async def _start(self) -> int:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    def stop(self) -> None:
        _wait(self._runner.cleanup())


_servers: dict[Policy, AiohttpServer] = {}


def server_of(policy: Policy) -> AiohttpServer:
    """Return the server of a policy, started with the first call."""
    if policy not in _servers:
        app = web.Application()

        async def respond(request: web.Request) -> web.StreamResponse:
            return await _servers[policy].used.respond_aiohttp(request)

        app.router.add_route("*", "/{path:.*}", respond)
        meshcors.aiohttp.setup(app, policy)
        _servers[policy] = AiohttpServer(app)
    return _servers[policy]


def stop_servers() -> None:
    """End every server that a test has started."""
    while _servers:
        _servers.popitem()[1].stop()


_HANDSHAKE = (
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)


def exchange(port: int, call: Call, target: str | None = None, body: bytes = b"") -> Received:
    """Send one request, byte for byte, and read the answer."""
    lines = [("host", "api.example"), *(_HANDSHAKE if call.websocket else ()), *call.headers]
    if any(name.lower() == "host" for name, _ in call.headers):
        del lines[0]
    if target is None:
        target = quote(call.path, safe="/")
    if body:
        lines.append(("content-length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    reader = h11.Connection(h11.CLIENT)
    method = "GET" if call.websocket else call.method
    # h11 reads the answer; what it needs of the request are its method and its upgrade.
    sent = [("host", "api.example"), *(_HANDSHAKE if call.websocket else ())]
    reader.send(h11.Request(method=method, target="/", headers=sent))
    reader.send(h11.EndOfMessage())
    received = Received(0, [], [])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        while True:
            event = reader.next_event()
            if event is h11.NEED_DATA:
                reader.receive_data(connection.recv(65536))
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                received.status = event.status_code
                received.fields = [
                    (n.decode().lower(), v.decode("latin-1")) for n, v in event.headers
                ]
                if event.status_code == 101:
                    return received
            elif isinstance(event, h11.Data):
                if event.chunk_start or not received.chunks:
                    received.chunks.append(b"")
                received.chunks[-1] += bytes(event.data)
            else:
                return received
