"""Several processes on one machine: workers that answer, one that oversees, a parent that waits.

The parent forks before there is a loop or a thread. It passes signals on, replaces a worker that
died, and ends when all have ended. More machines are Kubernetes' job.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Final

from meshcors.dummy._logs import log

# To a process that died at once, before its replacement.
_RESPITE: Final = 1.0
_PASSED_ON: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_ENDS: Final = frozenset({signal.SIGTERM, signal.SIGINT})


def run_processes(mains: list[Callable[[int], None]], when_gone: Callable[[int], None]) -> None:
    """Run each of `mains` in a process of its own until a signal ends them all.

    Each is called with a file descriptor that reads as ended once this process is gone. `when_gone`
    is told the place in `mains` of a process that has ended. Linux and other POSIX systems.
    """
    signals = _PASSED_ON | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    ended, parent = os.pipe()
    running: dict[int, int] = {}
    stopping = False

    def start(place: int, respite: float) -> None:
        pid = os.fork()
        if pid:
            running[pid] = place
            return
        # The child never returns from here: whatever happens, it ends.
        status = 1
        try:
            os.close(parent)
            time.sleep(respite)
            # Nothing to reload yet; its default would end the process.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            mains[place](ended)
            status = 0
        except Exception:
            logging.getLogger("meshcors.dummy").exception("a process of the pod failed")
        finally:
            os._exit(status)

    for place in range(len(mains)):
        start(place, 0)
    while running:
        received = signal.sigwait(signals)
        if received in _PASSED_ON:
            stopping = stopping or received in _ENDS
            for pid in running:
                os.kill(pid, received)
        for pid, status in _ended_children():
            place = running.pop(pid)
            when_gone(place)
            if not stopping:
                code = os.waitstatus_to_exitcode(status)
                log(logging.ERROR, "a process of the pod ended", pid=pid, exit_code=code)
                start(place, _RESPITE)


def _ended_children() -> list[tuple[int, int]]:
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended.append((pid, status))
