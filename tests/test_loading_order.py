"""Model servers that are read, not run: an app put together in the order of each one's source.

The layers are stand-ins: they answer by themselves where the stack's own would. What is asked is
whether the page can read that answer.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import fastapi
import pytest
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.responses import PlainTextResponse, StreamingResponse

import meshcors
import meshcors.starlette
import meshcors.wrap
from meshcors import HeaderKey, MeshCORS, Policy
from tests.calling import EVIL, UI, call_asgi, preflight
from tests.stacks.page import read_stacks

POLICY = Policy(allow_origins=[UI], key=HeaderKey("model-api-key", values=["xyz"]))
ENVIRONMENT = {
    "MESHCORS_ALLOW_ORIGINS": UI,
    "MESHCORS_KEY_HEADER": "model-api-key",
    "MESHCORS_KEY_VALUES": "xyz",
}
FIELDS = (("origin", UI), ("model-api-key", "xyz"))
ANY = {
    "allow_origins": ["*"],
    "allow_credentials": True,
    "allow_methods": ["*"],
    "allow_headers": ["*"],
}


class Answers:
    """A layer that answers some path itself, as one that checks a token, an address or a state."""

    def __init__(self, app: Any, status: int, path: str = "/layer") -> None:
        self.app, self.status, self.path = app, status, path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == self.path:
            await PlainTextResponse("no", self.status)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def service() -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.post("/v1/chat/completions")
    def complete() -> str:
        return "done"

    @app.get("/stream")
    def stream() -> StreamingResponse:
        return StreamingResponse(str(number) for number in range(3))

    @app.post("/fails")
    def fail() -> str:
        raise RuntimeError

    return app


def with_request_ids(app: fastapi.FastAPI) -> None:
    @app.middleware("http")
    async def add(request: fastapi.Request, call_next: Any) -> Any:
        answer = await call_next(request)
        answer.headers["x-request-id"] = "1"
        return answer


def vllm() -> Any:
    app = service()
    app.add_middleware(CORSMiddleware, **ANY)

    @app.exception_handler(Exception)
    async def handle(*_: Any) -> JSONResponse:
        return JSONResponse({"error": "internal"}, 500)

    app.add_middleware(Answers, status=401)
    app.add_middleware(Answers, status=503, path="/scaling")
    # --middleware: a class that is named is added without arguments.
    module, name = "meshcors", "MeshCORS"
    app.add_middleware(getattr(importlib.import_module(module), name))
    return app


def sglang() -> Any:
    app = service()
    app.add_middleware(CORSMiddleware, **ANY)
    app.add_middleware(Answers, status=401)
    return MeshCORS(app, POLICY)


def transformers() -> Any:
    app = service()
    app.add_middleware(CORSMiddleware, **ANY)
    with_request_ids(app)
    app.add_api_route("/layer", lambda: PlainTextResponse("dead", 503), methods=["POST"])
    return MeshCORS(app, POLICY)


def xinference() -> Any:
    app = service()
    app.add_middleware(Answers, status=429, path="/guard")
    app.add_middleware(CORSMiddleware, **ANY)
    app.add_middleware(Answers, status=403)
    return MeshCORS(app, POLICY)


def llama_cpp() -> Any:
    app = service()
    app.add_middleware(CORSMiddleware, **ANY)
    app.add_api_route("/layer", lambda: PlainTextResponse("no", 401), methods=["POST"])
    return app


# What its layers answer, by the path that they answer here.
ORDERS: dict[str, tuple[Callable[[], Any], dict[str, int]]] = {
    "vllm": (vllm, {"/layer": 401, "/scaling": 503}),
    "sglang": (sglang, {"/layer": 401}),
    "transformers": (transformers, {"/layer": 503}),
    "xinference": (xinference, {"/layer": 403, "/guard": 429}),
    "llama_cpp": (llama_cpp, {"/layer": 401}),
}


@pytest.fixture(params=ORDERS)
def order(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, dict[str, int]]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    make, layers = ORDERS[request.param]
    app = make()
    if request.param == "llama_cpp":
        # As MESHCORS_APP does with what the function returns.
        app = meshcors.wrap.create_app(app=app)
    return app, layers


def test_page_reads_every_answer(order: tuple[Any, dict[str, int]]) -> None:
    app, layers = order
    for method, path, expected in (
        ("POST", "/v1/chat/completions", 200),
        ("POST", "/nowhere", 404),
        ("GET", "/v1/chat/completions", 405),
        *(("POST", path, status) for path, status in layers.items()),
        ("POST", "/fails", 500),
    ):
        answer = call_asgi(app, method, path, FIELDS)
        assert (path, answer.status) == (path, expected)
        assert (path, answer.every("access-control-allow-origin")) == (path, [UI])
        assert "origin" in answer.names("vary")


def test_pieces_of_a_stream_pass_one_by_one(order: tuple[Any, dict[str, int]]) -> None:
    app, _ = order
    answer = call_asgi(app, "GET", "/stream", FIELDS)
    assert answer.get("access-control-allow-origin") == UI
    bodies = [message.get("body") for message in answer.messages]
    assert [body for body in bodies if body] == [b"0", b"1", b"2"]


def test_policy_answers_first(order: tuple[Any, dict[str, int]]) -> None:
    app, _ = order
    path = "/v1/chat/completions"
    assert call_asgi(app, "OPTIONS", path, preflight(UI)).status == 204
    assert call_asgi(app, "OPTIONS", "/layer", preflight(UI)).status == 204
    assert call_asgi(app, "OPTIONS", path, preflight(EVIL)).cors == set()
    assert call_asgi(app, "POST", path, [("origin", UI)]).status == 401
    stranger = call_asgi(app, "POST", path, [("origin", EVIL), ("model-api-key", "xyz")])
    assert (stranger.status, stranger.cors) == (200, set())


def test_layer_that_sglang_adds_at_launch_is_outside_of_add_middleware() -> None:
    app = service()
    app.add_middleware(MeshCORS, policy=POLICY)
    app.add_middleware(Answers, status=401)
    assert call_asgi(app, "POST", "/layer", FIELDS).cors == set()
    # init_app stays around whatever is added later.
    app = service()
    meshcors.starlette.init_app(app, POLICY)
    app.add_middleware(Answers, status=401)
    answer = call_asgi(app, "POST", "/layer", FIELDS)
    assert (answer.status, answer.get("access-control-allow-origin")) == (401, UI)


def test_every_stack_that_is_read_is_built_here_or_has_no_hook() -> None:
    assert [row["name"] for row in read_stacks() if row["line"]] == list(ORDERS)
