"""PYTHONPATH leads to the launcher's folder, in every program that a process starts or becomes.

Programs put folders of their own before it, as ``opentelemetry-instrument`` does, and Python takes
only the first sitecustomize that it finds. Ours runs the next one. Programs also start others with
an environment of their own: then the policy may be missing there, and a server says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import wraps
from typing import Any, Final

VARIABLE: Final = "PYTHONPATH"

# Where `env` is among the arguments of `subprocess.Popen`, for who passes it by position.
_ENV_OF_POPEN: Final = 10

_folder = ""


def led_by(folder: str, path: str) -> str:
    """Return the PYTHONPATH `path` with `folder` in front."""
    # An empty entry would be the current directory.
    others = [each for each in path.split(os.pathsep) if each not in ("", folder)]
    return os.pathsep.join([folder, *others])


def lead() -> None:
    """Put the folder in front in this process's environment."""
    os.environ[VARIABLE] = led_by(_folder, os.environ.get(VARIABLE, ""))


def keep(folder: str) -> None:
    """Have every ``os.exec...`` hand on `folder`."""
    global _folder
    _folder = folder
    execv, execve = os.execv, os.execve

    def execv_led(path: Any, argv: Any, /) -> Any:
        lead()
        execv(path, argv)

    def execve_led(path: Any, argv: Any, env: Mapping[Any, Any]) -> Any:
        execve(path, argv, _led(env))

    # All functions of the family call one of these two.
    os.execv = execv_led
    os.execve = execve_led


def hook_subprocess(module: Any) -> None:
    """Have every subprocess get the folder."""
    init = module.Popen.__init__

    @wraps(init)
    def init_led(self: Any, *args: Any, **kwargs: Any) -> None:
        lead()
        if kwargs.get("env") is not None:
            kwargs["env"] = _led(kwargs["env"])
        elif len(args) > _ENV_OF_POPEN and args[_ENV_OF_POPEN] is not None:
            env = _led(args[_ENV_OF_POPEN])
            args = (*args[:_ENV_OF_POPEN], env, *args[_ENV_OF_POPEN + 1 :])
        init(self, *args, **kwargs)

    module.Popen.__init__ = init_led


def hook_multiprocessing(module: Any) -> None:
    """Have every spawned process get the folder."""
    spawn = module.spawnv_passfds

    @wraps(spawn)
    def spawn_led(*args: Any) -> Any:
        lead()
        return spawn(*args)

    module.spawnv_passfds = spawn_led


def _led(env: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return `env`, whose names and values may be bytes, with the folder in front."""
    made = dict(env)
    path = made.pop(VARIABLE, None) or made.pop(VARIABLE.encode(), b"")
    made[VARIABLE] = led_by(_folder, os.fsdecode(path))
    return made
