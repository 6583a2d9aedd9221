"""``meshcors run`` with real servers, as a user starts them, and with servers that it must refuse.

The programs are unmodified: nothing in them knows of meshcors, but for the one that has a policy
of its own.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.calling import EVIL, UI, clean_environment
from tests.e2e.processes import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BIN = Path(sys.executable).parent
RUN = (sys.executable, "-m", "meshcors", "run")
POLICY = ("--allow-origin", UI, "--key-header", "model-api-key", "--key-values-file", "keys", "--")

FILES = {
    "keys": "right\n",
    "asgi_app.py": """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/crash":
        raise RuntimeError("crash")
    found = scope["path"] == "/"
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": []})
    await send({"type": "http.response.body", "body": b"theirs" if found else b""})
""",
    "wsgi_app.py": """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/crash":
        raise RuntimeError("crash")
    found = environ["PATH_INFO"] == "/"
    start_response("200 OK" if found else "404 Not Found", [])
    return [b"theirs" if found else b"nothing"]
""",
    "flask_app.py": """
from flask import Flask

app = Flask(__name__)


@app.get("/")
def home():
    return "theirs"


@app.get("/crash")
def crash():
    raise RuntimeError("crash")
""",
    "owned_app.py": """
from asgi_app import app
from meshcors import MeshCORS, Policy

app = MeshCORS(app, Policy(allow_origins=["https://other.example"], allow_credentials=True))
""",
    "runs_uvicorn.py": """
import sys

import uvicorn
from asgi_app import app

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]))
""",
    "in_a_thread.py": """
import sys
import threading

import uvicorn
from asgi_app import app

server = uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[1])))
thread = threading.Thread(target=server.run, daemon=True)
thread.start()
thread.join()
""",
    "in_a_process.py": """
import multiprocessing
import sys


def serve(port):
    import uvicorn

    uvicorn.run("asgi_app:app", port=port)


if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(int(sys.argv[1]),), daemon=True
    )
    process.start()
    process.join()
""",
    "awaits_hypercorn.py": """
import sys

import uvloop
from asgi_app import app
from hypercorn.asyncio import serve
from hypercorn.config import Config

config = Config()
config.bind = [f"127.0.0.1:{sys.argv[1]}"]
uvloop.run(serve(app, config))
""",
    "runs_werkzeug.py": """
import sys

from werkzeug.serving import run_simple
from wsgi_app import app

run_simple("127.0.0.1", int(sys.argv[1]), app, processes=2)
""",
    # As programs do that put a sitecustomize of their own in front.
    "instruments.py": """
import os
import sys

os.environ["PYTHONPATH"] = f"theirs{os.pathsep}{os.environ['PYTHONPATH']}"
os.execl(sys.executable, sys.executable, "-m", "uvicorn", "asgi_app:app", "--port", sys.argv[1])
""",
    "theirs/sitecustomize.py": """
