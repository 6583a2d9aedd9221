"""FastAPI, Flask and Django, all in one process, with a port for each app."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.e2e.parts import need
from tests.e2e.zoo.asgi_apps import ASGI, UPSTREAMS
from tests.e2e.zoo.envoy import ENVOY
from tests.e2e.zoo.set_up import InService, by_name
from tests.e2e.zoo.wsgi_apps import FLASK_CORS, WSGI

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the process imports: modules, and the packages that bring them.
_PARTS = (
    ("corsheaders", "django-cors-headers"),
    ("django", "django"),
    ("fastapi", "fastapi"),
    ("flask", "flask"),
    ("flask_cors", "flask-cors"),
    ("uvicorn", "uvicorn"),
    ("waitress", "waitress"),
)


@contextmanager
def running() -> Iterator[dict[str, int]]:
    """Start the process; yield the port of each set-up and of each upstream."""
    for module, package in _PARTS:
        need(module, package)
    fixes = (each.fix for each in ENVOY)
    covered = {
        fix.name: f"{UPSTREAMS[fix.service]}\napp = {fix.new}"
        for fix in fixes
        if isinstance(fix, InService)
    }
    texts_by_kind = {
        "asgi": UPSTREAMS | covered | by_name(ASGI),
        "wsgi": {"flask_cors": FLASK_CORS} | by_name(WSGI),
    }
    apps = {
        name: {"kind": kind, "lines": lines}
        for kind, texts in texts_by_kind.items()
        for name, lines in texts.items()
    }
    command = [sys.executable, "-m", "tests.e2e.zoo.app_process"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        json.dump(apps, process.stdin)
        process.stdin.close()
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=20)
        process.stdout.close()
