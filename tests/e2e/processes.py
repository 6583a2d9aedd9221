"""Servers as a user starts them: a command line, awaited until it listens, stopped at the end."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


# Below those that the kernel hands out: nothing that asks for any port gets one of these before
# its server has started. Tests that run side by side begin far from each other.
_FIRST, _MANY = 20_000, 12_000
_numbers = count(random.randrange(_MANY))


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    while True:
        port = _FIRST + next(_numbers) % _MANY
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True)
class Running:
    """A process that serves."""

    process: subprocess.Popen[bytes]
    _output: Path

    @property
    def output(self) -> str:
        """What it printed so far, on stdout and stderr."""
        return self._output.read_text(encoding="utf-8", errors="replace")


@contextmanager
def running(
    command: Sequence[str], port: int, *, env: Mapping[str, str] | None = None, timeout: float = 90
) -> Iterator[Running]:
    """Start ``command``, yield once something listens on ``port``, terminate it at the end.

    ``env`` is added to this process's environment. What the command printed is in the error when
    it ends early or does not listen in time.
    """
    with tempfile.NamedTemporaryFile() as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
        server = Running(process, Path(output.name))
        try:
            _await_listening(process, port, timeout)
        except AssertionError as error:
            raise AssertionError(f"{command}: {error}\n{server.output}") from None
        else:
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=20)


def _await_listening(process: subprocess.Popen[bytes], port: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"ended early with exit code {process.returncode}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"does not listen on port {port} after {timeout:g} s")
