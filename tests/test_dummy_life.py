"""From SIGTERM to the end, with one process and with several."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.dummy_process import INSTALLED, PLAIN, UI, preflight_fields, running

both = pytest.mark.parametrize("start", [INSTALLED, PLAIN], ids=["extra", "plain install"])
counts = pytest.mark.parametrize("workers", ["1", "2"])


@both
@counts
def test_sigterm_drains_and_ends_it_with_0_in_time(start: tuple[str, ...], workers: str) -> None:
    with (
        running("--workers", workers, drain="3", start=start) as pod,
        closing(http.client.HTTPConnection("127.0.0.1", pod.port, timeout=20)) as kept,
    ):

        def is_closed_by_the_next_answer() -> bool:
            kept.request("OPTIONS", "/", headers=preflight_fields())
            answer = kept.getresponse()
            assert (answer.status, answer.read()) == (204, b"")
            return answer.getheader("connection") == "close"

        assert not is_closed_by_the_next_answer()
        began = time.monotonic()
        pod.signal(signal.SIGTERM)
        pod.await_(lambda: pod.admin("/readyz").status == 503)
        assert pod.admin("/readyz").text == "draining\n"
        # New connections are still answered, and every answer closes its connection. Each process
        # receives the signal by itself, so this one may do so a little later.
        pod.await_(is_closed_by_the_next_answer)
        pod.await_(lambda: pod.preflight().headers.get("connection") == "close")
        assert pod.wait() == 0
        assert time.monotonic() - began > 2
        assert pod.process.returncode == 0
        assert "Traceback" not in pod.stderr()


@counts
@pytest.mark.parametrize(
    "signals",
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)],
    ids=["second SIGTERM", "SIGINT"],
)
def test_it_ends_at_once_when_told_so(signals: tuple[signal.Signals, ...], workers: str) -> None:
    with running("--workers", workers, drain="600") as pod:
        for number in signals:
            pod.signal(number)
            time.sleep(0.3)  # two equal signals at once count as one
        assert pod.wait() == 0


YOUNG_WORKER = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
from meshcors.dummy._workers import run_processes

def main(parent):
    print("started", flush=True)
    time.sleep(600)

run_processes([main], lambda number: None, 600)
"""


def test_sigint_ends_a_worker_that_does_not_serve_yet() -> None:
    """Also in a pod that a shell runs in the background, with SIGINT ignored."""
    with subprocess.Popen([sys.executable, "-c", YOUNG_WORKER], stdout=subprocess.PIPE) as pod:
        assert pod.stdout is not None
        try:
            assert pod.stdout.readline() == b"started\n"
            pod.send_signal(signal.SIGINT)
            assert pod.wait(60) == 0
        finally:
            pod.kill()


def test_connection_that_is_kept_alive_does_not_hold_up_the_end() -> None:
    with running() as pod, socket.create_connection(("127.0.0.1", pod.port)) as idle:
        idle.sendall(b"OPTIONS / HTTP/1.1\r\nHost: x\r\n")  # never ended
        pod.signal(signal.SIGTERM)
        assert pod.wait() == 0


def test_connections_that_are_silent_are_closed_after_keep_alive() -> None:
    with running("--keep-alive", "1") as pod:
        with socket.create_connection(("127.0.0.1", pod.port), timeout=20) as silent:
            assert silent.recv(1) == b""
        with socket.create_connection(("127.0.0.1", pod.port), timeout=20) as slow:
            slow.sendall(b"OPTIONS / HTTP/1.1\r\nHo")
            assert slow.recv(1) == b""
        assert pod.preflight().status == 204


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_worker_that_dies_is_replaced_and_its_counts_are_kept() -> None:
    with running("--workers", "2") as pod:
        for _ in range(20):
            assert pod.preflight().status == 204
        # An answer is counted after it has been sent.
        pod.await_(lambda: pod.metric('meshcors_preflights_total{reason="allowed"}') == 20)
        workers = children(pod.process.pid)[:2]
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        pod.await_(lambda: pod.admin("/readyz").status == 503)
        pod.await_(lambda: pod.admin("/readyz").status == 200)
        assert pod.preflight().status == 204
        pod.await_(lambda: pod.metric('meshcors_preflights_total{reason="allowed"}') == 21)
        ended = [line for line in pod.log() if line["message"] == "a worker process exited"]
        assert [line["exit_code"] for line in ended] == [-signal.SIGKILL] * 2


def test_workers_show_their_refusals_and_numbers_in_one_place() -> None:
    with running("--workers", "2") as pod:
        for number in range(20):
            pod.preflight(origin=f"https://evil-{number:02}.example")
        name = 'meshcors_preflights_total{reason="origin_not_allowed"}'
        pod.await_(lambda: pod.metric(name) == 20)
        pod.await_(lambda: pod.admin("/").text.count("https://evil-") == 20)


def test_workers_end_when_their_parent_is_killed() -> None:
    with running("--workers", "2") as pod:
        orphans = children(pod.process.pid)
        assert len(orphans) == 3
        pod.process.kill()
        pod.process.wait(20)
        deadline = time.monotonic() + 60
        while any(_runs(pid) for pid in orphans):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_log_says_why_and_for_whom_an_answer_was_no() -> None:
    with running() as pod:
        fields = preflight_fields("https://evil.example")
        ids = {"X-Request-Id": "id-1", "Traceparent": "00-4bf92f35-00f067aa-01"}
        pod.ask("OPTIONS", "/v1%0A%1B[31m", {**fields, **ids})
        pod.await_(lambda: '"refused"' in pod.stderr())
        (line,) = [line for line in pod.log() if line["message"] == "refused"]
        assert line["reason"] == "origin_not_allowed"
        assert line["path"] == "/v1\n\x1b[31m"
        assert "\x1b" not in pod.stderr()
        assert line["origin"] == "https://evil.example"
        assert (line["request_id"], line["traceparent"]) == ("id-1", ids["Traceparent"])
        assert pod.preflight().status == 204
        assert len([line for line in pod.log() if line["message"] == "answered"]) == 0


def test_access_log_has_a_line_for_every_answer_in_text_too() -> None:
    with running("--access-log", "--log-format", "text") as pod:
        pod.preflight()
        pod.await_(lambda: "answered" in pod.stderr())
        (line,) = [line for line in pod.stderr().splitlines() if " answered " in line]
        assert "status=204 reason=allowed method=OPTIONS path=/v1/chat" in line
        assert f"origin={UI}" in line
