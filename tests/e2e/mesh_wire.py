"""The same requests to the model and to a real Envoy.

`observe` returns what Envoy did with each request, and `expect` what the model says that it does,
as dictionaries with the same keys. One Envoy serves many documents; each destination is a small
server that reports the request it got.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh.envoy import bootstrap
from tests.e2e.envoy import running_envoy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

PORT = 80
COMPARED = ("access-control-", "x-resp", "location", "vary")
LOG_FORMAT = "case=%REQ(X-CASE)% rule=%ROUTE_NAME%"
ANSWER = "x-answer"


@dataclass(frozen=True)
class Case:
    """One request to one gateway; ``answer`` are the headers of the service's answer."""

    gateway: str
    method: str
    host: str
    path: str
    headers: tuple[tuple[str, str], ...]
    answer: tuple[tuple[str, str], ...] = ()

    @property
    def request(self) -> GatewayRequest:
        """The request for the model."""
        return GatewayRequest(
            self.method, self.host, self.path, self.headers, scheme="http", port=PORT
        )


def expect(gateway: Gateway, case: Case, destination: str | None) -> dict[str, Any]:
    """Return the model's answer; ``destination`` is the one that Envoy chose by weight."""
    answer = gateway.handle(case.request)
    forward = answer.kind == "forward"
    labels = [label for label, _ in answer.destinations]
    chosen = destination if destination in labels else answer.destination
    fields = answer.response_headers(case.answer, chosen)
    has_body = case.method != "HEAD" and answer.status not in {204, 304}
    return {
        "rule": answer.rule,
        "destination": chosen,
        "status": 200 if forward else answer.status,
        "headers": compared(fields),
        "body": answer.body if has_body else b"",
        "path": answer.forwarded_path,
        "host": answer.forwarded_host(chosen),
    }


def compared(fields: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers that both sides must agree on, sorted."""
    pairs = [(name.lower(), value) for name, value in fields]
    return sorted(pair for pair in pairs if pair[0].startswith(COMPARED))


async def observe(
    gateways: dict[str, Gateway], destinations: Sequence[str], cases: Sequence[Case]
) -> list[dict[str, Any]]:
    """Send every case to a real Envoy that serves ``gateways``."""

    def config(ports: Mapping[str, int]) -> dict[str, Any]:
        return bootstrap(gateways, ports, port=PORT, log_format=LOG_FORMAT)

    return (await observe_configuration(config, destinations, cases))[0]


async def observe_configuration(
    make: Callable[[Mapping[str, int]], dict[str, Any]],
    destinations: Sequence[str],
    cases: Sequence[Case],
) -> tuple[list[dict[str, Any]], str]:
    """Send every case to an Envoy that runs what ``make`` returns, and fetch its config dump.

    ``make`` gets the ports of the destinations; a case's gateway is the name of a listener.
    """
    async with AsyncExitStack() as stack:
        ports = {name: await stack.enter_async_context(_service(name)) for name in destinations}
        config = make(ports)
        with running_envoy(config, timeout=60) as envoy:
            gate = asyncio.Semaphore(16)
            lanes: dict[str, list[int]] = {}
            for at, case in enumerate(cases):
                lanes.setdefault(case.gateway, []).append(at)
            results: list[dict[str, Any]] = [{} for _ in cases]

            async def lane(name: str) -> None:
                async with gate:
                    await _send(envoy.ports[name], cases, lanes[name], results)

            async with asyncio.TaskGroup() as group:
                for name in lanes:
                    group.create_task(lane(name))
            rules = _rules(envoy, len(cases))
            dump = envoy.admin_get("/config_dump")
    return [{"rule": rules[at], **result} for at, result in enumerate(results)], dump


def _rules(envoy: Any, count: int) -> dict[int, str | None]:
    """Return which rule took each case, from Envoy's access log, which it writes a little later."""
    found: dict[int, str | None] = {}
    deadline = time.monotonic() + 60
    while len(found) < count and time.monotonic() < deadline:
        # The last line may not be written to its end.
        for line in envoy.log.rpartition("\n")[0].splitlines():
            if line.startswith("case="):
                case, _, rule = line.partition(" rule=")
                found[int(case.removeprefix("case="))] = None if rule == "-" else rule
        time.sleep(0.05)
    return found


async def _send(
    port: int, cases: Sequence[Case], which: Sequence[int], results: list[dict[str, Any]]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for at in which:
            case = cases[at]
            lines = [f"{case.method} {case.path} HTTP/1.1", f"host: {case.host}", f"x-case: {at}"]
            answer = base64.b64encode(json.dumps(case.answer).encode()).decode()
            lines += [f"{name}: {value}" for name, value in (*case.headers, (ANSWER, answer))]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            results[at] = await _result(reader, case)
            if results[at].pop("closed"):
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
    finally:
        writer.close()


async def _result(reader: asyncio.StreamReader, case: Case) -> dict[str, Any]:
    start, fields = await _head(reader)
    status = int(start.split(" ")[1])
    named = {name.lower(): value for name, value in fields}
    body = b""
    if case.method != "HEAD" and status not in {204, 304}:
        body = await reader.readexactly(int(named.get("content-length", "0")))
    seen = json.loads(named["x-seen"]) if "x-seen" in named else {}
    return {
        "destination": seen.get("destination"),
        "status": status,
        "headers": compared(fields),
        "body": b"" if seen else body,
        "path": seen.get("path"),
        "host": seen.get("host"),
        "closed": named.get("connection") == "close",
    }


async def _head(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]]]:
    # Without a limit: a server that closed a quiet connection would race the next request on it.
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return start, [(name, value.strip()) for name, _, value in pairs]


@asynccontextmanager
async def _service(name: str) -> AsyncIterator[int]:
    """Serve one destination, which answers with the case's headers and reports what it saw."""

    tasks: list[Any] = []
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        writers.append(writer)
        try:
            while True:
                start, fields = await _head(reader)
                named = {key.lower(): value for key, value in fields}
                path = start.split(" ")[1]
                seen = json.dumps({"destination": name, "path": path, "host": named["host"]})
                lines = ["HTTP/1.1 200 OK", "content-length: 0", f"x-seen: {seen}"]
                asked = json.loads(base64.b64decode(named[ANSWER]))
                lines += [f"{key}: {value}" for key, value in asked]
                writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            pass  # Envoy has closed its connection
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks)
