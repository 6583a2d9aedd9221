"""What no browser sends gets a 4xx or a closed connection, never a 5xx, and the pod goes on."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.dummy_process import INSTALLED, PLAIN, PodProcess, running

PREFLIGHT = (
    b"OPTIONS /v1 HTTP/1.1\r\nHost: x\r\nOrigin: https://ui.example\r\n"
    b"Access-Control-Request-Method: POST\r\n"
)


@pytest.fixture(scope="module", params=[INSTALLED, PLAIN], ids=["extra", "plain install"])
def pod(request: pytest.FixtureRequest) -> Iterator[PodProcess]:
    with running(start=request.param) as started:
        yield started


def exchange(pod: PodProcess, data: bytes, *, end: bool = True) -> bytes:
    """Send bytes, and the `end` of them, and return all that comes back until the pod closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", pod.port), timeout=20) as client:
        # The pod may close while data is still in flight.
        with contextlib.suppress(OSError):
            client.sendall(data)
            if end:
                client.shutdown(socket.SHUT_WR)
        client.settimeout(2)
        with contextlib.suppress(OSError):
            while part := client.recv(65536):
                received += part
    return received


def statuses(received: bytes) -> list[int]:
    return [int(part.split(b" ", 1)[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


def head(*lines: bytes) -> bytes:
    return PREFLIGHT + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 with prior knowledge"),
        pytest.param(bytes(range(256)) * 40, id="garbage"),
        pytest.param(b"\x00" * 5000, id="zeros"),
        pytest.param(b"GET\r\n\r\n", id="no target"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", id="unknown version"),
        pytest.param(
            b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", id="CONNECT"
        ),
        pytest.param(b"OPTIONS /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", id="bytes in the target"),
        pytest.param(head(b"Bad Name: x"), id="space in a name"),
        pytest.param(head(b"X-A: a\x00b"), id="zero in a value"),
        pytest.param(head(b"X-A: " + b"a" * 1_000_000), id="1 MB header line"),
        pytest.param(head(b"A" * 1_000_000 + b": a"), id="1 MB header name"),
        pytest.param(head(*(b"X-%d: a" % n for n in range(50_000))), id="50,000 header lines"),
        pytest.param(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n", id="1 MB target"),
        pytest.param(
            head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", id="CL.TE"
        ),
        pytest.param(head(b"Content-Length: 5", b"Content-Length: 6") + b"aaaaa", id="two lengths"),
        pytest.param(head(b"Content-Length: -1"), id="negative length"),
        pytest.param(head(b"Content-Length: 9" + b"9" * 40), id="enormous length"),
        pytest.param(head(b"Transfer-Encoding: chunked, identity"), id="identity last"),
        pytest.param(head(b"Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n", id="smuggled TE"),
        pytest.param(b"OPTIONS / HTTP/1.1\nHost: x\n Origin: folded\n\n", id="folded line"),
    ],
)
def test_malformed_is_a_4xx_or_a_closed_connection(pod: PodProcess, data: bytes) -> None:
    received = exchange(pod, data)
    assert all(400 <= status < 500 or status == 204 for status in statuses(received)), received
    # What can be read as a request may be answered, but nothing after it.
    assert len(statuses(received)) <= 2
    assert pod.preflight().status == 204


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n", id="target"),
        pytest.param(head(b"X-A: " + b"a" * 1_000_000), id="line"),
        pytest.param(head(*(b"X-%d: a" % n for n in range(50_000))), id="lines"),
    ],
)
def test_large_head_is_never_answered_as_a_request(pod: PodProcess, data: bytes) -> None:
    assert all(400 <= status < 500 for status in statuses(exchange(pod, data)))


def test_head_of_64_kilobytes_is_answered(pod: PodProcess) -> None:
    received = exchange(pod, head(*(b"X-%d: %s" % (n, b"a" * 1000) for n in range(55))))
    assert statuses(received) == [204]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(
            PREFLIGHT.replace(b" /v1 ", b" http://other.example/v1 ") + b"\r\n", 204, id="absolute"
        ),
        pytest.param(PREFLIGHT.replace(b" /v1 ", b" * ") + b"\r\n", 204, id="asterisk"),
        pytest.param(PREFLIGHT.replace(b" /v1 ", b" /%FF%FE%00 ") + b"\r\n", 204, id="bad UTF-8"),
        pytest.param(PREFLIGHT.replace(b"1.1", b"1.0") + b"\r\n", 204, id="HTTP/1.0"),
        pytest.param(
            head(b"Expect: 100-continue", b"Content-Length: 5") + b"aaaaa", 204, id="expect"
        ),
        pytest.param(head(b"Connection: Upgrade", b"Upgrade: h2c"), 204, id="h2c is not taken up"),
        pytest.param(head(b"Connection: Upgrade", b"Upgrade: websocket"), 204, id="WebSocket"),
        pytest.param(head(b"Content-Length: 500000") + b"a" * 500_000, 204, id="body"),
        pytest.param(
            head(b"Transfer-Encoding: chunked") + b"5\r\naaaaa\r\n0\r\n\r\n", 204, id="chunks"
        ),
        pytest.param(
            PREFLIGHT.replace(b"https://ui.example", b"\xff\xfe\xe9") + b"\r\n", 403, id="origin"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nmodel-api-key: \xff\xfe\r\n\r\n", 404, id="key's bytes"
        ),
    ],
)
def test_odd_but_well_formed_is_answered(pod: PodProcess, data: bytes, expected: int) -> None:
    received = exchange(pod, data)
    assert [status for status in statuses(received) if status != 100] == [expected], received


