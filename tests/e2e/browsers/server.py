"""An HTTP server that answers with exactly a test's bytes, and records the requests."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Received:
    """A request as it came in: its header lines in their order, names in lower case."""

    port: int
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def lines(self, *names: str) -> list[tuple[str, str]]:
        """The header lines with one of ``names``."""
        return [line for line in self.headers if line[0] in names]


# None closes the connection without an answer
Answering: TypeAlias = Callable[[Received], bytes | None]


def message(status: int, headers: list[tuple[str, str]], body: bytes = b"") -> bytes:
    """An HTTP/1.1 response, its ``headers`` line for line as given, the last of its connection."""
    lines = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in headers)]
    lines.append("connection: close")
    if status >= 200 and status not in (204, 304):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass(frozen=True)
class Server:
    """A running server: one list of requests for all its ports."""

    ports: tuple[int, ...]
    received: list[Received]


@contextlib.contextmanager
def serving(answer: Answering, ports: int = 1) -> Iterator[Server]:
    """Serve ``answer`` on that many free ports of 127.0.0.1, from a thread of its own."""
    loop = asyncio.new_event_loop()
    received: list[Received] = []
    tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        tasks[task] = writer
        task.add_done_callback(tasks.pop)
        # a browser that leaves in the middle is not a failure of the test
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await _read(reader, writer.get_extra_info("sockname")[1])
            received.append(request)
            # one request a connection: browsers repeat a request that fails on a used connection
            if reply := answer(request):
                writer.write(reply)
                await writer.drain()
        writer.close()

    async def listen() -> list[asyncio.Server]:
        return [await asyncio.start_server(connection, "127.0.0.1", 0) for _ in range(ports)]

    servers = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Server(tuple(s.sockets[0].getsockname()[1] for s in servers), received)
    finally:
        asyncio.run_coroutine_threadsafe(_shut(servers, tasks), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


async def _read(reader: asyncio.StreamReader, port: int) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    length = int(dict(headers).get("content-length", 0))
    return Received(port, method, target, headers, await reader.readexactly(length))


async def _shut(
    servers: list[asyncio.Server], tasks: dict[asyncio.Task[None], asyncio.StreamWriter]
) -> None:
    for server in servers:
        server.close()
    for writer in tasks.values():
        writer.transport.abort()
    await asyncio.gather(*tasks)
