"""The pod as Kubernetes runs it: as another user, on a read-only root, with little memory."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.dummy_process import INSTALLED, POLICY_FLAGS, environment, running

SANDBOX = (
    *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
    *("--unshare-user", "--uid", "65532", "--gid", "65532", "--die-with-parent", "--"),
)
# As process 1 of a container, which the kernel spares every signal that it does not handle.
AS_PROCESS_1 = (*SANDBOX[:-1], "--unshare-pid", "--as-pid-1", "--")
MOST_IDLE_MIB = 40


@pytest.fixture(scope="module")
def sandbox() -> None:
    if shutil.which("bwrap") is None:
        message = "bwrap missing: apt-get install bubblewrap"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_runs_as_nobody_on_a_root_that_is_read_only(workers: str) -> None:
    with running("--workers", workers, before=SANDBOX) as pod:
        assert pod.preflight().status == 204
        assert pod.admin("/metrics").status == 200
        (pid, *_) = _children(pod.process.pid)
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Traceback" not in pod.stderr()
        assert "python" in status.splitlines()[0]
        os.kill(pid, signal.SIGTERM)
        assert pod.wait() == 0


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("milliseconds", [0, 15, 30, 45, 60, 80, 100, 125, 150, 200, 250, 300, 400])
def test_process_1_ends_with_0_whenever_sigterm_arrives(workers: str, milliseconds: int) -> None:
    command = [sys.executable, *INSTALLED, *POLICY_FLAGS, "--port", "0", "--admin-port", "0"]
    pod = subprocess.Popen(
        [*AS_PROCESS_1, *command, "--drain", "0", "--workers", workers],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with pod:
        try:
            while not (found := _children(pod.pid)):
                pass
            (pid,) = found
            time.sleep(milliseconds / 1000)
            # Until Python itself runs, nobody can handle it: then it is sent again.
            while not _handles_sigterm(pid):
                time.sleep(0.005)
            os.kill(pid, signal.SIGTERM)
            _, stderr = pod.communicate(timeout=20)
        finally:
            pod.kill()
    assert (pod.returncode, "Traceback" in stderr) == (0, False), stderr


def test_sigterm_is_handled_before_anything_is_imported() -> None:
    for start in (
        "sys.argv[1:1] = []; runpy.run_module('meshcors.dummy', run_name='__main__')",
        "sys.argv[1:1] = ['dummy']; runpy.run_module('meshcors', run_name='__main__')",
    ):
        done = subprocess.run(
            [sys.executable, "-c", IMPORTED_BEFORE + start, "--check", *POLICY_FLAGS],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert set(done.stderr.split()) <= EARLY, done.stderr


# Prints what is imported while SIGTERM still ends the process, or is ignored.
IMPORTED_BEFORE = """
import runpy, signal, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            print(name, file=sys.stderr)
sys.meta_path.insert(0, Watch())
"""
EARLY = {"meshcors", "meshcors.__main__", "meshcors.dummy", "meshcors.dummy.__main__"}


def test_idle_memory_is_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    # Measuring coverage takes memory, too.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    with running() as pod:
        status = Path(f"/proc/{pod.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    assert int(found[1]) <= MOST_IDLE_MIB * 1024


def _handles_sigterm(pid: int) -> bool:
    """Tell whether it is caught, or blocked: then it is kept until somebody asks."""
    status = Path(f"/proc/{pid}/status").read_text()
    return any(
        int(mask, 16) >> signal.SIGTERM - 1 & 1
        for mask in re.findall(r"^Sig(?:Cgt|Blk):\s+(\w+)", status, re.MULTILINE)
    )


def _children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
