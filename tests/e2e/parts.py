"""Real parts that a test needs: without one it is skipped with the line that installs the part,
or fails if CI=true."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest


def need(module: str, package: str | None = None) -> None:
    """Skip the test if `module` cannot be imported; `package` contains it, if named differently."""
    if importlib.util.find_spec(module) is None:
        _missing(f"{module} is missing: python -m pip install {package or module}")


def need_program(name: str, package: str) -> str:
    """The path of a program; skip the test if it is missing from the Debian `package`."""
    found = shutil.which(name)
    if found is None:
        _missing(f"{name} is missing: apt-get install --no-install-recommends {package}")
    assert found is not None
    return found


def need_kubernetes_program(name: str) -> str:
    """The path of kubectl or helm; skip the test if it is missing."""
    found = shutil.which(name)
    if found is None:
        _missing(f"{name} is missing: python .ci/kubectl.py FOLDER, with FOLDER on the PATH")
    assert found is not None
    return found


def _missing(line: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(line)
    pytest.skip(line)
