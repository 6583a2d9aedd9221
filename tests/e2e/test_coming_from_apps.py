"""Whole apps change to meshcors as their pages say, word for word, and real servers run both.

A page's block has a paragraph of imports and one of code. Each paragraph of Before is in the app's
file, and the same paragraph of After takes its place; nothing else changes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from meshcors.browser import Request
from meshcors.testing import PageCall, Wire
from tests.calling import EVIL, UI
from tests.coming_from import Page
from tests.e2e.processes import free_port, running

DATA = Path(__file__).parents[1] / "data" / "coming_from"
PREVIEW = "https://pr-7.preview.example"
JSON = {"content-type": "application/json"}
SIGNED_IN = {**JSON, "authorization": "Bearer ann"}


class App(NamedTuple):
    """An app's file, its page, and how it is started in a folder."""

    name: str
    page: Page
    command: tuple[str, ...]


UVICORN = ("uvicorn", "--app-dir", "{folder}", "--port", "{port}", "fastapi_app:app")
GUNICORN = ("gunicorn", "--chdir", "{folder}", "--bind", "127.0.0.1:{port}", "flask_app:app")
APPS = (
    App("fastapi_app", Page("starlette"), UVICORN),
    App("flask_app", Page("flask-cors"), GUNICORN),
)


class Case(NamedTuple):
    """A page's call: the status that decides and the verdict, before and after."""

    app: str
    before: tuple[int, str]
    after: tuple[int, str]
    method: str = "GET"
    path: str = "/tasks"
    headers: dict[str, str] = {}  # noqa: RUF012 (it is never changed)
    origin: str = UI
    body: dict[str, Any] | None = None

    def made(self, wire: Wire, port: int) -> PageCall:
        url = f"http://127.0.0.1:{port}{self.path}"
        call = Request(self.origin, url, self.method, self.headers, "include")
        return wire.fetch(call, None if self.body is None else json.dumps(self.body).encode())


TASK = {"text": "read it aloud"}
FASTAPI, FLASK = "fastapi_app", "flask_app"
PASSES, MISSING = "allowed", "acao_missing"
CASES = (
    # what works before works after
    Case(FASTAPI, (200, PASSES), (200, PASSES)),
    Case(FASTAPI, (200, PASSES), (200, PASSES), origin=PREVIEW),
    Case(FASTAPI, (201, PASSES), (201, PASSES), "POST", headers=JSON, body=TASK),
    Case(FASTAPI, (200, PASSES), (200, PASSES), "PUT", "/tasks/1", SIGNED_IN, body=TASK),
    Case(FASTAPI, (422, PASSES), (422, PASSES), "POST", headers=JSON, body={"done": "?"}),
    Case(FASTAPI, (401, PASSES), (401, PASSES), "PUT", "/tasks/1", JSON, body=TASK),
    Case(FASTAPI, (404, PASSES), (404, PASSES), "PUT", "/tasks/9", SIGNED_IN, body=TASK),
    Case(FLASK, (200, PASSES), (200, PASSES), path="/api/products"),
    Case(FLASK, (200, PASSES), (200, PASSES), "PUT", "/api/products/1", JSON, body={"price": 4}),
    Case(FLASK, (500, PASSES), (500, PASSES), path="/api/total"),
    # what is refused stays refused
    Case(FASTAPI, (200, MISSING), (200, MISSING), origin=EVIL),
    Case(FASTAPI, (400, "preflight_not_ok"), (204, "method_not_allowed"), "DELETE", "/tasks/1"),
    Case(FLASK, (200, MISSING), (200, MISSING), path="/api/products", origin=EVIL),
    Case(
        FLASK, (200, "method_not_allowed"), (204, "method_not_allowed"), "DELETE", "/api/products/1"
    ),
    Case(FLASK, (200, MISSING), (200, MISSING), path="/"),
    # what is broken before works after
    Case(FASTAPI, (500, MISSING), (500, PASSES), path="/share"),
    Case(FLASK, (404, "preflight_not_ok"), (404, PASSES), "PUT", "/api/gone", JSON, body={}),
    Case(FLASK, (200, "acao_mismatch"), (200, PASSES), path="/api/mirrored"),
    # what nobody meant to open is open before
    Case(FLASK, (200, PASSES), (200, MISSING), path="/apiary"),
)


def changed(text: str, page: Page) -> str:
    """The app's file after the page's change."""
    before, after = (block.strip().split("\n\n") for block in page.blocks())
    for old, new in zip(before, after, strict=True):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[int, int]]]:
    """Where each app is served, before and after."""
    with ExitStack() as stack:
        found = {}
        for app in APPS:
            text = (DATA / f"{app.name}.py").read_text(encoding="utf-8")
            both = []
            for source in (text, changed(text, app.page)):
                folder, port = tmp_path_factory.mktemp(app.name), free_port()
                (folder / f"{app.name}.py").write_text(source, encoding="utf-8")
                words = [word.format(folder=folder, port=port) for word in app.command]
                stack.enter_context(running([sys.executable, "-m", *words], port))
                both.append(port)
            found[app.name] = (both[0], both[1])
        yield found


def test_each_call_ends_as_expected_before_and_after(ports: dict[str, tuple[int, int]]) -> None:
    unexpected = []
    with Wire(http2=False) as wire:
        for case in CASES:
            for port, expected in zip(ports[case.app], (case.before, case.after), strict=True):
                made = case.made(wire, port)
                response = made.decisive.response
                found = (response and response.status, made.verdict.code)
                if found != expected:
                    unexpected.append((case, expected, found))
    assert unexpected == []
