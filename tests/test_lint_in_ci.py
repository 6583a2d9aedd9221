"""Lint where a team runs it: as a hook of pre-commit and as an action on GitHub, as declared."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"
# The console script of the tested package.
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


HOOK = load(ROOT / ".pre-commit-hooks.yaml")[0]
ACTION = load(ROOT / "action.yml")
DOCS = [
    YAML(typ="safe", pure=True).load(block)
    for block in re.findall(
        r"^```yaml\n((?:repos|steps):.*?)^```$",
        (ROOT / "docs" / "lint.md").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
]


def run(script: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    found = {**os.environ, "PATH": f"{cwd / 'bin'}:{BIN}:{os.environ['PATH']}", **env}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=cwd, env=found, capture_output=True, text=True, check=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "deploy").mkdir()
    shutil.copy(DATA / "virtualservice_original.yaml", tmp_path / "deploy" / "model.yaml")
    (tmp_path / "values.yaml").write_text("cors: {origins: []}\n")
    return tmp_path


def test_the_hook_checks_the_repository_as_one_mesh(repository: Path) -> None:
    entry = shlex.join([*shlex.split(HOOK["entry"]), *HOOK["args"]])
    done = run(entry, repository)
    assert done.returncode == 1
    assert "deploy/model.yaml:8:5: error MC001" in done.stdout
    shutil.copy(DATA / "virtualservice_with_pod.yaml", repository / "deploy" / "model.yaml")
    done = run(entry, repository)
    assert (done.returncode, done.stdout) == (0, "no problems found\n")


def test_the_hook_is_installed_with_what_it_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (requirement,) = HOOK["additional_dependencies"]
    assert requirement == ".[cli]"
    assert "cli" in project["optional-dependencies"]
    assert HOOK["entry"].split()[0] in project["scripts"]
    assert (HOOK["language"], HOOK["pass_filenames"]) == ("python", False)
    assert set(HOOK["types_or"]) == {"yaml", "json"}


def act(repository: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Run the action's own steps, the last one's result; pip only notes what it is asked for."""
    (repository / "bin").mkdir(exist_ok=True)
    pip = repository / "bin" / "python"
    pip.write_text('#!/bin/sh\necho "$@" > pip.txt\n')
    pip.chmod(0o755)
    inputs = {name: str(each.get("default", "")) for name, each in ACTION["inputs"].items()}
    assert given.keys() <= {name.replace("-", "_") for name in inputs}
    inputs |= {name.replace("_", "-"): value for name, value in given.items()}
    done = None
    for step in ACTION["runs"]["steps"]:
        if "run" not in step:
            continue
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]
        env = {
            name: re.sub(r"\$\{\{ inputs\.([a-z-]+) }}", lambda found: inputs[found[1]], value)
            for name, value in step.get("env", {}).items()
        }
        done = run(step["run"], repository, GITHUB_ACTION_PATH=str(ROOT), **env)
    assert done is not None
    return done


def test_the_action_annotates_what_it_finds(repository: Path) -> None:
    done = act(repository)
    assert done.returncode == 1
    assert "::error file=deploy/model.yaml,line=8,col=5,title=MC001 lost-preflight::" in done.stdout
    assert (repository / "pip.txt").read_text() == f"-m pip install --quiet {ROOT}[cli]\n"


def test_the_inputs_of_the_action_are_options(repository: Path) -> None:
    shutil.copy(DATA / "lint" / "mc011_found.yaml", repository / "deploy" / "model.yaml")
    assert act(repository).returncode == 1
    assert act(repository, fail_on="error").returncode == 0
    odd = repository / "a b; $(touch made)"
    odd.mkdir()
    shutil.copy(DATA / "virtualservice_with_pod.yaml", odd / "x.yaml")
    done = act(repository, files=f"{odd.name}\n\n", format="text")
    assert (done.returncode, done.stdout) == (0, "no problems found\n")
    assert not (repository / "made").exists()


CHART = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: {{ .Release.Name }}}
spec:
  {{- if .Values.hosts }}
  hosts: {{ toYaml .Values.hosts }}
"""


def add_chart(repository: Path) -> None:
    shutil.copy(DATA / "virtualservice_with_pod.yaml", repository / "deploy" / "model.yaml")
    templates = repository / "charts" / "my model" / "templates"
    templates.mkdir(parents=True)
    (templates.parent / "Chart.yaml").write_text("apiVersion: v2\nname: model\n")
    for name in ("a.yaml", "b.yaml"):
        (templates / name).write_text(CHART)


def test_a_chart_in_a_repository_is_a_note(repository: Path) -> None:
    """Regression: hook and action failed on every repository with a Helm chart."""
    add_chart(repository)
    done = run(shlex.join([*shlex.split(HOOK["entry"]), *HOOK["args"]]), repository)
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        "charts/my model/templates/a.yaml:3:18: note MC000 not-checked: this is a Helm template,"
        " as 1 more file is; render it first: helm template 'charts/my model' | meshcors lint -",
    )
    done = act(repository)
    assert (done.returncode, done.stdout.partition(" ")[0]) == (0, "::notice")


def test_the_action_leaves_out_what_it_is_told_to(repository: Path) -> None:
    assert act(repository, ignore="MC001, star-with-credentials").returncode == 0
    assert act(repository, select="MC014").returncode == 0
    assert act(repository, exclude="deploy").returncode == 0
    assert act(repository, exclude="deploy/x*\n\nmodel.yaml\n").returncode == 0
    assert act(repository, exclude="deploy/x*").returncode == 1


def test_the_page_uses_both_in_five_lines() -> None:
    config, workflow = DOCS
    ((hook,),) = [each["hooks"] for each in config["repos"]]
    assert hook["id"] == HOOK["id"]
    step = workflow["steps"][-1]
    assert step["with"].keys() <= ACTION["inputs"].keys()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "version"
    ]
    assert config["repos"][0]["rev"] == step["uses"].partition("@")[2] == f"v{version}"