def test_pipelined_requests_are_answered_in_order(pod: PodProcess) -> None:
    one, other = PREFLIGHT + b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    last = other.replace(b"Host", b"Connection: close\r\nHost")
    received = exchange(pod, (one + other) * 499 + one + last, end=False)
    assert statuses(received) == [204, 401] * 500


def test_pipelining_without_reading_waits_for_the_reader(pod: PodProcess) -> None:
    count = 10_000
    with socket.socket() as client:
        # Small buffers, so that the pod soon cannot write.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.connect(("127.0.0.1", pod.port))
        client.setblocking(False)
        left = memoryview((PREFLIGHT + b"\r\n") * count)
        received = bytearray()
        deadline = time.monotonic() + 60
        stalled = False
        while received.count(b"HTTP/1.1 204 ") < count:
            assert time.monotonic() < deadline
            try:
                left = left[client.send(left[: 1 << 16]) :] if left else left
            except BlockingIOError:
                stalled = True
                # Begin to read only now: the pod could not write, and so stopped reading.
                with contextlib.suppress(BlockingIOError):
                    while True:
                        received += client.recv(1 << 16)
            if not left:
                time.sleep(0.01)
                with contextlib.suppress(BlockingIOError):
                    received += client.recv(1 << 20)
        assert received.count(b"HTTP/1.1 ") == count
        assert stalled
    assert pod.preflight().status == 204


def post(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_bytes_that_wait_for_an_answer_stay_in_front_of_those_that_come_later(
    pod: PodProcess,
) -> None:
    first = post(b"origin=a&")
    last = b"GET /missing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    # The end of the second body looks like a request. It begins with the pod's second slice of
    # 4 KiB, so it is held until the first request is answered.
    looks_like_one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    filling = 4096 - len(first) - (len(post(b"a" * 4000)) - 4000)
    second = post(b"url=" + b"a" * (filling - 4) + looks_like_one)
    with socket.create_connection(("127.0.0.1", pod.admin_port), timeout=20) as client:
        client.sendall(first + second)
        time.sleep(0.3)
        client.sendall(last)
        received = b"".join(iter(lambda: client.recv(65536), b""))
    assert statuses(received) == [200, 200, 404]


@pytest.mark.parametrize("gap", [0, 0.03, 0.2])
def test_pipelined_forms_in_pieces_are_all_answered(pod: PodProcess, gap: float) -> None:
    with socket.create_connection(("127.0.0.1", pod.admin_port), timeout=20) as client:
        received = b""
        client.sendall(post(b"origin=a&method=M0&url=" + b'"' * 12_000))
        time.sleep(gap)
        client.sendall(post(b"origin=a&method=M1&url=" + b'"' * 12_000))
        while received.count(b"</html>") < 2:
            received += client.recv(65536)
    assert [part[:1] for part in received.split(b'value="M')[1:]] == [b"0", b"1"]


def test_slow_connections_hold_nobody_up(pod: PodProcess) -> None:
    slow = [socket.create_connection(("127.0.0.1", pod.port), timeout=20) for _ in range(100)]
    try:
        for sent in range(3):
            for client in slow:
                client.sendall(PREFLIGHT[sent : sent + 1])
            for _ in range(20):
                assert pod.preflight().status == 204
    finally:
        for client in slow:
            client.close()


def test_nothing_of_this_was_a_fault_of_the_pod(pod: PodProcess) -> None:
    exchange(pod, b"garbage\r\n\r\n")
    assert "Traceback" not in pod.stderr()
    assert "exception" not in pod.stderr()
    assert pod.admin("/healthz").status == 200
