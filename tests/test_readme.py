"""The README does what it says: its Python runs, its commands print what it shows."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.calling import UI, call_asgi
from tests.e2e.processes import free_port, running

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


class Block(NamedTuple):
    language: str
    text: str


BLOCKS = [
    Block(language, text)
    for language, text in re.findall(
        r"^```(\w+)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
]
SERVICE, *POLICIES, READY_MADE = [block.text for block in BLOCKS if block.language == "python"]
TRY_IT, INSTALL, RUN, TEST = [block.text for block in BLOCKS if block.language == "console"]


def commands(console: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it is shown to print."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", console, re.MULTILINE)


def test_every_kind_of_block_is_one_that_is_tested() -> None:
    languages = [block.language for block in BLOCKS]
    assert languages == [
        *("python", "console"),
        *("console", "console", "console"),
        "yaml",
        *("python", "python", "text"),
        "python",
    ]


def test_the_smallest_example_prints_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    (server, nothing), *calls = commands(TRY_IT)
    assert server.startswith("uvicorn service:app ")
    assert not nothing
    assert len(calls) == 2
    port = free_port()
    start = [sys.executable, "-m", *server.removesuffix("&").split(), "--port", str(port)]
    with running(start, port, env={"PYTHONPATH": str(tmp_path)}):
        for command, shown in calls:
            printed = subprocess.run(
                ["bash", "-c", command.replace("localhost:8000", f"localhost:{port}")],
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
            ).stdout
            assert printed.strip() == shown.strip()


def test_the_policies_are_made_and_refused_as_shown() -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for source in POLICIES:
            exec(compile(source, str(README), "exec"), {})
    (shown,) = [block.text for block in BLOCKS if block.language == "text"]
    assert printed.getvalue() == shown


def test_the_ready_made_apps_check_the_key() -> None:
    made: dict[str, Any] = {}
    exec(compile(READY_MADE, str(README), "exec"), made)
    made["service"].get("/predict")(lambda: "predicted")
    for app, path in ((made["app"], "/predict"), (made["app_alone"], "/v1/predict")):
        for key, status in (("xyz", 200), ("guess", 403)):
            answered = call_asgi(app, path=path, headers=[("origin", UI), ("model-api-key", key)])
            assert (answered.status, answered.get("access-control-allow-origin")) == (status, UI)


def test_the_pod_of_the_readme_runs() -> None:
    ((command, _),) = commands(RUN)
    install, _, run = command.partition(" && ")
    assert install == "python -m pip install ."
    python, *arguments = run.split()
    assert python == "python"
    port = free_port()
    with running([sys.executable, *arguments, "--port", str(port)], port):
        answer = subprocess.run(
            [
                *("curl", "-si", "-X", "OPTIONS", f"http://localhost:{port}/"),
                *("-H", "Origin: http://localhost:3000"),
                *("-H", "Access-Control-Request-Method: PUT"),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
    assert answer.startswith("HTTP/1.1 204 ")
    assert "access-control-allow-origin: http://localhost:3000" in answer


def test_the_virtual_service_leads_preflights_and_unmatched_keys_to_the_pod() -> None:
    pytest.importorskip("ruamel.yaml", reason="python -m pip install 'meshcors[cli]'")
    from meshcors.mesh import Gateway, GatewayRequest

    (text,) = [block.text for block in BLOCKS if block.language == "yaml"]
    gateway = Gateway.from_yaml(text)
    preflight = [("origin", "https://ui.example"), ("access-control-request-method", "POST")]
    destinations = [
        gateway.handle(
            GatewayRequest(method, "api.example", "/v1/predict", headers=headers)
        ).destination
        for method, headers in (
            ("OPTIONS", preflight),
            ("POST", [("model-api-key", "xyz")]),
            ("POST", [("model-api-key", "guess")]),
            ("POST", []),
        )
    ]
    pod = "meshcors-dummy:8080"
    assert destinations == [pod, "model-xyz:8000", pod, pod]


def test_the_test_command_is_the_one_that_ci_runs() -> None:
    ((command, _),) = commands(TEST)
    ci = (ROOT / ".ci" / "run").read_text()
    assert command.partition(" && ")[2] == "python -m nox"
    assert "python -m pip install" in ci
    assert "python -m nox" in ci
