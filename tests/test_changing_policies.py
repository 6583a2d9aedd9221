"""The page on policies that change: its services, started as it says, follow what they read."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.e2e.processes import Running, free_port, running

PAGE = (Path(__file__).parent.parent / "docs" / "changing-policies.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SERVICES = [block for block in BLOCKS if block.startswith("# service.py\n")]
UVICORN = ("uvicorn", "service:app", "--log-level", "warning")
GUNICORN = ("gunicorn", "service:app", "--log-level", "warning")
# Both begin with what was read before they were forked.
PRELOADING = (*GUNICORN, "--workers", "2", "--preload")
TWO_LINES = """
from fastapi import FastAPI
app = FastAPI()
{}
"""
PRELOADED = """
from meshcors import PolicyFile
from meshcors.wsgi import MeshCORS
def app(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"hello"]
app = MeshCORS(app, PolicyFile("policy.yaml", interval=0.05))
"""


@contextmanager
def served(folder: Path, source: str, command: tuple[str, ...]) -> Iterator[tuple[int, Running]]:
    """Run a service with what is in its folder; a minute takes a twentieth of a second."""
    folder.joinpath("service.py").write_text(source.replace("SECONDS = 60", "SECONDS = 0.05"))
    port = free_port()
    address = ["--port", str(port)]
    if command[0] == "gunicorn":
        address = ["--bind", f"127.0.0.1:{port}", "--chdir", str(folder)]
    # The service opens its files by relative paths.
    start = [sys.executable, "-c", _IN_FOLDER, str(folder), *command, *address]
    with running(start, port, env={"PYTHONPATH": os.pathsep.join([str(folder), *_paths()])}) as it:
        yield port, it


_IN_FOLDER = """
import os, runpy, sys
_, folder, module, *arguments = sys.argv
os.chdir(folder)
sys.argv = [module, *arguments]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def _paths() -> list[str]:
    return [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []


def is_allowed(port: int, origin: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        asked = {"origin": origin, "access-control-request-method": "PUT"}
        connection.request("OPTIONS", "/v1/predict", headers=asked)
        return connection.getresponse().getheader("access-control-allow-origin") == origin
    finally:
        connection.close()


def eventually(said: str, holds: Callable[[], bool], server: Running) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, f"{said}\n{server.output}"
        time.sleep(0.05)


def always(port: int, origin: str) -> Callable[[], bool]:
    """Whether all workers allow the origin: some calls, each on a connection of its own."""
    return lambda: all(is_allowed(port, origin) for _ in range(12))


def put(folder: Path, *origins: str) -> None:
    with closing(sqlite3.connect(folder / "customers.db")) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS customers (origin TEXT)")
        database.execute("DELETE FROM customers")
        database.executemany("INSERT INTO customers VALUES (?)", [(each,) for each in origins])


@pytest.mark.parametrize(
    ("source", "command"),
    [
        pytest.param(SERVICES[0], UVICORN, id="fastapi"),
        pytest.param(SERVICES[1], GUNICORN, id="flask"),
    ],
)
def test_a_service_follows_its_database(
    source: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    put(tmp_path, "https://a.example")
    with served(tmp_path, source, command) as (port, server):
        assert is_allowed(port, "https://a.example")
        assert not is_allowed(port, "https://b.example")
        put(tmp_path, "https://b.example")
        eventually("the new origin is allowed", always(port, "https://b.example"), server)
        assert not is_allowed(port, "https://a.example")
        put(tmp_path, "https://c.example", "https://d.example/")
        eventually("it is logged", lambda: "origin_trailing_slash" in server.output, server)
        assert is_allowed(port, "https://b.example")
        assert not is_allowed(port, "https://c.example")
        put(tmp_path, "https://c.example")
        eventually("it goes on", always(port, "https://c.example"), server)


@pytest.mark.parametrize(
    ("source", "command"),
    [
        pytest.param(
            TWO_LINES.format(BLOCKS[1].replace('yaml")', 'yaml", interval=0.05)')),
            UVICORN,
            id="two lines",
        ),
        pytest.param(PRELOADED, PRELOADING, id="preloaded"),
    ],
)
def test_a_service_follows_its_file(source: str, command: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"

    def write(text: str) -> None:
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    def policy(origin: str) -> str:
        return json.dumps({"allowOrigins": [{"exact": origin}]})

    write(policy("https://a.example"))
    with served(tmp_path, source, command) as (port, server):
        assert is_allowed(port, "https://a.example")
        write(policy("https://b.example"))
        eventually("the new origin is allowed", always(port, "https://b.example"), server)
        write(policy("https://c.example/"))
        eventually("it is logged", lambda: "origin_trailing_slash" in server.output, server)
        assert is_allowed(port, "https://b.example")
        write(policy("https://c.example"))
        eventually("it goes on", always(port, "https://c.example"), server)


def test_the_page_has_both_services() -> None:
    assert ["fastapi" in source for source in SERVICES] == [True, False]
