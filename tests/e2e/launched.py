"""Programs that know nothing of meshcors, started with ``meshcors run``, and called."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.calling import UI

BIN = Path(sys.executable).parent
RUN = (sys.executable, "-m", "meshcors", "run")
POLICY = ("--allow-origin", UI, "--key-header", "model-api-key", "--key-values-file", "keys")

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
import signal
import sys


def serve(port):
    import uvicorn

    uvicorn.run("asgi_app:app", port=port)


if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(int(sys.argv[1]),), daemon=True
    )
    process.start()
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
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
    "embeds_granian.py": """
import asyncio
import sys

from asgi_app import app
from granian.server.embed import Server

asyncio.run(Server(app, port=int(sys.argv[1]), interface="asgi").serve())
""",
    "runs_werkzeug.py": """
import sys

from werkzeug.serving import run_simple
from wsgi_app import app

run_simple("127.0.0.1", int(sys.argv[1]), app, processes=2)
""",
    "listens_with_uvloop.py": """
import asyncio
import sys

import uvloop


async def serve():
    server = await asyncio.get_running_loop().create_server(
        asyncio.Protocol, "127.0.0.1", int(sys.argv[1])
    )
    await server.serve_forever()


uvloop.run(serve())
""",
    "runs_wsgiref.py": """
import sys
from wsgiref.simple_server import make_server

from wsgi_app import app

make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
""",
    "starts.sh": """
exec uvicorn asgi_app:app --port "$1"
""",
    "cleans.py": """
import os
import signal
import subprocess
import sys

words = [sys.executable, "-m", "uvicorn", "asgi_app:app", "--port", sys.argv[1]]
server = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": "theirs"})
signal.signal(signal.SIGTERM, lambda *_: server.terminate())
server.wait()
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


class Answer(NamedTuple):
    status: int
    origins: list[str]
    body: bytes


@contextmanager
def programs(folder: Path) -> Iterator[Path]:
    """Work in a folder with the programs, without a policy in the environment."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in [*os.environ]:
            if name.startswith("MESHCORS_"):
                patch.delenv(name)
        for name in ("TRACES", "METRICS", "LOGS"):
            patch.setenv(f"OTEL_{name}_EXPORTER", "none")
        patch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
        yield folder


def command(text: str, port: int, *policy: str) -> list[str]:
    words = text.replace("PORT", str(port)).split()
    return [*RUN, *(policy or POLICY), *([] if "--any-command" in words else ["--"]), *words]


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
