"""Run stacks and write their results and the page: ``python -m tests.stacks --wheel W [NAME...]``.

Each stack gets a virtual environment of its own, with its newest release, which is deleted at the
end. Exit code 1: a cell is not what the stack's file says, or a stack could not be run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.e2e.processes import free_port
from tests.stacks import asking, page
from tests.stacks.stack import Call, Stack, stacks

INSTALL_SECONDS, START_SECONDS = 600, 120


def main() -> int:
    """Run the stacks that are named, or all."""
    known = {stack.name: stack for stack in stacks()}
    parser = argparse.ArgumentParser(prog="stacks")
    parser.add_argument("--wheel", type=Path, required=True, help="meshcors, as users install it")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(known)):
        parser.error(f"no such stack: {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [known[name] for name in given.names or known]
    failed = [stack.name for stack in chosen if not _run(stack, given.wheel.resolve())]
    page.write()
    if failed:
        print(f"not as their files say: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(stack: Stack, wheel: Path) -> bool:
    """Run one stack, keep its result, and tell whether every cell is what its file says."""
    if stack.not_run:
        print(f"{stack.name}: not run: {stack.not_run}")
        return True
    with tempfile.TemporaryDirectory(prefix="meshcors-stack-") as name:
        folder = Path(name)
        try:
            python = _install(stack, wheel, folder)
            port = free_port()
            with _running(stack, python, folder, port) as process:
                _await_answer(stack, process, port)
                cells = asking.cells(stack, port)
            versions = _versions(python, stack.package)
        except (OSError, subprocess.SubprocessError, StackError) as error:
            print(f"{stack.name}: {error}", file=sys.stderr)
            return False
    result = {
        "stack": stack.name,
        "version": versions[0],
        "meshcors": versions[1],
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cells": cells,
    }
    stack.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    wrong = unexpected(stack, cells)
    print(f"{stack.name} {versions[0]}: {len(cells)} cells, {len(wrong)} not as its file says")
    for line in wrong:
        print(f"  {line}", file=sys.stderr)
    return not wrong


def unexpected(stack: Stack, cells: dict[str, dict[str, Any]]) -> list[str]:
    """Every cell that has a fault and should have none, or the other way round."""
    found: list[str] = []
    for name, cell in cells.items():
        call = stack.calls.get(name)
        if isinstance(call, Call) and call.outside:
            # Without a grant, and with the stack's own status all the same.
            as_said = bool(cell["wrong"]) and cell["status"] == call.status
        else:
            as_said = not cell["wrong"]
        if not as_said:
            said = ", ".join(cell["wrong"]) or "covered, though the file says that it is not"
            found.append(f"{name}: {cell['status']}, {said}")
    return found


class StackError(Exception):
    """A stack that does not install or start."""


def _install(stack: Stack, wheel: Path, folder: Path) -> Path:
    """Install the newest release of everything, and return the Python that has it."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        raise StackError("uv is missing: python -m pip install uv")
    python = folder / "venv" / "bin" / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for command in (
        [uv, "venv", "--quiet", f"--python={version}", str(folder / "venv")],
        [uv, "pip", "install", "--quiet", f"--python={python}", str(wheel), *stack.dependencies],
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        if done.returncode:
            raise StackError(f"does not install: {done.stderr.strip()[-2000:]}")
    return python


@contextmanager
def _running(
    stack: Stack, python: Path, folder: Path, port: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the stack in a folder of its own, and end it with everything that it started."""
    # Deep: some put the folder above the one above on the path of modules.
    work = folder / "run" / "work"
    work.mkdir(parents=True)
    # Under this name: a file called as the stack's module would hide it.
    shutil.copy(stack.app, work / "app.py")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MESHCORS_")}
    said = {
        name: value.format(port=port, folder=folder) for name, value in stack.environment.items()
    }
    path = f"{python.parent}{os.pathsep}{kept['PATH']}"
    home = {"PATH": path, "HOME": str(work), "PYTHONUNBUFFERED": "1", "NO_PROXY": "*"}
    command = [each.format(port=port) for each in stack.start]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [shutil.which(command[0], path=path) or command[0], *command[1:]],
            cwd=work,
            env={**kept, **home, **said},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
            if process.poll() is not None:
                raise StackError(f"ended with exit code {process.returncode}")
        except StackError as error:
            said_last = (folder / "output").read_text(errors="replace")[-3000:]
            raise StackError(f"{error}\n{said_last}") from None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group, politely first."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def _await_answer(stack: Stack, process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the call that works is answered as it should be, by the app itself."""
    works = stack.calls["works"]
    assert isinstance(works, Call)
    deadline = time.monotonic() + START_SECONDS
    status, seen = 0, b""
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            answer = asking.send(works, port)
            status, seen = answer.status, answer.body
            if status == works.status:
                return
        time.sleep(0.2)
    if process.poll() is not None:
        raise StackError(f"ended with exit code {process.returncode}")
    shown = seen[:300].decode(errors="replace")
    raise StackError(f"{works.path} still gets {status} after {START_SECONDS} s: {shown}")


def _versions(python: Path, package: str) -> list[str]:
    show = "from importlib.metadata import version as v; import sys; print(*map(v, sys.argv[1:]))"
    command = [python, "-c", show, package, "meshcors"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


if __name__ == "__main__":
    sys.exit(main())
