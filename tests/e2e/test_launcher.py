"""``meshcors run`` with real servers, as a user starts them, and what the page on it shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshcors._launch.following import FOLLOW_VARIABLE
from meshcors._launch.servers import SERVERS as KNOWN
from tests.calling import EVIL, UI, clean_environment
from tests.e2e.launched import RUN, Answer, call, command, programs
from tests.e2e.processes import free_port, running
from tests.test_changing_policies import always, eventually, is_allowed

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "run.md").read_text(encoding="utf-8")

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


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with programs(tmp_path_factory.mktemp("run")) as made:
        yield made


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
        if name == "uvicorn, an app with a policy":
            allowed_by_the_app = {"origin": "https://other.example", "model-api-key": "right"}
            assert call(port, "GET", "/", allowed_by_the_app)[:2] == (200, [])
        if name == "uvicorn, started by another program":
            assert server.output.count("their sitecustomize ran") == 1


def test_all_workers_follow_the_file(folder: Path) -> None:
    """And the file of the key's values, which a flag names."""

    def write(name: str, text: str) -> None:
        made = folder / f"{name}.new"
        made.write_text(text)
        made.rename(folder / name)

    def with_key(key: str) -> int:
        return call(port, "GET", "/", {"model-api-key": key}).status

    write("policy.yaml", "allowOrigins: [https://a.example]\nkey: {header: model-api-key}\n")
    write("changing-keys", "first\n")
    flags = ("--config", "policy.yaml", "--key-values-file", "changing-keys")
    port = free_port()
    # They look more often than every two seconds.
    start = f"--any-command -- env {FOLLOW_VARIABLE}=0.05 uvicorn asgi_app:app --workers 2"
    words = command(f"{start} --port PORT", port, *flags, "--follow")
    with running(words, port, timeout=60) as server:
        # One that starts later would find no valid policy.
        started = "Application startup complete"
        eventually("both serve", lambda: server.output.count(started) == 2, server)
        assert is_allowed(port, "https://a.example")
        write("policy.yaml", "allowOrigins: [https://b.example]\n")
        # Without its header the key's values have no use: that is no valid policy.
        eventually("both say so", lambda: server.output.count("not replaced") == 2, server)
        assert always(port, "https://a.example")()
        assert with_key("first") == 200
        write("policy.yaml", "allowOrigins: [https://b.example]\nkey: {header: key}\n")
        eventually("it is used", always(port, "https://b.example"), server)
        assert preflight(port, "https://b.example").status == 204
        assert not is_allowed(port, "https://a.example")
        write("changing-keys", "second\n")
        second = {"key": "second"}
        eventually("its values too", lambda: call(port, "GET", "/", second).status == 200, server)
        # Each of the two has said it once.
        assert server.output.count("not replaced") == 2


def test_the_program_takes_the_place_of_the_launcher() -> None:
    """Its process id, its arguments and its exit code are those of the program."""
    code = "import os, sys; print(os.getpid(), sys.argv[1:]); sys.exit(7)"
    words = [*RUN, "--allow-origin", UI, "--", "python", "-c", code, "--", "--allow-origin", "a b"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        printed, _ = process.communicate(timeout=60)
    assert printed == f"{process.pid} ['--', '--allow-origin', 'a b']\n"
    assert process.returncode == 7


# ---- The page


def in_bash(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_prints_what_is_shown(tmp_path: Path) -> None:
    (script,), (shown,) = blocks("sh"), blocks("text")
    assert script.count("8000") == 3
    quiet = script.replace("8000", str(free_port())).replace("curl -si", "curl -si 2>/dev/null")
    assert in_bash(quiet, tmp_path).replace("\r", "").strip() == shown.strip()


def test_the_commands_print_what_is_shown(tmp_path: Path) -> None:
    port = str(free_port())
    sessions = [
        re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", each, re.MULTILINE)
        for each in blocks("console")
    ]
    assert [len(each) for each in sessions] == [1, 2]
    for line, shown in (each for session in sessions for each in session):
        printed = in_bash(line.replace("8001", port), tmp_path)
        assert printed == shown.replace("8001", port)


def test_the_page_has_the_versions_that_are_known() -> None:
    rows = dict(re.findall(r"^\| (\w+) \| from ([\d.]+, before [\d.]+) \|", PAGE, re.MULTILINE))
    dotted = {
        name: ", before ".join(".".join(map(str, each)) for each in (known.first, known.end))
        for name, known in KNOWN.items()
    }
    assert rows == dotted
