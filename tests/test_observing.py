"""The page on observing: its code, in services that are started, says what the page shows."""

from __future__ import annotations

import re
from http.client import HTTPConnection
from pathlib import Path

from tests.e2e.processes import Running
from tests.test_changing_policies import GUNICORN, UVICORN, eventually, served

PAGE = (Path(__file__).parent.parent / "docs" / "observing.md").read_text(encoding="utf-8")
LOG, NOTE, COUNT, SPAN = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES, COUNTS = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
POLICY = """
from meshcors import HeaderKey, Policy
policy = Policy(
    allow_origins=["https://ui.example"], key=HeaderKey("model-api-key", ["the-secret"])
)
"""
FASTAPI = f"""
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest
{POLICY}
app = FastAPI()
{LOG}
{COUNT}
@app.get("/metrics")
def metrics() -> PlainTextResponse:
    return PlainTextResponse(generate_latest())
"""
FLASK = f"""
from flask import Flask
import meshcors.flask
{POLICY}
app = Flask(__name__)
{LOG}
{NOTE.replace("app.add_middleware(MeshCORS, policy=policy, observer=note)", "")}
meshcors.flask.init_app(app, policy, observer=note)
"""
OPENTELEMETRY = f"""
from fastapi import FastAPI
{POLICY}
app = FastAPI()
{SPAN}
"""


def ask(port: int, method: str, path: str, origin: str, **headers: str) -> str:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers={"origin": origin, **sent})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def ask_what_the_page_shows(port: int) -> None:
    stranger, page = "https://stranger.example", "https://ui.example"
    ask(port, "OPTIONS", "/v1/predict?q=1", stranger, access_control_request_method="GET")
    ask(port, "GET", "/v1/predict?q=1", page)
    ask(port, "OPTIONS", "/v1/predict", page, access_control_request_method="GET")


def is_logged(server: Running) -> bool:
    return set(LINES.splitlines()) <= set(server.output.splitlines())


def test_under_uvicorn(tmp_path: Path) -> None:
    with served(tmp_path, FASTAPI, UVICORN) as (port, server):
        ask_what_the_page_shows(port)
        eventually("it is logged", lambda: is_logged(server), server)
        counted = ask(port, "GET", "/metrics", "https://ui.example", model_api_key="the-secret")
        assert [line for line in COUNTS.splitlines() if line not in counted.splitlines()] == []
        assert "the-secret" not in server.output


def test_under_gunicorn(tmp_path: Path) -> None:
    with served(tmp_path, FLASK, GUNICORN) as (port, server):
        ask_what_the_page_shows(port)
        eventually("it is logged", lambda: is_logged(server), server)
        # By the observer.
        assert "real key_missing https://ui.example /v1/predict" in server.output


def test_a_service_with_opentelemetry(tmp_path: Path) -> None:
    with served(tmp_path, OPENTELEMETRY, UVICORN) as (port, _):
        assert "key_missing" in ask(port, "GET", "/", "https://ui.example")
