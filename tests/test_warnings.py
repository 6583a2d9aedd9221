"""Warnings point at the user's line, whatever it called: checked with Python's -W."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import meshcors

SCRIPT = """
import asyncio, copy, os
from dataclasses import replace

import flask, starlette.applications

import meshcors, meshcors.flask, meshcors.starlette, meshcors.wsgi
from meshcors import HeaderKey, MeshCORS, Policy, Rule, create_app, create_wsgi_app
from meshcors.config import from_environment, from_file, rules_from_file

UI = ["https://ui.example"]
PLAIN = Policy(allow_origins=UI)
OPEN = Policy(allow_origins=UI, key=HeaderKey("x-key"))

def service(*_): ...

async def asgi(*_): ...

Policy(allow_origins=UI, allow_methods=["OPTIONS"])  # !
Policy(  # !
    allow_origins=UI,
    max_age=9999,
)
replace(PLAIN, max_age=9999)  # !
copy.copy(PLAIN)
MeshCORS(asgi, allow_origins=UI, max_age=9999)  # !
MeshCORS(asgi, OPEN)  # !
MeshCORS(asgi, rules=[Rule(OPEN, path_prefix="/v1"), Rule(OPEN)])  # !
meshcors.wsgi.MeshCORS(service, allow_origins=UI, allow_headers=["*"])  # !
meshcors.wsgi.MeshCORS(service, OPEN)  # !
meshcors.starlette.init_app(starlette.applications.Starlette(), OPEN)  # !
meshcors.flask.init_app(flask.Flask("x"), allow_origins=UI, max_age=9999)  # !
create_app(OPEN, app=asgi)  # !
create_wsgi_app(OPEN, app=service)  # !
create_app(OPEN).build_middleware_stack()
create_wsgi_app(OPEN)
from_file("policy.json")  # !
rules_from_file("mesh.json")  # !
os.environ["MESHCORS_CONFIG"] = "policy.json"
from_environment()  # !
MeshCORS(asgi)  # !
"""
POLICY = '{"allowOrigins": ["https://ui.example"], "maxAge": "24h"}'
MESH = """{
  "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "spec": {
    "hosts": ["api.example"],
    "http": [{"corsPolicy": {"allowOrigins": [{"exact": "https://ui.example"}]}, "retries": {}}]
  }
}"""
SEEN = re.compile(r"^(.*):(\d+): PolicyWarning: (.+)$", re.MULTILINE)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "policy.json").write_text(POLICY)
    (tmp_path / "mesh.json").write_text(MESH)
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("MESHCORS_")}
    return subprocess.run(
        [sys.executable, *arguments, str(script)],
        capture_output=True,
        text=True,
        cwd=script.parent,
        env=environ,
        timeout=120,
        check=False,
    )


def test_warnings_point_at_the_line_that_called(script: Path) -> None:
    made = run(script, "-W", "always")
    assert made.returncode == 0, made.stderr
    lines = SCRIPT.splitlines()
    expected = [(number, line) for number, line in enumerate(lines, start=1) if "# !" in line]
    seen = SEEN.findall(made.stderr)
    assert {file for file, _, _ in seen} == {str(script)}
    assert [int(number) for _, number, _ in seen] == [number for number, _ in expected]
    # Python prints the line itself below.
    for _, line in expected:
        assert f"\n  {line}\n" in made.stderr


def test_warnings_point_at_the_line_whatever_the_path_of_the_package(tmp_path: Path) -> None:
    package = Path(meshcors.__file__).parent.parent
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, '{package.parent}/./{package.name}//')\nimport meshcors\n"
        f"meshcors.Policy(allow_origins=['https://ui.example'], max_age=9999)\n"
    )
    assert [line for _, line, _ in SEEN.findall(run(script).stderr)] == ["4"]


def test_a_warning_made_an_error_ends_at_the_line_that_called(script: Path) -> None:
    made = run(script, "-W", "error::UserWarning")
    assert made.returncode == 1
    last = made.stderr.splitlines()[-1]
    assert last.startswith("meshcors.PolicyWarning: allow_methods: OPTIONS: ")


def test_by_default_python_shows_each_once(script: Path) -> None:
    made = run(script)
    assert len(SEEN.findall(made.stderr)) == SCRIPT.count("# !")
