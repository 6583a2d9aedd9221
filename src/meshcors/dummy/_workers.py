"""Several processes on one machine: a parent that forks them and replaces those that die.

The parent forks before there is a loop or a thread. It passes signals on to its children, and ends
when all of them have ended.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import Final, NoReturn

from meshcors.dummy._logs import log

# Seconds before a process that died is replaced: its replacement may die at once too.
_RESTART_AFTER: Final = 1.0
# Seconds of one wait for signals.
_LONG: Final = 3600.0
_PASSED_ON: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_ENDS: Final = frozenset({signal.SIGTERM, signal.SIGINT})


def run_processes(
    mains: list[Callable[[int], None]], when_ended: Callable[[int], None], patience: float
) -> None:
    """Run each of `mains` in a process of its own until a signal ends them all.

    A process that has not ended `patience` seconds after the signal is killed. Each is called with
    a file descriptor that reads as ended once this process is gone, and `when_ended` with the index
    in `mains` of a process that has ended. Linux and other POSIX systems.
    """
    signals = _PASSED_ON | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    ended, parent = os.pipe()
    running: dict[int, int] = {}
    stopping = False
    deadline = inf

    def start(index: int, delay: float) -> None:
        pid = os.fork()
        if pid:
            running[pid] = index
        else:
            os.close(parent)
            _be_child(partial(mains[index], ended), delay, before)

    for index in range(len(mains)):
        start(index, 0)
    while running:
        told = signal.sigtimedwait(signals, min(max(0.0, deadline - monotonic()), _LONG))
        received = told.si_signo if told else None
        if received in _ENDS and not stopping:
            stopping, deadline = True, monotonic() + patience
        passed_on = received if received in _PASSED_ON else None
        if monotonic() >= deadline:
            passed_on = signal.SIGKILL
        if passed_on is not None:
            for pid in running:
                os.kill(pid, passed_on)
        for pid, status in _ended_children():
            index = running.pop(pid)
            when_ended(index)
            if not stopping:
                code = os.waitstatus_to_exitcode(status)
                log(logging.ERROR, "a worker process exited", pid=pid, exit_code=code)
                start(index, _RESTART_AFTER)


def _be_child(main: Callable[[], None], delay: float, mask: Iterable[int]) -> NoReturn:
    """Run `main` after `delay` seconds, with this mask of signals; whatever happens, end."""
    status = 1
    try:
        time.sleep(delay)
        # Nothing to reload yet, and the default handler would end the process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # Ignored where a shell has started the pod in the background: it would be lost until `main`
        # handles it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        main()
        status = 0
    except Exception:
        logging.getLogger("meshcors.dummy").exception("a worker process failed")
    finally:
        os._exit(status)


def _ended_children() -> Iterator[tuple[int, int]]:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended
