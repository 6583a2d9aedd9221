"""Run as a script: keeps a process and its directory only as long as whoever started this lives.

``python _keeper.py COMMAND...`` reads one line, makes a directory, writes the line to the file
``config.json`` there, and starts the command in it; what that prints is in ``log``. It prints the
process id and the directory, and waits for the end of its input. That comes with the end of the
parent, be it by a signal that nobody can catch. Then it stops the command and removes the
directory. If the command ends by itself, its exit code is in ``ended`` until then.

Only the standard library: the interpreter starts without site-packages.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SECONDS = 5.0


def main() -> None:
    """Keep the process that the arguments name."""
    config = sys.stdin.buffer.readline()
    home = Path(tempfile.mkdtemp(prefix="meshcors-"))
    try:
        (home / "config.json").write_bytes(config)
        with (home / "log").open("wb") as log:
            _keep(home, log.fileno())
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _keep(home: Path, log: int) -> None:
    try:
        process = subprocess.Popen(  # noqa: S603 - what the package's own code asks for
            sys.argv[1:],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
        )
    except OSError as error:
        (home / "log").write_text(f"{sys.argv[1]}: {error.strerror}\n", encoding="utf-8")
        (home / "ended").write_text("127", encoding="ascii")
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


def _watch(process: subprocess.Popen[bytes], home: Path) -> None:
    code = process.wait()
    with contextlib.suppress(OSError):
        (home / "ended").write_text(str(code), encoding="ascii")


def _say(line: str) -> None:
    # nobody reads it if the parent has ended
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
