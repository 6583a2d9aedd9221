"""Generated files, fixed in every mode, before and after on a real Envoy: nobody is harmed.

The same calls of pages go through the file as it was and as it is fixed: the preflight and the
request, on the wire. The pod is the library's own app with the policy that `fix` prints; the other
services allow everything or say nothing about CORS. `meshcors.browser` judges the answers. Set
``FIX_FILES`` for more files and ``FIX_SEED`` for others; `nox -s search` does.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

from meshcors import browser, create_app
from meshcors.config import rules_from_file
from meshcors.mesh import DocumentError, Gateway
from meshcors.mesh._analysis.lost_calls import lost_calls
from meshcors.mesh._fix import FixOptions, Responder, fix_file, read_file
from meshcors.mesh.envoy import bootstrap
from tests import fix_generator
from tests.e2e.envoy import running_envoy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

RESPONDERS: tuple[Responder, ...] = ("pod", "mesh", "both")
GATE = "default/gate"
POD = f"{fix_generator.POD[0]}:{fix_generator.POD[1]}"
BATCH = 75
AT_ONCE = 16
# None of them takes so long that pytest ends the run.
PARTS = 3
# Istio's bootstrap allows regexes of this size; Envoy's own limit is 100.
RUNTIME = {
    "layers": [{"name": "istio", "static_layer": {"re2.max_program_size.error_level": 32768}}]
}
RANDOM_CALLS = 6
LOST_CALLS = 6
Answer = tuple[int, list[tuple[str, str]]]


@dataclass
class Made:
    """A file, its calls, and what `fix` made of it in each mode: a text, or a reason."""

    name: str
    text: str
    calls: list[dict[str, Any]]
    lost: list[dict[str, Any]]
    fixed: dict[str, str] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def make(seed: str) -> Made | None:
    """Make a file and fix it; None for a file in which nothing is lost."""
    rng = random.Random(seed)
    text = fix_generator.file(rng)
    calls = [fix_generator.call(rng) for _ in range(RANDOM_CALLS)]
    file = read_file(text, "a.yaml")
    lost = [
        {name: getattr(request, name) for name in ("origin", "url", "method", "headers")}
        | {"credentials": request.credentials}
        for each in lost_calls(file.mesh)
        # A rule without a corsPolicy does not say whose calls it means to allow.
        if each.calls.route.source.cors_policy is not None
        for asked in (each.requests[0], each.requests[-1])
        for request in [each.calls.browser_request(asked, each.calls.credentials[0])]
        if browser.preflight_for(request) is not None
    ]
    if not lost:
        return None
    rng.shuffle(lost)
    made = Made(seed, text, calls, lost[:LOST_CALLS])
    for responder in RESPONDERS:
        options = FixOptions(responder, origins=(("exact", fix_generator.A),))
        try:
            result = fix_file(file, options)
        except DocumentError as error:
            made.refused[responder] = str(error)
            continue
        made.fixed[responder] = result.text
        if result.pod is not None:
            made.policies[responder] = dict(result.pod)
    return made


@pytest.mark.parametrize("part", range(PARTS))
def test_no_call_is_worse_and_every_lost_preflight_is_repaired(
    part: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = int(os.environ.get("FIX_FILES", "96")) // PARTS
    seed = os.environ.get("FIX_SEED", "20261")
    found: list[Made] = []
    with ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn")) as pool:
        # Some files have nothing to fix.
        for first in range(0, 5 * wanted, AT_ONCE):
            if len(found) < wanted:
                seeds = (f"{seed}-{part}-{number}" for number in range(first, first + AT_ONCE))
                found += filter(None, pool.map(make, seeds))
    del found[wanted:]
    count: Counter[str] = Counter()
    for first in range(0, len(found), BATCH):
        batch = found[first : first + BATCH]
        asyncio.run(_compare(batch, tmp_path, count))
    fixed = sum(len(made.fixed) for made in found)
    refused = sum(len(made.refused) for made in found)
    documents = sum(made.text.count("\n---\n") + 1 for made in found)
    with capsys.disabled():
        print(
            f"\n{documents} documents in {len(found)} files, in {len(RESPONDERS)} modes:"
            f" {fixed} files fixed, {refused} refused;"
            f" {count['calls']} calls compared, {count['worked']} of them worked before;"
            f" {count['repaired']} lost preflights repaired"
        )
    assert len(found) == wanted
    assert documents >= 1.6 * wanted
    assert refused < fixed / 2
    assert count["worked"] > wanted
    assert count["repaired"] > wanted


async def _compare(batch: list[Made], tmp_path: Path, count: Counter[str]) -> None:
    """Send the calls of a batch to one Envoy, and check what becomes of them."""
    texts = {(made.name, ""): made.text for made in batch}
    texts |= {(made.name, mode): text for made in batch for mode, text in made.fixed.items()}
    gateways = {
        f"{name}{mode}": Gateway.from_yaml(text, name=GATE) for (name, mode), text in texts.items()
    }
    pods = _Pods(
        tmp_path, {f"{made.name}{mode}": it for made in batch for mode, it in made.policies.items()}
    )
    async with AsyncExitStack() as stack:
        ports: dict[str, int] = {}
        for name in fix_generator.DESTINATIONS:
            answer = pods.answer if name == POD else _service_answer
            ports[name] = await stack.enter_async_context(_server(name, answer))
        config = {**bootstrap(gateways, ports), "layered_runtime": RUNTIME}
        with running_envoy(config, timeout=60) as envoy:
            gate = asyncio.Semaphore(16)

            async def one(made: Made) -> None:
                async with gate:
                    await _compare_file(made, envoy.ports, count)

            async with asyncio.TaskGroup() as group:
                for made in batch:
                    group.create_task(one(made))


async def _compare_file(made: Made, ports: Mapping[str, int], count: Counter[str]) -> None:
    modes = ("", *made.fixed)
    pages = {mode: _Page(ports[f"{made.name}{mode}"], f"{made.name}{mode}") for mode in modes}
    try:
        for number, arguments in enumerate((*made.lost, *made.calls)):
            request = browser.Request(**arguments)
            is_lost = number < len(made.lost)
            # What is lost is repaired whatever services say; a neighbour may rely on them.
            service = "silent" if is_lost else ("open", "silent")[number % 2]
            before = await pages[""].call(request, service)
            for mode in made.fixed:
                after = await pages[mode].call(request, service)
                pod, text = made.policies.get(mode), made.fixed[mode]
                told = f"{mode}: {arguments}\n{before}\n{after}\n{pod}\n{text}"
                count["calls"] += 1
                if before.allowed:
                    count["worked"] += 1
                    assert after.allowed, told
                    assert after.destination == before.destination, told
                if is_lost:
                    assert after.preflight_allowed, told
                    count["repaired"] += not before.preflight_allowed
    finally:
        for page in pages.values():
            page.close()


@dataclass(frozen=True)
class Outcome:
    """What a page's call came to: the browser's verdicts, and which service got the request."""

    allowed: bool
    preflight_allowed: bool
    destination: str
    preflight: Answer | None


class _Page:
    """A connection to one listener, over which a browser sends its requests."""

    def __init__(self, port: int, pod: str) -> None:
        self._port, self._pod = port, pod
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, request: browser.Request, service: str) -> Outcome:
        asked = browser.preflight_for(request)
        origin = (("origin", request.origin),)
        preflight = None
        permitted = True
        if asked is not None:
            preflight = await self._send(request, "OPTIONS", asked, service)
            permitted = browser.judge_preflight(request, browser.Response(*preflight)).allowed
        status, fields = await self._send(
            request, request.method, (*request.headers, *origin), service
        )
        response = browser.Response(status, fields)
        allowed = permitted and browser.judge_response(request, response).allowed
        return Outcome(allowed, permitted, dict(fields).get("x-destination", ""), preflight)

    async def _send(
        self, request: browser.Request, method: str, fields: browser.HeaderLines, service: str
    ) -> Answer:
        host, _, path = request.url.partition("://")[2].partition("/")
        lines = [f"{method} /{path} HTTP/1.1", f"host: {host}", f"x-service: {service}"]
        lines += [f"x-pod: {self._pod}", *(f"{name}: {value}" for name, value in fields)]
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        start, found = await _head(reader)
        named = dict(found)
        await reader.readexactly(int(named.get("content-length", "0")))
        if named.get("connection") == "close":
            self.close()
        return int(start.split(" ")[1]), found

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def _head(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]]]:
    # Without a limit: a server that closed a quiet connection would race the next request on it.
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return start, [(name.lower(), value.strip()) for name, _, value in pairs]


async def _service_answer(_: str, __: str, named: dict[str, str]) -> Answer:
    """Answer as a service that allows everything, or says nothing about CORS."""
    if named["x-service"] != "open" or "origin" not in named:
        return 200, []
    return 200, [
        ("access-control-allow-origin", named["origin"]),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", named.get("access-control-request-method", "")),
        ("access-control-allow-headers", named.get("access-control-request-headers", "")),
    ]


class _Pods:
    """The library's app, with the policy of each fixed file."""

    def __init__(self, directory: Path, policies: dict[str, dict[str, Any]]) -> None:
        self._directory, self._policies = directory, policies
        self._apps: dict[str, Any] = {}

    async def answer(self, method: str, path: str, named: dict[str, str]) -> Answer:
        name = named["x-pod"]
        if name not in self._apps:
            file = self._directory / f"{name}.json"
            file.write_text(json.dumps(self._policies[name]))
            self._apps[name] = create_app(rules=rules_from_file(file))
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
            "headers": [(key.encode(), value.encode("latin-1")) for key, value in named.items()],
        }  # fmt: skip
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._apps[name](scope, receive, send)
        start = sent[0]
        fields = [(key.decode(), value.decode("latin-1")) for key, value in start["headers"]]
        return start["status"], [pair for pair in fields if pair[0] != "content-length"]


@asynccontextmanager
async def _server(
    name: str, answer: Callable[[str, str, dict[str, str]], Awaitable[Answer]]
) -> AsyncIterator[int]:
    """Serve one destination of the gateway."""
    tasks: list[Any] = []
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        writers.append(writer)
        try:
            while True:
                start, fields = await _head(reader)
                method, path, _ = start.split(" ")
                status, found = await answer(method, path, dict(fields))
                lines = [f"HTTP/1.1 {status} OK", f"x-destination: {name}"]
                lines += [f"{key}: {value}" for key, value in found]
                lines += [] if status == 204 else ["content-length: 0"]
                writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # Envoy has closed its connection
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks)
