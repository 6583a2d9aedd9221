"""The parts of uvicorn and h11 that are not public, but used: they exist, and they are called.

A dependency that is used like this has an upper bound in pyproject.toml. Other tests fail when such
parts of other dependencies are gone: Starlette's outermost layer in test_starlette.py, Werkzeug's
mark of its debugger in test_wsgi.py, prometheus-client's choice of a format in test_dummy_admin.py,
ruamel.yaml's events and nodes in test_config.py and test_fix.py.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from importlib.metadata import requires
from typing import Any

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

from meshcors._decision.answers import NO_ROUTE
from meshcors.asgi._messages import send_answer
from meshcors.dummy import _connections as connections
from meshcors.dummy import _server as server_module
from meshcors.dummy._protocol_h11 import BoundedH11Protocol
from meshcors.dummy._protocol_httptools import BoundedHttptoolsProtocol
from meshcors.dummy._server import PodServer

HEAD = b"GET / HTTP/1.1\r\nHost: pod\r\n"
CHUNKED = (
    b"POST / HTTP/1.1\r\nHost: pod\r\nTransfer-Encoding: chunked\r\nTrailer: x-a\r\n\r\n"
    b"1;x=y\r\na\r\n0\r\nx-a: b\r\n\r\n"
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send_answer(NO_ROUTE, scope, send)


def serving(
    talk: Callable[[PodServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    """Run the pod's server, and `talk` with one connection to it."""

    async def scenario() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        ready = asyncio.Event()
        server = PodServer(app, [listener], 10, 30, ready.set)
        running = asyncio.ensure_future(server.serve())
        await ready.wait()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            await talk(server, reader, writer)
        finally:
            writer.close()
            server.should_exit = True
            await running

    asyncio.run(scenario())


def spied(monkeypatch: pytest.MonkeyPatch, ours: type, theirs: type) -> tuple[set[str], Counter]:
    """Count the calls of the methods of `theirs` that `ours` overrides; return names and counts."""
    called: Counter[str] = Counter()

    def counting(name: str, method: Any) -> Any:
        @functools.wraps(method)
        def counted(*args: Any, **options: Any) -> Any:
            called[name] += 1
            return method(*args, **options)

        return counted

    overridden = {
        name
        for name, found in vars(ours).items()
        if inspect.isfunction(found) and name != "__init__" and hasattr(theirs, name)
    }
    for name in overridden:
        monkeypatch.setattr(ours, name, counting(name, vars(ours)[name]))
    return overridden, called


async def answers(reader: asyncio.StreamReader, number: int) -> None:
    for _ in range(number):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head)[0]))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(BoundedHttptoolsProtocol, HttpToolsProtocol), (BoundedH11Protocol, H11Protocol)],
)
def test_uvicorns_protocol_calls_what_the_pods_overrides(
    ours: type, theirs: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "protocol_class", lambda: ours)
    overridden, called = spied(monkeypatch, ours, theirs)
    # Without this override uvicorn makes a task for each request.
    assert ("_start_asgi_task" in overridden) == (ours is BoundedHttptoolsProtocol)
    assert "on_response_complete" in overridden

    async def talk(_: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((HEAD + b"\r\n" + CHUNKED) * 2)
        await answers(reader, 4)
        writer.write(b"malformed\r\n\r\n")
        await reader.read()

    serving(talk)
    assert overridden <= set(called)


def test_uvicorns_server_calls_what_the_pods_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    overridden, called = spied(monkeypatch, PodServer, Server)
    assert {"startup", "shutdown", "capture_signals"} <= overridden

    async def talk(*_: Any) -> None:
        return

    serving(talk)
    assert overridden <= set(called)


@pytest.mark.parametrize("protocol", [BoundedHttptoolsProtocol, BoundedH11Protocol])
def test_idle_closer_sees_what_uvicorns_connections_are_at(
    protocol: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "protocol_class", lambda: protocol)
    seen: list[tuple[bool, bool]] = []

    async def talk(
        server: PodServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for sent in (HEAD, b"\r\n", HEAD, b"\r\n"):
            writer.write(sent)
            if sent == b"\r\n":
                await answers(reader, 1)
            (connection,) = server.server_state.connections
            assert isinstance(connection, protocol)
            while sent == HEAD and not connections._in_head(connection):  # noqa: ASYNC110 - uvicorn sets no event
                await asyncio.sleep(0)
            assert not connection.transport.is_closing()
            seen.append((connections._in_head(connection), connection.cycle is None))

    serving(talk)
    assert seen == [(True, True), (False, False), (True, False), (False, False)]


@pytest.mark.parametrize(
    "name", ["prometheus-client", "ruamel.yaml", "starlette", "uvicorn", "werkzeug"]
)
def test_what_is_used_beside_its_public_interface_has_an_upper_bound(name: str) -> None:
    found = [each for each in requires("meshcors") or () if re.match(rf"{name}\b", each)]
    assert found
    assert all(">=" in each and re.search(r"<\d", each) for each in found)
