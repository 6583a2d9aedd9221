"""Real parts that a test needs: without one it is skipped with the line that installs the part,
or fails if CI=true."""

from __future__ import annotations

import importlib.util
import os

import pytest


def need(module: str, package: str | None = None) -> None:
    """Skip the test if `module` cannot be imported; `package` contains it, if named differently."""
    if importlib.util.find_spec(module) is None:
        line = f"{module} is missing: python -m pip install {package or module}"
        if os.environ.get("CI") == "true":
            pytest.fail(line)
        pytest.skip(line)
