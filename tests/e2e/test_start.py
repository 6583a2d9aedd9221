"""No real server, with its default settings, starts with an invalid policy.

`app.add_middleware` makes the middleware inside the server's lifespan call, where servers take an
exception for an app without lifespan.
"""

from __future__ import annotations

import http.client
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.calling import PYTHON, UI, clean_environment
from tests.e2e.parts import need
from tests.e2e.processes import free_port, running

APPS = """
import fastapi
import starlette.applications
from meshcors import MeshCORS

keywords = fastapi.FastAPI()
keywords.add_middleware(
    MeshCORS, allow_origins=["*", "https://ui.example/"], allow_credentials=True
)
environment = starlette.applications.Starlette()
environment.add_middleware(MeshCORS)
"""

# Each server's package, command line and exit code.
SERVERS: dict[str, tuple[str, list[str], int]] = {
    "uvicorn": ("uvicorn", ["uvicorn", "{app}", "--port", "{port}"], 3),
    "uvicorn with workers": (
        "uvicorn",
        ["uvicorn", "{app}", "--port", "{port}", "--workers", "2"],
        # Its parent process exits as if it had been stopped.
        0,
    ),
    # Its parent process never passes on a worker's exit code.
    "hypercorn": ("hypercorn", ["hypercorn", "{app}", "--bind", "127.0.0.1:{port}"], 0),
    "granian": (
        "granian",
        ["granian", "--interface", "asgi", "{app}", "--port", "{port}"],
        1,
    ),
    "gunicorn, uvicorn's worker": (
        "uvicorn_worker",
        ["gunicorn", "-k", "uvicorn_worker.UvicornWorker", "{app}", "-b", "127.0.0.1:{port}"],
        3,
    ),
    "gunicorn's own worker": (
        "gunicorn",
        ["gunicorn", "-k", "asgi", "{app}", "-b", "127.0.0.1:{port}"],
        3,
    ),
}

# The app, its environment, and all problems.
WRONG: dict[str, tuple[dict[str, str], list[str]]] = {
    "keywords": (
        {},
        [
            "allow_origins: https://ui.example/: an origin has no path",
            "[origin_wildcard_beside_others]",
            "[origin_wildcard_with_credentials]",
        ],
    ),
    "environment": (
        {"MESHCORS_ALLOW_ORIGINS": "https://ui.example/", "MESHCORS_MAX_AGE": "soon"},
        ["MESHCORS_ALLOW_ORIGINS: https://ui.example/: an origin has no path", "MESHCORS_MAX_AGE"],
    ),
}


@pytest.fixture
def apps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong_policies.py").write_text(APPS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")


def command(server: str, app: str, port: int) -> list[str]:
    package, line, _ = SERVERS[server]
    need(package)
    module, *rest = (part.format(app=f"wrong_policies:{app}", port=port) for part in line)
    return [PYTHON, "-m", module, *rest]


@pytest.mark.usefixtures("apps")
@pytest.mark.parametrize("app", WRONG)
@pytest.mark.parametrize("server", SERVERS)
def test_wrong_policy_stops_the_server_and_says_why(server: str, app: str) -> None:
    variables, expected = WRONG[app]
    # It must end by itself: a server that starts runs into the timeout.
    done = subprocess.run(
        command(server, app, free_port()),
        env=clean_environment(variables),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == SERVERS[server][2]
    for text in expected:
        assert text in done.stderr + done.stdout
    if server != "hypercorn":  # which always prints a traceback
        assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.usefixtures("apps")
@pytest.mark.parametrize(
    ("package", "line"),
    [
        pytest.param("daphne", ["daphne", "-p", "{port}", "{app}"], id="daphne has no lifespan"),
        pytest.param(
            "uvicorn", ["uvicorn", "--lifespan", "off", "{app}", "--port", "{port}"], id="off"
        ),
    ],
)
def test_without_a_lifespan_it_answers_500_and_says_why_once(package: str, line: list[str]) -> None:
    need(package)
    port = free_port()
    module, *rest = (part.format(app="wrong_policies:keywords", port=port) for part in line)
    with running([PYTHON, "-m", module, *rest], port) as server:
        for method, fields in (
            ("GET", {"origin": UI}),
            ("OPTIONS", {"origin": UI, "access-control-request-method": "PUT"}),
        ):
            assert ask(port, method, fields) == (500, None)
        deadline = time.monotonic() + 60
        while "origin_trailing_slash" not in server.output and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.output.count("origin_trailing_slash") == 1
        assert "Traceback" not in server.output


def ask(port: int, method: str, fields: dict[str, Any]) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, "/", headers=fields)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("access-control-allow-origin")
    finally:
        connection.close()
