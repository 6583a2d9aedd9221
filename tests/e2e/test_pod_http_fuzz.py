"""Valid streams in pieces and malformed ones, over real connections to a real pod."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.dummy_process import INSTALLED, PLAIN, PodProcess, running
from tests.http_streams import mutated, pieces, valid_stream
from tests.http_wire import Client, MalformedAnswerError, read_answers

STREAMS = 400
# Seconds that only a failing test takes.
PATIENCE = 30.0
MOST_KIB = 4 * 1024


@pytest.fixture(scope="module", params=[INSTALLED, PLAIN], ids=["extra", "plain install"])
def pod(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PodProcess]:
    config = tmp_path_factory.mktemp("http") / "rules.json"
    policy = {"allowOrigins": ["https://ui.example", "https://*.sentinel.example"]}
    config.write_text(json.dumps({"rules": [{"hosts": ["api.example"], "corsPolicy": policy}]}))
    with running("--config", str(config), policy=(), start=request.param) as started:
        yield started


async def exchange(port: int, parts: list[bytes]) -> bytes:
    """Send `parts` one by one, then the client's end; return what comes back until the pod's."""
    client = await Client.connected(port)
    try:
        for part in parts:
            client.send(part)
            # Not in one packet with the next, as far as that can be told.
            await asyncio.sleep(0.001)
        client.send(b"", ends=True)
        await client.wait(PATIENCE)
        assert client.closed.is_set(), f"not closed after {parts}"
        return client.received
    finally:
        client.transport.abort()


def sentinel(number: int) -> list[bytes]:
    return [
        b"OPTIONS /v1 HTTP/1.1\r\nHost: api.example\r\nOrigin: https://a%d.sentinel.example\r\n"
        b"Access-Control-Request-Method: POST\r\n\r\n" % number
    ]


def without_dates(received: bytes) -> bytes:
    return re.sub(rb"\r\ndate: [^\r]*", b"", received)


def test_however_a_stream_is_cut_it_gets_the_same_answers(pod: PodProcess) -> None:
    async def ask() -> None:
        for seed in range(STREAMS // 4):
            random = Random(seed)
            data = b"".join(each.data for each in valid_stream(random))
            whole, cut = await asyncio.gather(
                exchange(pod.port, [data]), exchange(pod.port, pieces(random, data, 5))
            )
            assert without_dates(whole) == without_dates(cut), f"seed {seed}: {data!r}"

    asyncio.run(ask())


def test_pipelined_answers_do_not_wait_for_each_other(pod: PodProcess) -> None:
    rounds = 20
    (request,) = sentinel(0)

    def ask(client: socket.socket, count: int) -> None:
        client.sendall(request * count)
        received = b""
        while received.count(b"HTTP/1.1 204 ") < count:
            received += client.recv(65536)

    with socket.create_connection(("127.0.0.1", pod.port), timeout=PATIENCE) as client:
        seconds: list[float] = []
        for _ in range(rounds):
            begin = time.monotonic()
            ask(client, 3)
            seconds.append(time.monotonic() - begin)
        # A client acknowledges after 40 ms where it has nothing to send: then every round waits.
        assert min(seconds) < 0.03


def test_malformed_streams_harm_nobody(pod: PodProcess) -> None:
    async def ask(seeds: range) -> None:
        for seed in seeds:
            random = Random(seed)
            # Without HEAD, it is known where an answer ends.
            data = mutated(random, b"".join(each.data for each in valid_stream(random)))
            data = data.replace(b"HEAD ", b"GET ")
            received, answered = await asyncio.gather(
                exchange(pod.port, pieces(random, data, 5)), exchange(pod.port, sentinel(seed))
            )
            check(received, f"seed {seed}: {data!r}\n{received!r}")
            assert answered.startswith(b"HTTP/1.1 204 ")
            assert b"access-control-allow-origin: https://a%d.s" % seed in answered

    async def ask_all(seeds: range) -> None:
        await asyncio.gather(*(ask(seeds[at::8]) for at in range(8)))

    asyncio.run(ask_all(range(STREAMS // 4)))
    before = resident(pod)
    asyncio.run(ask_all(range(STREAMS)))
    assert resident(pod) - before < MOST_KIB
    assert [line for line in pod.log() if line["level"] in ("error", "critical")] == []
    assert pod.admin("/healthz").status == 200


def check(received: bytes, what: str) -> None:
    """Well-formed answers, of which only the last is a refusal of what is malformed."""
    try:
        answers = read_answers(received)
    except MalformedAnswerError as error:
        raise AssertionError(f"{error}: {what}") from None
    for answer in answers[:-1]:
        assert answer.status in (204, 403, 404), what
    for answer in answers[-1:]:
        assert answer.status in (204, 403, 404) or answer.field("connection") == "close", what
        assert answer.status != 500, what


def resident(pod: PodProcess) -> int:
    status = Path(f"/proc/{pod.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    assert found is not None
    return int(found[1])
