"""A process of our own with a directory, both of which end with this process, however it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEEPER: Final = Path(__file__).with_name("_keeper.py")
_SECONDS: Final = 20.0


class KeptProcess:
    """A command that runs in a new directory, with ``config`` in its file ``config.json``.

    ``config`` is one line, ``env`` the environment, by default this process's. What the command
    prints is ``log``. `stop` ends it and removes the directory; so does the end of this process, by
    whatever signal. Raises `OSError` with the reason, in words, if nothing can be started.
    """

    def __init__(
        self,
        command: list[str],
        config: bytes = b"{}",
        *,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._keeper = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-I", "-S", str(_KEEPER), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C in a terminal is for this process, which then ends the other
            start_new_session=True,
            env=env,
        )
        self._last_log = ""
        try:
            pid, _, home = self._exchange(config).partition(" ")
        except BaseException:
            self._end()
            raise
        self.pid, self.home = int(pid), Path(home)

    def _exchange(self, config: bytes) -> str:
        assert self._keeper.stdin is not None  # noqa: S101 - pipes were asked for
        assert self._keeper.stdout is not None  # noqa: S101
        self._keeper.stdin.write(config + b"\n")
        self._keeper.stdin.flush()
        line = self._keeper.stdout.readline().decode().rstrip("\n")
        if not line:
            raise OSError("the process that keeps others has ended")
        if line.startswith("! "):
            raise OSError(line[2:])
        return line

    @property
    def log(self) -> str:
        """What it printed so far, on stdout and stderr; after `stop`, all of it."""
        with contextlib.suppress(OSError):
            self._last_log = (self.home / "log").read_text(encoding="utf-8", errors="replace")
        return self._last_log

    @property
    def has_ended(self) -> bool:
        """Whether it no longer runs."""
        return not (self.home / "running").exists() or self._keeper.poll() is not None

    @property
    def silence(self) -> str:
        """What to say of it if its log is empty: where a disk is full, no log can be written."""
        where = self.home.parent
        is_full = where.exists() and not shutil.disk_usage(where).free
        return f"no space is left in {where}" if is_full else "it said nothing"

    @property
    def exit_code(self) -> int | None:
        """The exit code of a process that ended by itself; negative for a signal."""
        with contextlib.suppress(OSError, ValueError):  # not there, or not written to its end
            return int((self.home / "ended").read_text(encoding="ascii"))
        return None

    def stop(self) -> None:
        """End it and remove its directory; a second time, nothing happens."""
        _ = self.log  # kept, as the file goes
        self._end()
        if self._keeper.returncode < 0:
            self._end_without_keeper()

    def _end_without_keeper(self) -> None:
        """End what the keeper no longer ends: a signal has killed it."""
        if self.pid and (self.home / "running").exists():
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)

    def _end(self) -> None:
        for pipe in (self._keeper.stdin, self._keeper.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._keeper.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
