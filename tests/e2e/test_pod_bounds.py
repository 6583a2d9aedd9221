"""Whatever follows a head takes bounded memory, and does not delay other clients.

Each flood is sent as long as the pod reads it; the peak of the pod's memory is compared.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dummy_process import INSTALLED, PLAIN, PodProcess, running

HEAD = (
    b"OPTIONS /v1 HTTP/1.1\r\nHost: x\r\nOrigin: https://ui.example\r\n"
    b"Access-Control-Request-Method: POST\r\n"
)
REQUEST = HEAD + b"\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SHORT = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
MB = 1 << 20
MOST_KIB = 5 * 1024

BOUNDED = [
    pytest.param(CHUNKED + b"0\r\n", b"X-Trailer: a\r\n", id="trailers"),
    pytest.param(CHUNKED + b"0\r\nX-Trailer: ", b"a", id="value of a trailer"),
    pytest.param(CHUNKED + b"0\r\n", b"a", id="name of a trailer"),
    pytest.param(CHUNKED + b"5\r\naaaaa\r\n0\r\n", b"X-Trailer: a\r\n", id="trailers of a body"),
    pytest.param(CHUNKED + b"5;a=", b"a", id="chunk extension"),
    pytest.param(CHUNKED + b'5;a="', b"a", id="quoted chunk extension"),
    pytest.param(CHUNKED + b"5", b";a=b", id="chunk extensions"),
    pytest.param(CHUNKED, b"1;a=" + b"b" * 999 + b"\r\na\r\n", id="an extension a chunk"),
    pytest.param(CHUNKED, b"0", id="zeros of a chunk's size"),
    pytest.param(CHUNKED, b"f", id="digits of a chunk's size"),
    pytest.param(CHUNKED, b"1\r\na\r\n", id="chunks of a byte"),
    pytest.param(REQUEST, b"\r\n", id="empty lines"),
    pytest.param(REQUEST + HEAD, b"X-A: a\r\n", id="lines of a second head"),
    pytest.param(REQUEST + HEAD + b"X-A: ", b"a", id="value in a second head"),
    pytest.param(HEAD + b"Connection: close\r\n\r\n", b"a", id="after the last request"),
    pytest.param(HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"a", id="upgraded"),
    pytest.param(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", b"a", id="tunnel"),
]
BODIES = [
    pytest.param(CHUNKED + b"fffffff0\r\n", b"a", 200, id="one chunk"),
    pytest.param(HEAD + b"Content-Length: 9999999999\r\n\r\n", b"a", 200, id="no chunk"),
    pytest.param(CHUNKED, b"4000\r\n" + b"a" * 0x4000 + b"\r\n", 200, id="chunks as of a gateway"),
    pytest.param(CHUNKED, b"80\r\n" + b"a" * 128 + b"\r\n", 10, id="small chunks"),
    pytest.param(b"", HEAD + b"Content-Length: 9\r\n\r\n" + b"a" * 9, 2, id="requests"),
]


@pytest.fixture(scope="module", params=[INSTALLED, PLAIN], ids=["extra", "plain install"])
def pod(request: pytest.FixtureRequest) -> Iterator[PodProcess]:
    with running(start=request.param) as started:
        yield started


def memory(pod: PodProcess, name: str) -> int:
    """Return the pod's resident memory in KiB: now (VmRSS), or at its peak (VmHWM)."""
    status = Path(f"/proc/{pod.process.pid}/status").read_text()
    found = re.search(rf"{name}:\s+(\d+)", status)
    assert found is not None
    return int(found[1])


class Other:
    """A client on a connection of its own, which goes on sending requests."""

    def __init__(self, pod: PodProcess) -> None:
        self.client = socket.create_connection(("127.0.0.1", pod.port), timeout=20)

    def asks(self) -> None:
        self.client.sendall(REQUEST)
        assert self.client.recv(65536).startswith(b"HTTP/1.1 204 ")


