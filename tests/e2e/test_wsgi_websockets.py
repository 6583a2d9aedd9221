"""WebSockets of WSGI apps, which take the server's socket, on servers that hand it out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.matrix.wire import HANDSHAKE, Request, ask
from tests.e2e.processes import free_port, running

APP = """
from flask import Flask
from flask_sock import Sock

import meshcors.flask
from meshcors import HeaderKey

app = Flask(__name__)
sock = Sock(app)
meshcors.flask.init_app(
    app,
    allow_origins=["https://ui.example"],
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/open/*"]),
)


@sock.route("/open/chat")
@sock.route("/chat")
def chat(connection):
    connection.send("hello")


@app.get("/open/page")
def page():
    return "page"
"""
SERVERS = {
    "gunicorn": "gunicorn --threads 4 --bind 127.0.0.1:{port} service:app",
    "werkzeug": "flask --app service:app run --port {port}",
}
KEY = b"model-api-key: xyz"
UI, STRANGER, OWN = (
    f"Origin: {origin}".encode()
    for origin in ("https://ui.example", "https://evil.example", "http://api.example")
)
# path, fields, and the refusal, or None where the app's WebSocket opens
CASES: list[tuple[str, tuple[bytes, ...], tuple[int, str] | None]] = [
    ("/open/chat", (UI,), None),
    ("/open/chat", (OWN,), None),
    ("/open/chat", (), None),
    ("/open/chat", (STRANGER,), (403, "origin_not_allowed")),
    ("/open/chat", (b"Origin: null",), (403, "origin_not_allowed")),
    ("/open/chat", (KEY, STRANGER), (403, "origin_not_allowed")),
    ("/chat", (KEY,), None),
    ("/chat", (KEY, STRANGER), (403, "origin_not_allowed")),
    ("/chat", (UI,), (401, "key_missing")),
    ("/chat", (), (401, "key_missing")),
]


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("wsgi")
    (folder / "service.py").write_text(APP, encoding="utf-8")
    port = free_port()
    command = SERVERS[request.param].format(port=port).split()
    with running([sys.executable, "-m", *command], port, env={"PYTHONPATH": str(folder)}):
        yield port


def test_strangers_stay_out(port: int) -> None:
    for path, fields, refused in CASES:
        said = ask(port, Request(path.encode(), fields=(*fields, *HANDSHAKE)))
        assert said is not None, (path, fields)
        if refused is None:
            assert said.status == 101, (path, fields)
        else:
            assert (said.status, json.loads(said.body)["reason"]) == refused, (path, fields)


def test_a_stranger_that_opens_no_websocket_is_answered(port: int) -> None:
    said = ask(port, Request(b"/open/page", fields=(STRANGER,)))
    assert said is not None
    assert (said.status, said.body) == (200, b"page")
    assert "access-control-allow-origin" not in said.headers
