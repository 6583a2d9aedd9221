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
    "uvicorn, started by OpenTelemetry": (
        "opentelemetry-instrument uvicorn asgi_app:app --port PORT --workers 2"
    ),
    "uvicorn, started with another PYTHONPATH": "python cleans.py PORT",
    "uvicorn, started by a shell": "--any-command -- sh starts.sh PORT",
    "hypercorn": "hypercorn asgi_app:app --bind 127.0.0.1:PORT",
    "hypercorn, WSGI, 2 workers": "hypercorn wsgi:wsgi_app:app --bind 127.0.0.1:PORT --workers 2",
    "hypercorn, reload": "hypercorn asgi_app:app --bind 127.0.0.1:PORT --reload",
    "granian, embedded": "python embeds_granian.py PORT",
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
        for name in ("TRACES", "METRICS", "LOGS"):
            patch.setenv(f"OTEL_{name}_EXPORTER", "none")
        patch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
        yield made


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


# ---- What must not serve


class Edit(NamedTuple):
    """A server as a later version of it might be: its place for the policy has moved."""

    start: str
    file: str
    changes: tuple[tuple[str, str], ...]


_UVICORN = "uvicorn asgi_app:app --port PORT"
_HYPERCORN = "hypercorn asgi_app:app --bind 127.0.0.1:PORT --workers 0"
_GRANIAN = "granian asgi_app:app --interface asgi --port PORT"
_GUNICORN = "gunicorn wsgi_app:app --bind 127.0.0.1:PORT"
_WERKZEUG = "flask --app flask_app run --port PORT"

EDITS = {
    # the place is gone
    "uvicorn, load gone": Edit(
        _UVICORN, "uvicorn/config.py", (("def load(self)", "def prepare(self)"),)
    ),
    "hypercorn, wrap_app gone": Edit(
        _HYPERCORN, "hypercorn/utils.py", (("def wrap_app(", "def take_app("),)
    ),
    "granian, wrapper gone": Edit(
        _GRANIAN, "granian/asgi.py", (("def _callback_wrapper(", "def _prepared("),)
    ),
    "gunicorn, load_wsgi gone": Edit(
        _GUNICORN, "gunicorn/workers/base.py", (("load_wsgi(", "load_app("),)
    ),
    "werkzeug, server gone": Edit(
        _WERKZEUG, "werkzeug/serving.py", (("BaseWSGIServer", "PlainServer"),)
    ),
    # it is there, but the app no longer comes by it
    "uvicorn, load unused": Edit(
        _UVICORN,
        "uvicorn/server.py",
        (
            (
                "            config.load()\n",
                "            type(config).load.__wrapped__(config)\n",
            ),
        ),
    ),
    "hypercorn, wrap_app unused": Edit(
        _HYPERCORN,
        "hypercorn/utils.py",
        (("return wrap_app(", "return wrap_app.__wrapped__("),),
    ),
    "granian, wrapper unused": Edit(
        _GRANIAN,
        "granian/server/mp.py",
        (
            (
                "import LifespanProtocol, _callback_wrapper as _asgi_call_wrap\n",
                "import LifespanProtocol, _callback_wrapper\n"
                "_asgi_call_wrap = _callback_wrapper.__wrapped__\n",
            ),
        ),
    ),
    "gunicorn, load_wsgi unused": Edit(
        _GUNICORN,
        "gunicorn/workers/base.py",
        (("        self.load_wsgi()\n", "        type(self).load_wsgi(self)\n"),),
    ),
    "werkzeug, the app comes later": Edit(
        _WERKZEUG,
        "werkzeug/serving.py",
        (
            (
                "    srv.socket.set_inheritable",
                "    srv.app = application\n    srv.socket.set_inheritable",
            ),
        ),
    ),
}


