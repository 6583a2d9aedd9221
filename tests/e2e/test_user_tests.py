"""The page on tests, as a user follows it: a project of its own, the installed wheel, pytest."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshcors._cli import run
from tests.e2e.envoy import require_envoy

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
FILES = dict(
    re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL),
)
(MESSAGE,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Project:
    """A user's project, and where the wheel is installed."""

    folder: Path
    site: Path

    def pytest(self, *arguments: str, autoload: bool = False) -> str:
        """Run pytest, and return what it prints.

        Unless it should `autoload` plugins, of those that are installed only ours is there.
        """
        own = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("COV", "PYTEST", "MESHCORS"))
        }
        env = {**own, "PYTHONPATH": str(self.site), "COLUMNS": "400"}
        # cloudcoil's own plugin wants packages that it does not bring
        flags = ["-q", "-p", "no:cacheprovider", "-p", "no:cloudcoil", "-W", "error"]
        if not autoload:
            env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            flags += ["-p", "meshcors"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *flags, *arguments],
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The files of the page, beside the wheel that is built from this tree."""
    folder, site = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    wheels = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps"]
    build = ["wheel", *offline, "--no-build-isolation", f"--wheel-dir={wheels}", str(ROOT)]
    subprocess.run([*pip, *build], check=True, timeout=300)
    (wheel,) = wheels.glob("meshcors-*.whl")
    subprocess.run([*pip, "install", *offline, f"--target={site}", str(wheel)], check=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Project(folder, site)


def test_the_page_has_these_files() -> None:
    assert [*FILES] == [
        "model.py",
        "conftest.py",
        "test_model.py",
        "routes.yaml",
        "test_gateway.py",
        "policy.yaml",
        "test_gateway_with_pod.py",
    ]


def test_an_app_without_a_gateway(project: Project) -> None:
    printed = project.pytest("test_model.py")
    assert "2 passed" in printed, printed


FLASK_MODEL = """
import meshcors.flask
from flask import Flask
from meshcors import HeaderKey, Policy

app = Flask(__name__)
key = HeaderKey("model-api-key", ["xyz"])
meshcors.flask.init_app(app, Policy(allow_origins=["https://ui.example"], key=key))


@app.post("/v1/predict")
def predict():
    return b'{"model":"xyz"}'
"""


def test_a_flask_app_has_a_conftest_of_its_own(project: Project, tmp_path: Path) -> None:
    (conftest,) = re.findall(
        r"The `conftest.py` is then:\n\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
    )
    (tmp_path / "model.py").write_text(FLASK_MODEL, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_model.py").write_text(FILES["test_model.py"], encoding="utf-8")
    printed = Project(tmp_path, project.site).pytest("test_model.py")
    assert "2 passed" in printed, printed


def test_the_page_installs_what_its_files_import() -> None:
    (install,) = re.findall(r"^    python -m pip install (.*)$", PAGE, re.MULTILINE)
    sources = "\n".join(text for name, text in FILES.items() if name.endswith(".py"))
    imported = set(re.findall(r"^(?:from|import) (\w+)", sources, re.MULTILINE))
    ours = {"meshcors[lab]" if name == "meshcors" else name for name in imported}
    known = {*sys.stdlib_module_names, "model"}
    assert ours - known == set(shlex.split(install))


def test_the_test_fails_with_the_story_and_passes_with_its_fix(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_envoy()
    printed = project.pytest("test_gateway.py")
    assert "1 failed" in printed, printed
    told = [line[1:].strip() for line in printed.splitlines() if line.startswith("E")]
    told[0] = told[0].removeprefix("AssertionError: ")
    assert told == [line.strip() for line in MESSAGE.splitlines()]
    # nothing of the package stands between the test and the message
    assert "_assertions.py" not in printed

    monkeypatch.chdir(project.folder)
    (command,) = re.findall(r"^After `meshcors (fix [^`]*)`", PAGE, re.MULTILINE)
    assert run(command.split()) == 0
    printed = project.pytest("test_gateway_with_pod.py")
    assert "1 passed" in printed, printed


IMPORTED = """
import json, sys
def pytest_sessionfinish():
    print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("off", [False, True])
def test_the_plugin_imports_nothing_until_a_fixture_is_used(
    project: Project, tmp_path: Path, off: bool
) -> None:
    (tmp_path / "conftest.py").write_text(IMPORTED, encoding="utf-8")
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    flags = ("-s", "-p", "no:faker", *(("-p", "no:meshcors") if off else ()))
    printed = Project(tmp_path, project.site).pytest(*flags, autoload=True)
    assert "1 passed" in printed, printed
    assert ('"pytest_meshcors"' in printed) is not off
    for name in ("meshcors", "httpx", "ruamel.yaml", "envoy"):
        assert f'"{name}"' not in printed
