"""Run as a script: keeps a process and its directory only as long as whoever started this lives.

``python _keeper.py COMMAND...`` reads one line, makes a directory, writes the line to the file
``config.json`` there, and starts the command in it; what that prints is in ``log``. It prints the
process id and the directory, and waits for the end of its input. That comes with the end of the
parent, be it by a signal that nobody can catch. Then it stops the command and removes the
directory. If the command ends by itself, the file ``running`` goes, which needs no space on a
full disk, and the exit code is in ``ended``. Where no directory can be made, it prints ``!`` and
the reason.

Should a signal kill this process too, Linux ends the command; then the directory stays.

Only the standard library: the interpreter starts without site-packages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 5.0
# linux/prctl.h
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Keep the process that the arguments name."""
    config = sys.stdin.buffer.readline()
    with contextlib.ExitStack() as made:
        try:
            home = Path(tempfile.mkdtemp(prefix="meshcors-"))
            made.callback(shutil.rmtree, home, ignore_errors=True)
            (home / "config.json").write_bytes(config)
            (home / "running").touch()
            log = made.enter_context((home / "log").open("wb"))
        except OSError as error:
            # without any usable directory, the reason names those that were tried
            where = f" in {tempfile.gettempdir()}" if tempfile.tempdir else ""
            _say(f"! no temporary file can be made{where}: {error.strerror}")
            return
        _keep(home, log.fileno())


def _keep(home: Path, log: int) -> None:
    try:
        process = subprocess.Popen(  # noqa: S603 - what the package's own code asks for
            sys.argv[1:],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
            preexec_fn=_die_with_parent() if sys.platform == "linux" else None,
        )
    except OSError as error:
        with contextlib.suppress(OSError):
            os.write(log, f"{sys.argv[1]}: {error.strerror}\n".encode())
        _note_end(home, 127)
        _say(f"0 {home}")
        sys.stdin.buffer.read()
        return
    watch = threading.Thread(target=_watch, args=(process, home), daemon=True)
    watch.start()
    try:
        _say(f"{process.pid} {home}")
        sys.stdin.buffer.read()
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        watch.join(SECONDS)


def _die_with_parent() -> Callable[[], object] | None:
    """Return what has Linux end the process that calls it if a signal kills this keeper."""
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(process: subprocess.Popen[bytes], home: Path) -> None:
    _note_end(home, process.wait())


def _note_end(home: Path, code: int) -> None:
    with contextlib.suppress(OSError):
        (home / "ended").write_text(str(code), encoding="ascii")
    with contextlib.suppress(OSError):
        (home / "running").unlink()


def _say(line: str) -> None:
    # nobody reads it if the parent has ended
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