def edited(folder: Path, edit: Edit | None, package: str, version: str = "") -> Path:
    """A folder for PYTHONPATH with a copy of an installed package, edited."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(spec.origin).parent, folder / package, ignore=ignore)
    if edit is not None:
        for before, after in edit.changes:
            text = (folder / edit.file).read_text(encoding="utf-8")
            assert before in text
            (folder / edit.file).write_text(text.replace(before, after), encoding="utf-8")
    metadata = folder / f"{package}-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    lines = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    metadata.write_text(lines, encoding="utf-8")
    return folder


def refused(words: list[str], port: int, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code and the output of a process that has answered nothing until its end."""
    with subprocess.Popen(
        words,
        env=clean_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            with suppress(OSError, HTTPException):
                answer = call(port, "GET", "/", {"model-api-key": "right"}, timeout=1)
                process.kill()
                pytest.fail(f"it served: {answer}")
            time.sleep(0.05)
        process.kill()
        output, _ = process.communicate(timeout=20)
    return process.returncode, output


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_server_whose_modules_have_other_names_is_not_started(loop: str, tmp_path: Path) -> None:
    version = distribution("uvicorn").version
    package = edited(tmp_path, None, "uvicorn", version) / "uvicorn"
    for file in package.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        moved = re.sub(r"\buvicorn\.(config|server)\b", r"uvicorn.moved_\1", text)
        file.write_text(moved, encoding="utf-8")
    for name in ("config", "server"):
        (package / f"{name}.py").rename(package / f"moved_{name}.py")
    port = free_port()
    words = command(f"{_UVICORN} --loop {loop}", port)
    code, output = refused(words, port, {"PYTHONPATH": str(tmp_path)})
    assert code == 2
    assert f"the app of uvicorn {version}, so it is not started\n" in output


@pytest.mark.parametrize("version", ["0.29.9", "1.0.0"])
def test_a_version_that_is_not_known_is_not_started(version: str, tmp_path: Path) -> None:
    path = str(edited(tmp_path, None, "uvicorn", version))
    port = free_port()
    code, output = refused(command(_UVICORN, port), port, {"PYTHONPATH": path})
    assert code == 2
    line = f"uvicorn {version} is not started: install a version from 0.30 on and before 1\n"
    assert output == f"meshcors run: {line}"


def test_where_meshcors_is_not_installed_no_server_starts(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=60)
    python = venv / "bin" / "python"
    packages = str(Path(edited(tmp_path / "lib", None, "hypercorn", "0.18")))
    port = free_port()
    words = [*RUN, *POLICY, "--", str(python), "-m", "hypercorn", "asgi_app:app"]
    code, output = refused(words, port, {"PYTHONPATH": packages})
    assert (code, output) == (
        2,
        f"meshcors run: hypercorn would serve without the policy: {python} cannot import this"
        " meshcors; install it there\n",
    )


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ("waitress-serve --port PORT wsgi_app:app", 2),
        ("python runs_wsgiref.py PORT", 2),
        ("python -m http.server PORT", 2),
        # a server that catches it, and listens to nothing
        ("daphne -p PORT asgi_app:app", 1),
    ],
)
def test_a_server_that_is_not_known_does_not_listen(start: str, code: int) -> None:
    port = free_port()
    ended, output = refused(command(start, port), port, {})
    assert ended == code
    assert "meshcors run: no app has the policy yet, so nothing may listen on " in output


def test_a_server_that_inherits_no_policy_is_not_started() -> None:
    """A program starts it with an empty environment: the hook comes along all the same."""
    port = free_port()
    words = ["import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:], env={}))"]
    words += [sys.executable, "-m", *f"uvicorn asgi_app:app --port {port}".split()]
    code, output = refused([*RUN, *POLICY, "--", "python", "-c", *words], port, {})
    assert code == 2
    assert "meshcors run: MESHCORS_ALLOW_ORIGINS: " in output


def test_a_port_that_serves_no_app_may_be_let_through() -> None:
    port = free_port()
    words = [*RUN, "--other-listeners", *POLICY, "--", "python", "-m", "http.server", str(port)]
    with running(words, port):
        assert call(port, "GET", "/keys", {}).body == b"right\n"


def test_an_app_of_granians_own_interface_is_not_served() -> None:
    port = free_port()
    words = command("granian asgi_app:app --interface rsgi --port PORT", port)
    code, output = refused(words, port, {})
    assert code > 0
    assert "meshcors run: granian serves this app over RSGI, for which there is no" in output


def test_a_policy_that_has_become_invalid_is_one_line_in_the_worker(folder: Path) -> None:
    """As gunicorn's master starts its workers again, it must end too."""
    (folder / "removes_keys.py").write_text(
        "import os\nos.remove('gone')\nfrom wsgi_app import app"
    )
    (folder / "gone").write_text("right", encoding="utf-8")
    port = free_port()
    words = [
        "--allow-origin",
        UI,
        "--key-header",
        "model-api-key",
        "--key-values-file",
        "gone",
        "--",
    ]
    start = "gunicorn removes_keys:app --bind 127.0.0.1:PORT"
    code, output = refused(command(start, port, *words), port, {})
    assert code == 4
    assert re.search(r"^meshcors run: MESHCORS_KEY_VALUES_FILE: .*$", output, re.MULTILINE)
    assert "right" not in output


@pytest.mark.parametrize("name", EDITS)
def test_a_server_that_does_not_bring_its_app_is_not_started(name: str, tmp_path: Path) -> None:
    edit = EDITS[name]
    package = edit.file.partition("/")[0]
    version = distribution(package).version
    path = str(edited(tmp_path, edit, package, version))
    port = free_port()
    code, output = refused(command(edit.start, port), port, {"PYTHONPATH": path})
    assert code > 0
    line = f"meshcors run: cannot put the policy around the app of {package} {version}, so it is"
    assert line in output
