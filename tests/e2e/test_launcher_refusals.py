"""What ``meshcors run`` must not let serve: servers as later versions may be, and unknown ones."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPException
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.calling import clean_environment
from tests.e2e.launched import POLICY, RUN, call, command, programs
from tests.e2e.processes import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with programs(tmp_path_factory.mktemp("run")) as made:
        yield made


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
        # so that all of its workers can be ended
        start_new_session=True,
    ) as process:
        try:
            end = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < end:
                with suppress(OSError, HTTPException):
                    answer = call(port, "GET", "/", {"model-api-key": "right"}, timeout=1)
                    pytest.fail(f"it served: {answer}")
                time.sleep(0.05)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
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
    words = [*RUN, *POLICY, "--", str(python), "-m", "http.server", str(port)]
    code, output = refused(words, port, {})
    assert code == 2
    assert output.startswith("meshcors run: what listens here would serve without the policy: ")
    words = [*RUN, "--other-listeners", *words[len(RUN) :]]
    with running(words, port):
        assert call(port, "GET", "/keys", {}).body == b"right\n"


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ("waitress-serve --port PORT wsgi_app:app", 2),
        ("waitress-serve --unix-socket socket wsgi_app:app", 2),
        ("python listens_with_uvloop.py PORT", 2),
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


def test_a_socket_of_gevents_own_is_seen_too(tmp_path: Path) -> None:
    """As in gevent 26.9: `gevent.socket.socket` is no class of Python's `socket`."""
    (tmp_path / "gevent").mkdir()
    (tmp_path / "gevent" / "__init__.py").touch()
    (tmp_path / "gevent" / "socket.py").write_text(
        "import _socket\n"
        "from _socket import AF_INET, AF_INET6, AF_UNIX\n"
        "class Mixin:\n"
        "    def listen(self, *args): return self._sock.listen(*args)\n"
        "class socket(Mixin):\n"
        "    def __init__(self): self._sock = _socket.socket(AF_INET)\n"
        "    def __getattr__(self, name): return getattr(self._sock, name)\n",
        encoding="utf-8",
    )
    port = free_port()
    program = (
        "import gevent.socket, time; listener = gevent.socket.socket();"
        f" listener.bind(('127.0.0.1', {port})); listener.listen(5); time.sleep(20)"
    )
    words = [*RUN, *POLICY, "--", "python", "-c", program]
    code, output = refused(words, port, {"PYTHONPATH": str(tmp_path)})
    assert code == 2
    assert f"so nothing may listen on port {port}: " in output


def test_processes_of_one_program_may_still_talk() -> None:
    code = "import multiprocessing as m; m.freeze_support(); print(m.Manager().list([1]))"
    program = f"if __name__ == '__main__':\n    {code}\n"
    Path("talks.py").write_text(program, encoding="utf-8")
    words = [*RUN, *POLICY, "--", "python", "talks.py"]
    assert subprocess.run(words, capture_output=True, text=True, timeout=60).stdout == "[1]\n"


def test_a_server_that_inherits_no_policy_is_not_started() -> None:
    """A program starts it with an empty environment: the hook comes along all the same."""
    port = free_port()
    words = ["import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:], env={}))"]
    words += [sys.executable, "-m", *f"uvicorn asgi_app:app --port {port}".split()]
    code, output = refused([*RUN, *POLICY, "--", "python", "-c", *words], port, {})
    assert code == 2
    assert "meshcors run: --allow-origin or MESHCORS_ALLOW_ORIGINS: " in output


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
    words = [*POLICY[:-1], "gone"]
    start = "gunicorn removes_keys:app --bind 127.0.0.1:PORT"
    code, output = refused(command(start, port, *words), port, {})
    assert code == 4
    assert re.search(r"^meshcors run: --key-values-file: .*$", output, re.MULTILINE)
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