print("their sitecustomize ran", flush=True)
""",
}

# By what a user would call it: a command, in which PORT is the port.
SERVERS = {
    "uvicorn": "uvicorn asgi_app:app --port PORT",
    "uvicorn, 2 workers": "uvicorn asgi_app:app --port PORT --workers 2",
    "uvicorn, reload": "uvicorn asgi_app:app --port PORT --reload",
    "uvicorn, WSGI": "uvicorn wsgi_app:app --port PORT --interface wsgi",
    "uvicorn, an app with a policy": "uvicorn owned_app:app --port PORT",
    "uvicorn.run": "python runs_uvicorn.py PORT",
    "uvicorn.Server, in a thread": "python in_a_thread.py PORT",
    "uvicorn, in a spawned process": "python in_a_process.py PORT",
    "uvicorn, started by another program": "python instruments.py PORT",
    "hypercorn": "hypercorn asgi_app:app --bind 127.0.0.1:PORT",
    "hypercorn, WSGI, 2 workers": "hypercorn wsgi:wsgi_app:app --bind 127.0.0.1:PORT --workers 2",
    "hypercorn, reload": "hypercorn asgi_app:app --bind 127.0.0.1:PORT --reload",
    "hypercorn.asyncio.serve, uvloop": "python awaits_hypercorn.py PORT",
    "granian": "granian asgi_app:app --interface asgi --port PORT",
    "granian, without lifespan": "granian asgi_app:app --interface asginl --port PORT",
    "granian, WSGI, 2 workers": "granian wsgi_app:app --interface wsgi --port PORT --workers 2",
    "gunicorn": "python -m gunicorn wsgi_app:app --bind 127.0.0.1:PORT",
    "gunicorn, gthread, 2 workers, preload": (
        "gunicorn wsgi_app:app --bind 127.0.0.1:PORT -k gthread --workers 2 --preload"
    ),
    "gunicorn, reload": "gunicorn wsgi_app:app --bind 127.0.0.1:PORT --reload",
    "gunicorn, uvicorn's worker": (
        "gunicorn asgi_app:app --bind 127.0.0.1:PORT -k uvicorn_worker.UvicornWorker"
    ),
    "gunicorn, ASGI worker": "gunicorn asgi_app:app --bind 127.0.0.1:PORT -k asgi",
    "flask run": "flask --app flask_app run --port PORT",
    "flask run, debug": "flask --app flask_app run --port PORT --debug",
    "run_simple, processes": "python runs_werkzeug.py PORT",
}


class Answer(NamedTuple):
    status: int
    origins: list[str]
    body: bytes


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("run")
    for name, text in FILES.items():
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for name in [*os.environ]:
            if name.startswith("MESHCORS_"):
                patch.delenv(name)
        patch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
        yield made


def command(text: str, port: int, *policy: str) -> list[str]:
    return [*RUN, *(policy or POLICY), *text.replace("PORT", str(port)).split()]


def call(
    port: int, method: str, path: str, headers: Mapping[str, str], *, timeout: float = 20
) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, headers=dict(headers))
        answer = connection.getresponse()
        origins = [v for k, v in answer.getheaders() if k.lower() == "access-control-allow-origin"]
        return Answer(answer.status, origins, answer.read())
    finally:
        connection.close()


def preflight(port: int, origin: str) -> Answer:
    asks = {"access-control-request-method": "POST", "origin": origin}
    return call(port, "OPTIONS", "/", asks | {"access-control-request-headers": "model-api-key"})


@pytest.mark.parametrize("name", SERVERS)
def test_the_policy_is_around_the_app(name: str) -> None:
    port = free_port()
    with running(command(SERVERS[name], port), port, timeout=60) as server:
        # A master may listen before its worker serves: the call waits.
        assert preflight(port, UI)[:2] == (204, [UI])
        assert preflight(port, EVIL)[:2] == (403, [])
        for key, path, status in [
            (None, "/", 401),
            ("wrong", "/", 403),
            ("right", "/", 200),
            ("right", "/missing", 404),
            ("right", "/crash", 500),
        ]:
            sent = {"origin": UI} | ({} if key is None else {"model-api-key": key})
            answer = call(port, "GET", path, sent)
            assert answer[:2] == (status, [UI]), (key, path)
            assert (answer.body == b"theirs") == (status == 200), path
        if name == "uvicorn, started by another program":
            assert server.output.count("their sitecustomize ran") == 1


def test_the_program_takes_the_place_of_the_launcher() -> None:
    """Its process id, its arguments and its exit code are those of the program."""
    code = "import os, sys; print(os.getpid(), sys.argv[1:]); sys.exit(7)"
    words = [*RUN, "--allow-origin", UI, "--", "python", "-c", code, "--", "--allow-origin", "a b"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        printed, _ = process.communicate(timeout=60)
    assert printed == f"{process.pid} ['--', '--allow-origin', 'a b']\n"
    assert process.returncode == 7
