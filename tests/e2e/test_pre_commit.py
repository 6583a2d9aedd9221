"""The hook as pre-commit installs and runs it, from a repository like this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.parts import need

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
# What the package is built from, and the hook's declaration.
PARTS = (
    "src",
    ".ci",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    ".pre-commit-hooks.yaml",
)


def commit(directory: Path) -> None:
    me = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    for command in (["init", "-q"], ["add", "-A"], [*me, "commit", "-qm", "All"]):
        subprocess.run(["git", *command], cwd=directory, check=True)


def test_pre_commit_installs_and_runs_the_hook(tmp_path: Path) -> None:
    need("pre_commit", "pre-commit")
    source, checked = tmp_path / "source", tmp_path / "checked"
    source.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
    (checked / "deploy").mkdir(parents=True)
    shutil.copy(DATA / "virtualservice_original.yaml", checked / "deploy" / "model.yaml")
    commit(source)
    commit(checked)
    command = [sys.executable, "-m", "pre_commit", "try-repo", str(source), "meshcors-lint"]
    done = subprocess.run(
        [*command, "--all-files", "--color", "never"],
        cwd=checked,
        env={**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "- exit code: 1\n" in done.stdout
    assert "deploy/model.yaml:8:5: error MC001 lost-preflight: " in done.stdout
