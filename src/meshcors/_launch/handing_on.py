"""PYTHONPATH begins with the launcher's folder, also in what a process becomes with ``exec``.

Others put folders of their own before it, as ``opentelemetry-instrument`` does, and Python takes
only the first sitecustomize that it finds. Ours runs the next one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

VARIABLE = "PYTHONPATH"


def led_by(folder: str, path: str) -> str:
    """Return the PYTHONPATH `path` with `folder` in front."""
    # An empty entry would be the current directory.
    others = [each for each in path.split(os.pathsep) if each not in ("", folder)]
    return os.pathsep.join([folder, *others])


def keep(folder: str) -> None:
    """Have every ``os.exec...`` hand on `folder`."""
    execv, execve = os.execv, os.execve

    def execv_led(path: Any, argv: Any, /) -> Any:
        os.environ[VARIABLE] = led_by(folder, os.environ.get(VARIABLE, ""))
        execv(path, argv)

    def execve_led(path: Any, argv: Any, env: Mapping[Any, Any]) -> Any:
        execve(path, argv, {**env, VARIABLE: led_by(folder, str(env.get(VARIABLE, "")))})

    # All functions of the family call one of these two.
    os.execv = execv_led
    os.execve = execve_led
