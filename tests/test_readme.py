"""The README does what it says: its Python runs, its commands print what it shows."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

import pytest

from tests.calling import UI, call_asgi, call_wsgi, clean_environment
from tests.e2e.processes import free_port, running

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")


class Block(NamedTuple):
    language: str
    text: str


BLOCKS = [
    Block(language, text)
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
]
(TRY_IT,) = [block.text for block in BLOCKS if block.language == "sh"]
(SHOWN,) = [block.text for block in BLOCKS if block.language == "text"]
RUN, TEST = [block.text for block in BLOCKS if block.language == "console"]


def commands(console: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it is shown to print."""
    return re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", console, re.MULTILINE)


def test_every_kind_of_block_is_one_that_is_tested() -> None:
    languages = [block.language for block in BLOCKS]
    assert languages == ["console", "sh", "text", "yaml", "python", "console"]


def test_the_quick_start_prints_what_is_shown(tmp_path: Path) -> None:
    """The whole block in one shell; its packages are here already, so pip installs nothing."""
    port = str(free_port())
    done = subprocess.run(
        ["bash", "-c", TRY_IT.replace("8000", port)],
        cwd=tmp_path,
        env=clean_environment(
            {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "PIP_NO_INDEX": "1",
                "PIP_QUIET": "1",
            }
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == SHOWN.strip(), done.stderr
    assert TRY_IT.count("8000") == 3


def test_the_quick_start_installs_what_it_imports() -> None:
    install = TRY_IT.splitlines()[0].removeprefix("python -m pip install ").split()
    (source,) = re.findall(r"<<'END'\n(.*?)^END$", TRY_IT, re.DOTALL | re.MULTILINE)
    imported = {
        node.module.partition(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert "-m uvicorn service:app " in TRY_IT
    assert imported | {"uvicorn"} == set(install)


def test_the_policy_is_made_without_a_warning() -> None:
    (source,) = [block.text for block in BLOCKS if block.language == "python"]
    made: dict[str, Any] = {}
    exec(compile(source, str(README), "exec"), made)
    assert made["policy"].max_age == 600


def test_every_name_of_the_package_is_there() -> None:
    named = re.findall(r"(?<!urn:)\b(meshcors(?:\.\w+)*[.:]\w+)\b(?!\.py)", TEXT)
    assert {"meshcors:create_app", "meshcors.wrap:asgi", "meshcors.dummy"} <= set(named)
    for name in set(named):
        resolve_name(name)


def test_the_factory_answers_preflights() -> None:
    ((variable, command),) = re.findall(
        r"`(\w+)=\.\.\. (uvicorn --factory meshcors:create_app)`", TEXT
    )
    port = free_port()
    start = [sys.executable, "-m", *command.split(), "--port", str(port)]
    with running(start, port, env={variable: "http://localhost:3000"}):
        assert_allows_localhost(port)


def test_the_pod_of_the_readme_runs() -> None:
    ((command, _),) = commands(RUN)
    install, _, run = command.partition(" && ")
    assert install == "python -m pip install ."
    python, *arguments = run.split()
    assert python == "python"
    port = free_port()
    with running([sys.executable, *arguments, "--port", str(port)], port):
        assert_allows_localhost(port)


def assert_allows_localhost(port: int) -> None:
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


def test_the_ready_made_apps_of_the_page_on_frameworks_check_the_key() -> None:
    page = (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")
    section = page.partition("## Ready-made apps")[2]
    blocks = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block, call in zip(blocks, (call_asgi, call_wsgi), strict=True):
        made: dict[str, Any] = {"__name__": "service"}
        exec(compile(block, "docs/frameworks.md", "exec"), made)
        for key, status in (("xyz", 200), ("guess", 403)):
            fields = [("origin", UI), ("model-api-key", key)]
            answered = call(made["app"], path="/v1/predict", headers=fields)
            assert (answered.status, answered.get("access-control-allow-origin")) == (status, UI)


def test_the_test_command_is_the_one_that_ci_runs() -> None:
    ((command, _),) = commands(TEST)
    ci = (ROOT / ".ci" / "run").read_text()
    assert command.partition(" && ")[2] == "python -m nox"
    assert "python -m pip install" in ci
    assert "python -m nox" in ci
