"""Connections are kept up to a limit, the longest idle are closed first, probes get through."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.dummy_process import INSTALLED, PLAIN, UI, PodProcess, run, running

REQUEST = (
    b"OPTIONS /v1 HTTP/1.1\r\nHost: x\r\nOrigin: https://ui.example\r\n"
    b"Access-Control-Request-Method: POST\r\n\r\n"
)
FEW_FILES = ("bash", "-c", 'ulimit -n 64; exec "$@"', "bash")
IDLE = 120

both = pytest.mark.parametrize("start", [INSTALLED, PLAIN], ids=["extra", "plain install"])
counts = pytest.mark.parametrize("workers", ["1", "2"])


def connect(pod: PodProcess, port: int | None = None) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port or pod.port), timeout=20)


def ask(client: socket.socket) -> bool:
    client.sendall(REQUEST)
    return client.recv(65536).startswith(b"HTTP/1.1 204 ")


def is_open(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        return client.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


def is_well(pod: PodProcess) -> None:
    assert pod.preflight().status == 204
    assert pod.admin("/healthz").status == 200
    assert pod.admin("/readyz").status == 200


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def assert_nothing_went_wrong(pod: PodProcess) -> None:
    assert [line for line in pod.log() if line["level"] == "error"] == []


@both
@counts
def test_idle_clients_without_end_keep_nobody_out(start: tuple[str, ...], workers: str) -> None:
    with running("--workers", workers, start=start, before=FEW_FILES) as pod:
        with contextlib.ExitStack() as idle:
            for number in range(IDLE):
                idle.enter_context(connect(pod))
                if number % 10 == 0:
                    is_well(pod)
            for _ in range(10):
                is_well(pod)
            # The admin port has a limit of its own.
            for number in range(IDLE):
                idle.enter_context(connect(pod, pod.admin_port))
                if number % 10 == 0:
                    is_well(pod)
            assert pod.admin("/metrics").status in (200, 501)
            assert_nothing_went_wrong(pod)
            pod.await_(lambda: "to make room" in pod.stderr())
            said = [line for line in pod.log() if "to make room" in line["message"]]
            assert all(line["max_connections"] < IDLE for line in said)
        is_well(pod)


@both
def test_clients_that_all_come_at_once_keep_nobody_out(start: tuple[str, ...]) -> None:
    with running(start=start, before=FEW_FILES) as pod, contextlib.ExitStack() as idle:
        clients = [idle.enter_context(socket.socket()) for _ in range(IDLE)]
        for client in clients:
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(("127.0.0.1", pod.port))
        is_well(pod)
        assert_nothing_went_wrong(pod)
        assert descriptors(pod.process.pid) < 64


@both
def test_the_longest_idle_connection_goes_first(start: tuple[str, ...]) -> None:
    with running("--max-connections", "3", start=start) as pod, contextlib.ExitStack() as opened:
        first, second, third = (opened.enter_context(connect(pod)) for _ in range(3))
        for client in (first, second, third, first):
            assert ask(client)
        fourth = opened.enter_context(connect(pod))
        assert ask(fourth)
        assert not is_open(second)
        assert all(is_open(client) for client in (third, first, fourth))
        # A connection without a request counts from its beginning, as does one with a slow request.
        fifth = opened.enter_context(connect(pod))
        fifth.sendall(REQUEST[:9])
        assert not is_open(third)
        assert ask(first)
        assert ask(fourth)
        assert ask(opened.enter_context(connect(pod)))
        assert not is_open(fifth)
        assert ask(first)


@both
def test_a_thousand_that_come_and_go_leave_nothing_behind(start: tuple[str, ...]) -> None:
    with running(start=start, before=FEW_FILES) as pod:
        is_well(pod)
        time.sleep(0.2)
        before = descriptors(pod.process.pid)
        for number in range(1000):
            with connect(pod) as client:
                if number % 3 == 0:
                    client.sendall(REQUEST[: number % len(REQUEST)])
                if number % 2:
                    # Reset, not closed.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        is_well(pod)
        pod.await_(lambda: descriptors(pod.process.pid) <= before)
        assert_nothing_went_wrong(pod)


@both
def test_half_closed_connection_is_answered_and_ends(start: tuple[str, ...]) -> None:
    with running("--keep-alive", "1", start=start) as pod, connect(pod) as client:
        client.sendall(REQUEST)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while part := client.recv(65536):
            received += part
        assert received.startswith(b"HTTP/1.1 204 ")


def deaf(pod: PodProcess) -> socket.socket:
    """A client that sends requests and never reads an answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", pod.port))
    client.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while True:
            client.sendall(REQUEST * 1000)
    return client


@both
def test_client_that_never_reads_is_cut_off(start: tuple[str, ...]) -> None:
    with running("--keep-alive", "1", start=start) as pod:
        before = descriptors(pod.process.pid)
        with deaf(pod):
            pod.await_(lambda: descriptors(pod.process.pid) <= before)
        is_well(pod)
        assert_nothing_went_wrong(pod)


@both
def test_client_that_is_gone_before_its_answers_is_no_fault(start: tuple[str, ...]) -> None:
    with running(start=start) as pod:
        deaf(pod).close()
        is_well(pod)
        assert_nothing_went_wrong(pod)


@both
def test_client_that_never_reads_makes_room(start: tuple[str, ...]) -> None:
    flags = ("--max-connections", "1")
    with running(*flags, start=start) as pod, deaf(pod):
        pod.await_(lambda: answers(pod))
        with connect(pod), connect(pod) as other:
            assert ask(other)


def answers(pod: PodProcess) -> bool:
    # While this one is answered, the other one is not the longest idle.
    with contextlib.suppress(OSError):
        return pod.preflight().status == 204
    return False


@both
def test_it_ends_in_time_whoever_is_connected(start: tuple[str, ...]) -> None:
    with (
        running(start=start, before=FEW_FILES, drain="0.5") as pod,
        contextlib.ExitStack() as opened,
    ):
        for _ in range(IDLE):
            opened.enter_context(connect(pod))
        opened.enter_context(deaf(pod))
        began = time.monotonic()
        pod.signal(15)
        assert pod.wait() == 0
        assert time.monotonic() - began < 10
        assert "Traceback" not in pod.stderr(), pod.stderr()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        pytest.param(("--max-connections", "26"), None, id="as many as there is room for"),
        pytest.param(
            ("--max-connections", "1000"),
            "--max-connections: the limit on open files leaves room for",
            id="more",
        ),
        pytest.param(("--max-connections", "0"), "--max-connections: write a whole number", id="0"),
    ],
)
def test_more_connections_than_files_may_be_open_are_refused(
    flags: tuple[str, ...], said: str | None
) -> None:
    if said is None:
        with running(*flags, before=FEW_FILES) as pod:
            is_well(pod)
        return
    ended = run("--allow-origin", UI, "--port", "0", "--admin-port", "0", *flags, before=FEW_FILES)
    assert ended.returncode == 2
    assert said in ended.stderr.splitlines()[-1]
