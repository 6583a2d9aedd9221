"""Real parts that a test needs: skipped with the line that installs it, failed where CI=true."""

from __future__ import annotations

import importlib.util
import os

import pytest


def need(module: str, package: str | None = None) -> None:
    """Skip the test where `module` cannot be imported; `package` brings it, if named otherwise."""
    if importlib.util.find_spec(module) is None:
        line = f"{module} is missing: python -m pip install {package or module}"
        if os.environ.get("CI") == "true":
            pytest.fail(line)
        pytest.skip(line)
