"""The pod under load: no answer is lost or wrong, and memory does not grow.

Each test runs small with all the others, and in full with ``nox -s load``, which prints figures.
"""

from __future__ import annotations

import http.client
import json
import re
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.dummy_process import KEY, UI, preflight_fields, running

Figure = Callable[[str, str], None]

# How many requests are sent ahead on a connection.
DEPTH = 8


def sizes(small: int, full: int) -> pytest.MarkDecorator:
    """A test's two sizes."""
    return pytest.mark.parametrize(
        "size",
        [pytest.param(small, id="small"), pytest.param(full, id="full", marks=pytest.mark.load)],
    )


@pytest.fixture
def figure(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Figure:
    """Print a row of the table of figures, if the test runs in full."""

    def show(what: str, measured: str) -> None:
        if request.node.get_closest_marker("load"):
            with capsys.disabled():
                print(f"\n| {what} | {measured} |")

    return show


def preflight(origin: str = UI, method: str = "POST", names: str = KEY) -> bytes:
    return (
        f"OPTIONS /v1/chat HTTP/1.1\r\nHost: models.example\r\nOrigin: {origin}\r\n"
        f"Access-Control-Request-Method: {method}\r\n"
        f"Access-Control-Request-Headers: {names}\r\n\r\n"
    ).encode()


def answers(received: bytearray) -> Iterator[bytes]:
    """Take the complete answers out of what has been received, without their dates."""
    while (end := received.find(b"\r\n\r\n")) >= 0:
        found = re.search(rb"content-length: (\d+)", received[:end])
        end += 4 + (int(found[1]) if found else 0)
        if len(received) < end:
            return
        yield re.sub(rb"date: [^\r]*\r\n", b"", bytes(received[:end]))
        del received[:end]


def drive(
    port: int, requests: Iterator[bytes], connections: int, look: Callable[[bytes, bytes], None]
) -> None:
    """Send all `requests` over kept-alive connections; `look` at each with its answer."""
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            client = socket.create_connection(("127.0.0.1", port), timeout=30)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sent = deque(islice(requests, DEPTH))
            client.sendall(b"".join(sent))
            selector.register(client, selectors.EVENT_READ, (sent, bytearray()))
        while selector.get_map():
            ready = selector.select(30)
            assert ready, "no answer for half a minute"
            for key, _ in ready:
                client, (sent, received) = key.fileobj, key.data
                assert isinstance(client, socket.socket)
                part = client.recv(1 << 18)
                assert part, f"closed with {len(sent)} requests unanswered"
                received += part
                for answer in answers(received):
                    look(sent.popleft(), answer)
                if not sent:
                    sent.extend(islice(requests, DEPTH))
                    if sent:
                        client.sendall(b"".join(sent))
                    else:
                        selector.unregister(client)
                        client.close()


def resident_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


@sizes(5_000, 200_000)
def test_no_preflight_on_kept_alive_connections_is_lost_or_wrong(size: int, figure: Figure) -> None:
    kinds = [
        preflight(),
        preflight(origin="https://evil.example"),
        preflight(method="PUT"),
        preflight(names="x-other"),
    ]
    expected: dict[bytes, bytes] = {}

    def look(request: bytes, answer: bytes) -> None:
        assert answer == expected.setdefault(request, answer)

    with running() as pod:
        began = time.perf_counter()
        drive(pod.port, islice(cycle(kinds), size), 32, look)
        took = time.perf_counter() - began
        statuses = [expected[kind].split(b" ")[1] for kind in kinds]
        assert statuses == [b"204", b"403", b"204", b"204"]
        for reason in ("allowed", "origin_not_allowed", "method_not_allowed", "header_not_allowed"):
            assert pod.metric(f'meshcors_preflights_total{{reason="{reason}"}}') == size / 4
    figure(f"{size:,} preflights over 32 kept-alive connections", "none lost, none wrong")
    figure("on the way, with one client on the same machine", f"{size / took:,.0f} a second")


@sizes(8, 32)
def test_no_accepted_request_fails_while_the_pod_is_told_to_end(size: int, figure: Figure) -> None:
    served, failures = [0] * size, []
    told, over = threading.Event(), threading.Event()

    def client(number: int) -> None:
        try:
            while not over.is_set():
                connection = http.client.HTTPConnection("127.0.0.1", pod.port, timeout=20)
                while not over.is_set():
                    connection.request("OPTIONS", "/", headers=preflight_fields())
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 204
                    served[number] += 1
                    if answer.getheader("connection") == "close":
                        assert told.is_set()
                        break
                connection.close()
        except Exception as error:
            failures.append(repr(error))

    with running(drain="3") as pod:
        clients = [threading.Thread(target=client, args=[number]) for number in range(size)]
        for each in clients:
            each.start()
        pod.await_(lambda: min(served) > 20)
        told.set()
        pod.signal(signal.SIGTERM)
        before = sum(served)
        # As a gateway does, which removes a draining pod before the pod ends.
        time.sleep(1.5)
        over.set()
        for each in clients:
            each.join(20)
        assert failures == []
        assert sum(served) > before
        assert pod.wait() == 0
    figure(
        f"SIGTERM while {size} clients call",
        f"{sum(served) - before:,} answered while draining, none failed, exit code 0",
    )


@sizes(12, 300)
def test_reloads_under_load_show_no_mixture_and_fail_nobody(
    size: int, figure: Figure, tmp_path: Path
) -> None:
    path = tmp_path / "policy.json"

    def write(number: int) -> None:
        texts = [
            json.dumps({"allowOrigins": [UI], "allowMethods": ["PUT"], "maxAge": 1}),
            '{"allowOrigins": [',
            json.dumps({"allowOrigins": [UI], "allowMethods": ["DELETE"], "maxAge": 2}),
            json.dumps({"allowOrigins": ["https://ui.example/"]}),
        ]
        path.write_text(texts[number % len(texts)])

    seen: set[bytes] = set()
    over = threading.Event()
    failures: list[str] = []
    count = 0

    def requests() -> Iterator[bytes]:
        nonlocal count
        while not over.is_set():
            count += 1
            yield preflight(names="x-other")

    def load() -> None:
        try:
            drive(pod.port, requests(), 8, lambda _, answer: seen.add(answer))
        except Exception as error:
            failures.append(repr(error))

    write(0)
    policy = ("--config", str(path))
    with running(policy=policy) as pod:
        client = threading.Thread(target=load)
        client.start()
        ok, failed = (f'meshcors_config_reloads_total{{result="{r}"}}' for r in ("ok", "failed"))
        for number in range(1, size + 1):
            write(number)
            before = pod.metric(ok), pod.metric(failed)
            pod.signal(signal.SIGHUP)
            place = number % 2
            pod.await_(lambda b=before, p=place: pod.metric((ok, failed)[p]) > b[p])
            assert pod.admin("/readyz").status == 200
        over.set()
        client.join(60)
    assert failures == []
    # Two policies, so two possible answers.
    assert {re.findall(rb"methods: (\w+)|age: (\d)", answer).__repr__() for answer in seen} == {
        "[(b'PUT', b''), (b'', b'1')]",
        "[(b'DELETE', b''), (b'', b'2')]",
    }
    assert len(seen) == 2
    figure(
        f"{size} reloads, good and bad in turn, under load",
        f"{count:,} answers, each by one policy as a whole, none failed",
    )


@sizes(50, 500)
def test_slow_connections_do_not_slow_the_others(size: int, figure: Figure) -> None:
    request = preflight()
    with running() as pod:
        slow = [socket.create_connection(("127.0.0.1", pod.port)) for _ in range(size)]
        times = []
        for sent in range(2 if size < 100 else 8):
            for client in slow:
                client.sendall(request[sent : sent + 1])
            until = time.monotonic() + 1
            while time.monotonic() < until:
                began = time.perf_counter()
                assert pod.preflight().status == 204
                times.append(time.perf_counter() - began)
        for client in slow:
            client.close()
    times.sort()
    figure(
        f"{size} connections that send a byte a second",
        f"{len(times):,} others served meanwhile, each on a new connection:"
        f" {times[len(times) // 2] * 1e3:.1f} ms in the middle,"
        f" {times[len(times) * 99 // 100] * 1e3:.1f} ms for 99 of 100",
    )


@sizes(20_000, 1_000_000)
def test_memory_does_not_grow_with_requests(size: int, figure: Figure) -> None:
    early = 10_000

    def requests(start: int, end: int) -> Iterator[bytes]:
        # Ever new origins, allowed and refused: nothing may be kept for each.
        for number in range(start, end):
            place = "example" if number % 2 else "evil"
            yield preflight(origin=f"https://o{number}.{place}")

    policy = ("--allow-origin", "https://*.example", "--key-header", KEY)
    with running(policy=policy) as pod:
        drive(pod.port, requests(0, early), 32, lambda *_: None)
        pod.metric("meshcors_ready")
        before = resident_kib(pod.process.pid)
        drive(pod.port, requests(early, size), 32, lambda *_: None)
        after = resident_kib(pod.process.pid)
    assert after - before <= 5 * 1024
    figure(
        f"resident memory after {early:,} and after {size:,} preflights, no two origins alike",
        f"{before / 1024:.1f} MiB and {after / 1024:.1f} MiB",
    )
