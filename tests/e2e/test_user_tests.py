"""The page on tests, as a user follows it: a project of its own, the installed wheel, pytest."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
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
        """Run pytest, and return what it prints; see `command`."""
        command, env = self.command(*arguments, autoload=autoload)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout

    def command(self, *arguments: str, autoload: bool = False) -> tuple[list[str], dict[str, str]]:
        """The command that runs pytest, and its environment.

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
        return [sys.executable, "-m", "pytest", *flags, *arguments], env


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


@pytest.mark.parametrize(
    "flags", [["-p", "xdist", "-n", "2"], ["--import-mode=importlib"], ["--import-mode=prepend"]]
)
def test_other_ways_to_run_it(project: Project, flags: list[str]) -> None:
    printed = project.pytest("test_model.py", *flags)
    assert "2 passed" in printed, printed


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


MISTAKES = """
import sys
import pytest

@pytest.fixture
def nothing_else_installed(monkeypatch):
    for name in ("envoy", "httpx", "ruamel.yaml"):
        monkeypatch.setitem(sys.modules, name, None)

def test_fetch(nothing_else_installed, browser_fetch):
    pass

def test_gateway(nothing_else_installed, mesh_gateway):
    mesh_gateway("routes.yaml")

def test_documents(mesh_gateway):
    mesh_gateway("nowhere.yaml")

def test_pod(preflight_pod):
    preflight_pod({"allowOrigin": []})

def test_url(browser_fetch):
    browser_fetch("nowhere", origin="https://ui.example")
"""
TOLD = (
    "httpx is not installed: python -m pip install 'meshcors[cli]'",
    "reading YAML needs ruamel.yaml; python -m pip install 'meshcors[cli]'",
    "nowhere.yaml:1:1: No such file or directory; name a file, a directory, or pass YAML",
    "did you mean allowOrigins",
    "nowhere",
)


def test_a_mistake_is_told_by_the_line_of_the_test_and_one_line(project: Project) -> None:
    (project.folder / "test_mistakes.py").write_text(MISTAKES, encoding="utf-8")
    printed = project.pytest("test_mistakes.py", "--tb=short")
    for said in TOLD:
        assert re.search(f"^E .*{re.escape(said)}", printed, re.MULTILINE), printed
    # the way through the package is no part of any report
    files = {
        name.rpartition("/")[2] for name in re.findall(r"^(\S+\.py):\d+: ", printed, re.MULTILINE)
    }
    assert files == {"pytest_meshcors.py", "test_mistakes.py"}, printed
    assert len(re.findall("^E ", printed, re.MULTILINE)) == len(TOLD), printed


SLOW = """
import time

def test_slow(mesh_gateway, preflight_pod):
    preflight_pod({"allowOrigins": ["https://ui.example"]})
    mesh_gateway("routes.yaml")
    print("running", flush=True)
    time.sleep(300)
"""


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_stays_of_a_run_that_is_broken_off(
    project: Project, tmp_path: Path, how: str
) -> None:
    require_envoy()
    (project.folder / "test_slow.py").write_text(SLOW, encoding="utf-8")
    command, environ = project.command("-s", "test_slow.py")
    # the handler of pytest, where whoever runs these tests ignores Ctrl-C
    python = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    python += "; runpy.run_module('pytest', run_name='__main__')"
    command[1:3] = ["-c", python]
    run = subprocess.Popen(
        command,
        cwd=project.folder,
        env={**environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.stdout is not None
    with run.stdout:
        try:
            for line in run.stdout:
                if line.endswith("running\n"):
                    break
            homes = [*tmp_path.glob("meshcors-*")]
            assert len(homes) == 2
            run.send_signal(getattr(signal, how))
            run.wait(60)
        finally:
            run.kill()
            run.wait()
    deadline = time.monotonic() + 60
    while any(home.exists() for home in homes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
