"""``meshcors run --follow`` where the file is bad when a worker takes the place of another."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshcors._launch.following import FOLLOW_VARIABLE
from tests.calling import clean_environment
from tests.e2e.launched import RUN, call, command, programs
from tests.e2e.processes import Running, free_port, running
from tests.test_changing_policies import always, eventually, is_allowed

if TYPE_CHECKING:
    from collections.abc import Iterator

A, B = "https://a.example", "https://b.example"
# It looks more often than every two seconds.
FOLLOWING = f"--any-command -- env {FOLLOW_VARIABLE}=0.05"
FLAGS = ("--config", "followed.yaml", "--follow")
# How each is started, and what each of how many workers says once it serves.
SERVERS = {
    "gunicorn": ("gunicorn wsgi_app:app --bind 127.0.0.1:PORT", "Booting worker", 1),
    "gunicorn, uvicorn's worker": (
        "gunicorn asgi_app:app --bind 127.0.0.1:PORT -k uvicorn_worker.UvicornWorker",
        "Application startup complete",
        1,
    ),
    "uvicorn": (
        "uvicorn asgi_app:app --port PORT --workers 2",
        "Application startup complete",
        2,
    ),
}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with programs(tmp_path_factory.mktemp("run")) as made:
        yield made


def write(folder: Path, *origins: str) -> None:
    made = folder / "new"
    made.write_text(f"allowOrigins: [{', '.join(origins)}]\n", encoding="utf-8")
    made.replace(folder / "followed.yaml")


def workers(server: Running) -> set[int]:
    """The processes that the server has started, but for multiprocessing's own."""
    listed = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    found = {int(pid) for pid in listed.split()}
    return {pid for pid in found if b"resource_tracker" not in command_line(pid)}


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b"resource_tracker"


@pytest.mark.parametrize("name", SERVERS)
def test_the_server_goes_on_and_fails_closed_until_the_file_is_good(
    name: str, folder: Path
) -> None:
    def status() -> int:
        # While a worker is replaced, a connection may be reset.
        with suppress(OSError, HTTPException):
            return call(port, "GET", "/", {"origin": A}).status
        return 0

    write(folder, A)
    port = free_port()
    start, serving, count = SERVERS[name]
    words = command(f"{FOLLOWING} {start}", port, *FLAGS)
    with running(words, port, timeout=60) as server:
        eventually("all serve", lambda: server.output.count(serving) == count, server)
        assert status() == 200
        (folder / "followed.yaml").unlink()
        eventually("the worker says so", lambda: "policy not replaced" in server.output, server)
        assert is_allowed(port, A)
        for pid in workers(server):
            os.kill(pid, signal.SIGKILL)
        eventually("it is refused", lambda: status() == 503, server)
        assert call(port, "OPTIONS", "/", {"origin": A})[:2] == (503, [])
        # As the user wrote it.
        said = "no valid policy, so requests get a 503: --config: No such file or directory"
        assert said in server.output
        assert "MESHCORS_CONFIG" not in server.output
        write(folder, B)
        eventually("it is used", always(port, B), server)
        assert status() == 200
        assert not is_allowed(port, A)
        assert server.process.poll() is None


def test_the_first_start_with_a_bad_file_fails_with_all_problems(folder: Path) -> None:
    write(folder, "https://a.example/", "http://b.example/x")
    words = [*RUN, *FLAGS, "--", "gunicorn", "wsgi_app:app", "--bind", "127.0.0.1:0"]
    done = subprocess.run(
        words, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [line.partition("allowOrigins: ")[2][:17] for line in lines] == [
        "https://a.example",
        "http://b.example/",
    ]


def test_flags_are_named_as_they_were_written(folder: Path) -> None:
    """Also where the file has changed so that a flag has no place any more."""
    write(folder, A)
    port = free_port()
    start = f"{FOLLOWING} gunicorn wsgi_app:app --bind 127.0.0.1:PORT"
    words = command(start, port, "--max-age", "60", *FLAGS)
    with running(words, port, timeout=60) as server:
        # The worker has read the file.
        assert is_allowed(port, A)
        rules = f"rules: [{{corsPolicy: {{allowOrigins: [{A}]}}}}]\n"
        (folder / "followed.yaml").write_text(rules, encoding="utf-8")
        said = "policy not replaced: --max-age: "
        eventually("it says so", lambda: said in server.output, server)
        (folder / "followed.yaml").write_text("maxAge: 60\n", encoding="utf-8")
        said = f"policy not replaced: {folder / 'followed.yaml'}: allowOrigins: name the pages'"
        eventually("it says so", lambda: said in server.output, server)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("-u MESHCORS_CONFIG", "MESHCORS_CONFIG: keep it as it was set, with _MESHCORS_RUN_FOLLOW"),
        (f"{FOLLOW_VARIABLE}=soon", "_MESHCORS_RUN_FOLLOW: leave it out: meshcors run --follow "),
        (f"{FOLLOW_VARIABLE}=nan", "_MESHCORS_RUN_FOLLOW: leave it out: meshcors run --follow "),
    ],
)
def test_a_program_that_changes_what_is_handed_on_ends_with_a_line(
    change: str, line: str, folder: Path
) -> None:
    write(folder, A)
    words = command(f"--any-command -- env {change} uvicorn asgi_app:app --port 1", 1, *FLAGS)
    done = subprocess.run(
        words, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"meshcors run: {line}")
    assert "Traceback" not in done.stderr
