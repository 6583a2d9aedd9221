"""What uvicorn logs of a refused WebSocket handshake: no more than of any app's refusal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.matrix.wire import HANDSHAKE, Request, ask
from tests.e2e.processes import free_port, running

if TYPE_CHECKING:
    from pathlib import Path

# Behind the middleware, and an app that sends the same by itself.
APPS = """
import json
from meshcors import MeshCORS


async def app(scope, receive, send):
    raise NotImplementedError


ours = MeshCORS(app, allow_origins=["https://ui.example"])


async def bare(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"refused"})
"""


def refused(app: str, implementation: str, folder: Path) -> list[str]:
    """The lines at ERROR of a server that refuses three handshakes."""
    port = free_port()
    words = ["uvicorn", f"refusing:{app}", "--lifespan", "off", "--ws", implementation]
    command = [sys.executable, "-m", *words, "--port", str(port)]
    with running(command, port, env={"PYTHONPATH": str(folder)}) as server:
        for _ in range(3):
            said = ask(port, Request(b"/", fields=(b"Origin: https://evil.example", *HANDSHAKE)))
            assert said is not None
            assert said.status == 403
        server.process.terminate()
        server.process.wait(timeout=60)
        return [line for line in server.output.splitlines() if line.startswith("ERROR")]


@pytest.mark.parametrize("implementation", ["auto", "wsproto"])
def test_a_refusal_is_logged_as_that_of_any_app(implementation: str, tmp_path: Path) -> None:
    (tmp_path / "refusing.py").write_text(APPS, encoding="utf-8")
    found = [refused(app, implementation, tmp_path) for app in ("ours", "bare")]
    assert found[0] == found[1]
    assert not found[0] or implementation == "auto"
