"""The pod as Kubernetes runs it: as another user, on a read-only root, with little memory."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.dummy_process import running

SANDBOX = (
    *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
    *("--unshare-user", "--uid", "65532", "--gid", "65532", "--die-with-parent", "--"),
)
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


def test_idle_memory_is_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    # Measuring coverage takes memory, too.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    with running() as pod:
        status = Path(f"/proc/{pod.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    assert int(found[1]) <= MOST_IDLE_MIB * 1024


def _children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