def flood(pod: PodProcess, begin: bytes, part: bytes, megabytes: float) -> tuple[int, int]:
    """Send `begin`, then `part` over and over; return how much was taken, and what came back."""
    block = memoryview(part * (MB // len(part)))
    sent = received = 0
    other = Other(pod)
    with other.client, socket.create_connection(("127.0.0.1", pod.port), timeout=20) as client:
        client.sendall(begin)
        client.setblocking(False)
        left = block
        try:
            while sent < megabytes * MB:
                readable, writable, _ = select.select([client], [client], [], 20)
                assert readable or writable
                if readable:
                    answers = client.recv(1 << 18)
                    if not answers:
                        break
                    received += answers.count(b"HTTP/1.1 ")
                if writable:
                    taken = client.send(left)
                    sent += taken
                    left = left[taken:]
                    if not left:
                        left = block
                        other.asks()
        except (BrokenPipeError, ConnectionResetError):
            pass
        other.asks()
    return sent, received


@pytest.mark.parametrize(("begin", "part"), BOUNDED)
def test_what_is_no_body_ends_at_its_bound(pod: PodProcess, begin: bytes, part: bytes) -> None:
    pod.preflight()
    before = memory(pod, "VmRSS")
    sent, _ = flood(pod, begin, part, 200)
    # What the kernel buffers counts as sent.
    assert sent < 50 * MB
    assert memory(pod, "VmHWM") - before < MOST_KIB
    assert "exception" not in pod.stderr().lower()


@pytest.mark.parametrize(
    "portion",
    [pytest.param(10, id="small"), pytest.param(1, id="full", marks=pytest.mark.load)],
)
@pytest.mark.parametrize(("begin", "part", "megabytes"), BODIES)
def test_body_is_let_go_as_it_comes(
    pod: PodProcess, begin: bytes, part: bytes, megabytes: int, portion: int
) -> None:
    megabytes /= portion
    pod.preflight()
    before = memory(pod, "VmRSS")
    sent, _ = flood(pod, begin, part, megabytes)
    assert sent >= megabytes * MB
    assert memory(pod, "VmHWM") - before < MOST_KIB
    assert "exception" not in pod.stderr().lower()


def test_unfinished_heads_of_many_lines_are_refused_before_they_cost_memory(
    pod: PodProcess,
) -> None:
    pod.preflight()
    before = memory(pod, "VmRSS")
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 15_500
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", pod.port), timeout=20))
            for _ in range(100)
        ]
        for client in clients:
            # The pod closes while data is still in flight, so the connection is reset.
            with contextlib.suppress(ConnectionError):
                client.sendall(head)
        received = []
        for client in clients:
            with contextlib.suppress(ConnectionResetError):
                received.append(client.recv(1000))
    assert b"HTTP/1.1 431 " in {answer[:13] for answer in received}
    assert memory(pod, "VmHWM") - before < MOST_KIB


def lines(count: int) -> bytes:
    return b"a:\r\n" * count


# HEAD has three lines itself, CHUNKED four.
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(HEAD + lines(125) + b"\r\n", [204], id="128 lines"),
        pytest.param(HEAD + lines(126) + b"\r\n", [431], id="129 lines"),
        pytest.param(HEAD + lines(127), [431], id="more lines so far"),
        pytest.param(REQUEST + HEAD + lines(127), [204, 431], id="lines of a second head"),
        pytest.param(CHUNKED + b"0\r\n" + lines(124) + b"\r\n", [204], id="128 with trailers"),
        pytest.param(
            CHUNKED + b"0\r\n" + lines(125) + b"\r\n", [204, None], id="129 with trailers"
        ),
        pytest.param(CHUNKED + b"0\r\n" + lines(126), [204, None], id="more trailers so far"),
    ],
)
def test_lines_of_a_head_and_its_trailers_are_bounded_in_number(
    pod: PodProcess, data: bytes, expected: list[int | None]
) -> None:
    with socket.create_connection(("127.0.0.1", pod.port), timeout=20) as client:
        received = b""
        with contextlib.suppress(ConnectionResetError):
            client.sendall(data)
            # A refused connection is closed; an answered one stays open.
            while part := client.recv(65536):
                received += part
                if statuses(received) == expected == [204]:
                    client.sendall(REQUEST)
                    assert client.recv(65536).startswith(b"HTTP/1.1 204 ")
                    break
            else:
                assert expected != [204]
    assert statuses(received) == [status for status in expected if status]


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", received)]


def test_requests_do_not_pile_up_once_a_client_has_not_read(pod: PodProcess) -> None:
    pod.preflight()
    before = memory(pod, "VmRSS")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.connect(("127.0.0.1", pod.port))
        client.setblocking(False)
        block = memoryview(SHORT * (MB // len(SHORT)))
        left = block
        stalled, sent, answers = False, 0, 0
        deadline = time.monotonic() + 60
        while answers < 2_000:
            assert time.monotonic() < deadline
            _, writable, _ = select.select([client], [client], [], 0.2)
            if writable:
                sent += (taken := client.send(left))
                left = left[taken:] or block
            # Read nothing until the pod has stopped reading, then everything.
            stalled = stalled or not writable
            while stalled:
                try:
                    answers += client.recv(1 << 18).count(b"HTTP/1.1 ")
                except BlockingIOError:
                    break
    assert memory(pod, "VmHWM") - before < MOST_KIB
    assert pod.preflight().status == 204
