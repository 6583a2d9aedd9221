"""Starlette and FastAPI: unhandled exceptions, and the layers outside the user's middleware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import meshcors.starlette
from meshcors import HeaderKey, MeshCORS, Policy, PolicyError
from tests.calling import EVIL, UI, call_asgi

POLICY = Policy(
    allow_origins=[UI],
    allow_methods=["PUT"],
    key=HeaderKey("model-api-key", ["xyz"], exempt_paths=["/open/*"]),
)
FIELDS = {"origin": UI, "model-api-key": "xyz"}


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def boom(request: Request) -> Response:
    raise RuntimeError("boom")


async def refuse(request: Request) -> Response:
    raise HTTPException(422, "no")


async def echo(websocket: Any) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


ROUTES = [
    Route("/hello", hello),
    Route("/slash/", hello),
    Route("/boom", boom),
    Route("/refuse", refuse),
    Route("/open/hello", hello),
    WebSocketRoute("/ws", echo),
]


def starlette_app(**options: Any) -> Any:
    return Starlette(routes=list(ROUTES), **options)


def fastapi_app(**options: Any) -> Any:
    app = FastAPI(**options)
    app.router.routes.extend(ROUTES)
    return app


def add_middleware(app: Any, policy: Policy = POLICY) -> Any:
    app.add_middleware(MeshCORS, policy=policy)
    return app


def init_app(app: Any, policy: Policy = POLICY) -> Any:
    meshcors.starlette.init_app(app, policy)
    return app


def wrapped(app: Any, policy: Policy = POLICY) -> Any:
    return MeshCORS(app, policy)


makers = pytest.mark.parametrize("make", [starlette_app, fastapi_app])
ways = pytest.mark.parametrize("way", [add_middleware, init_app, wrapped])


def client(app: Any, **options: Any) -> TestClient:
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False, **options)


# --- what is reached --------------------------------------------------------------------------


@makers
@ways
@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("GET", "/hello", FIELDS, 200),
        ("HEAD", "/hello", FIELDS, 200),
        ("GET", "/slash", FIELDS, 307),
        ("GET", "/gone", FIELDS, 404),
        ("DELETE", "/hello", FIELDS, 405),
        ("OPTIONS", "/hello", FIELDS, 405),
        ("GET", "/refuse", FIELDS, 422),
        ("GET", "/boom", FIELDS, 500),
        ("GET", "/hello", {"origin": UI}, 401),
        ("GET", "/hello", {**FIELDS, "model-api-key": "abc"}, 403),
        ("GET", "/open/hello", {"origin": UI}, 200),
    ],
)
def test_every_answer_is_readable(
    make: Any, way: Any, method: str, path: str, fields: dict[str, str], status: int
) -> None:
    answer = client(way(make())).request(method, path, headers=fields)
    assert answer.status_code == status
    assert answer.headers.get_list("access-control-allow-origin") == [UI]
    assert answer.headers["vary"] == "Origin, model-api-key"


@makers
@ways
@pytest.mark.parametrize("path", ["/hello", "/slash", "//hello", "/gone", "/boom", "/ws"])
def test_preflight_is_answered_before_routing(make: Any, way: Any, path: str) -> None:
    fields = {"origin": UI, "access-control-request-method": "PUT"}
    url = f"http://testserver{path}"
    answer = client(way(make())).options(url, headers=fields)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "PUT"


@ways
def test_lifespan_runs(way: Any) -> None:
    events: list[str] = []

    async def lifespan(app: Any) -> Any:
        events.append("up")
        yield {"state": 1}
        events.append("down")

    from contextlib import asynccontextmanager

    app = way(starlette_app(lifespan=asynccontextmanager(lifespan)))
    with client(app) as used:
        assert used.get("/hello", headers=FIELDS).text == "hello"
    assert events == ["up", "down"]


@ways
@pytest.mark.parametrize("origin", [UI, "http://testserver", None])
def test_websocket_is_accepted(way: Any, origin: str | None) -> None:
    headers = {"model-api-key": "xyz"} | ({"origin": origin} if origin else {})
    with client(way(starlette_app())).websocket_connect("/ws", headers=headers) as socket:
        socket.send_text("x")
        assert socket.receive_text() == "x"


@ways
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": EVIL, "model-api-key": "xyz"}, 403),
        ({"origin": UI}, 401),
        ({"origin": UI, "model-api-key": "abc"}, 403),
    ],
)
def test_websocket_is_refused(way: Any, headers: dict[str, str], status: int) -> None:
    from starlette.testclient import WebSocketDenialResponse

    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client(way(starlette_app())).websocket_connect("/ws", headers=headers),
    ):
        pytest.fail("accepted")
    assert denied.value.status_code == status
    assert issubclass(WebSocketDenialResponse, WebSocketDisconnect)


# --- unhandled exceptions ---------------------------------------------------------------------


async def async_handler(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 500, {"x-own": "1"})


def sync_handler(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 500, {"x-own": "1"})


async def streaming_handler(request: Request, error: Exception) -> Response:
    async def parts() -> Any:
        yield b'{"error":'
        yield f'"{error}"}}'.encode()

    return StreamingResponse(parts(), 500, {"x-own": "1"})


@makers
@ways
@pytest.mark.parametrize("handler", [async_handler, sync_handler, streaming_handler])
@pytest.mark.parametrize("key", [500, Exception], ids=["500", "Exception"])
def test_the_apps_own_handler_makes_the_body(make: Any, way: Any, handler: Any, key: Any) -> None:
    app = way(make(exception_handlers={key: handler}))
    answer = client(app).get("/boom", headers=FIELDS)
    assert (answer.status_code, answer.json()) == (500, {"error": "boom"})
    assert answer.headers["x-own"] == "1"
    assert answer.headers["access-control-allow-origin"] == UI
    with pytest.raises(RuntimeError, match="boom") as raised:
        TestClient(app).get("/boom", headers=FIELDS)
    assert raised.value.__context__ is None


@ways
def test_handler_runs_once(way: Any) -> None:
    calls: list[str] = []

    def handler(request: Request, error: Exception) -> Response:
        calls.append(str(error))
        return PlainTextResponse("own", 500)

    client(way(starlette_app(exception_handlers={Exception: handler}))).get("/boom", headers=FIELDS)
    assert calls == ["boom"]


@makers
@ways
@pytest.mark.parametrize("first", [500, Exception], ids=["500 first", "Exception first"])
def test_of_two_handlers_the_one_that_starlette_takes(make: Any, way: Any, first: Any) -> None:
    def named(name: str) -> Callable[[Request, Exception], Response]:
        return lambda request, error: PlainTextResponse(name, 500)

    keys = [first, Exception if first == 500 else 500]
    handlers = {key: named(str(key)) for key in keys}
    plain = client(make(exception_handlers=handlers)).get("/boom").text
    assert client(way(make(exception_handlers=handlers))).get("/boom", headers=FIELDS).text == plain


@pytest.mark.parametrize("make", [starlette_app, fastapi_app])
def test_handler_that_fails(make: Any) -> None:
    calls: list[str] = []

    def handler(request: Request, error: Exception) -> Response:
        calls.append(str(error))
        raise LookupError("in the handler")

    app = add_middleware(make(exception_handlers={500: handler}))
    with pytest.raises(LookupError, match="in the handler") as raised:
        TestClient(app).get("/boom", headers=FIELDS)
    assert isinstance(raised.value.__context__, RuntimeError)
    assert calls == ["boom"]
    # Only init_app's layer can still answer.
    answer = client(init_app(make(exception_handlers={500: handler}))).get("/boom", headers=FIELDS)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["access-control-allow-origin"] == UI


def test_handler_whose_answer_breaks_off() -> None:
    async def handler(request: Request, error: Exception) -> Response:
        async def parts() -> Any:
            yield b"part"
            raise LookupError("while streaming")

        return StreamingResponse(parts(), 500)

    app = add_middleware(starlette_app(exception_handlers={500: handler}))
    # Called directly: an older TestClient loses the sent part of a body that breaks off.
    answer = call_asgi(app, path="/boom", headers=FIELDS.items())
    assert (answer.status, answer.get("access-control-allow-origin")) == (500, UI)
    assert answer.body.startswith(b"part")


@makers
def test_debug_page_is_left_alone(make: Any) -> None:
    answer = client(add_middleware(make(debug=True))).get("/boom", headers=FIELDS)
    assert answer.status_code == 500
    assert "Traceback" in answer.text
    assert "access-control-allow-origin" not in answer.headers
    # It is inside the layer that init_app adds.
    answer = client(init_app(make(debug=True))).get("/boom", headers=FIELDS)
    assert "Traceback" in answer.text
    assert answer.headers["access-control-allow-origin"] == UI


@makers
@ways
def test_error_after_the_start_is_only_raised(make: Any, way: Any) -> None:
    async def breaks_off(request: Request) -> Response:
        async def parts() -> Any:
            yield b"part"
            raise RuntimeError("late")

        return StreamingResponse(parts())

    app = make()
    app.add_route("/late", breaks_off)
    answer = call_asgi(way(app), path="/late", headers=FIELDS.items())
    assert (answer.status, answer.body) == (200, b"part")
    assert str(answer.raised) == "late"


def test_error_between_us_and_a_mounted_app_is_answered_by_the_outer_apps_handler() -> None:
    def named(name: str) -> Callable[[Request, Exception], Response]:
        return lambda request, error: PlainTextResponse(name, 500)

    inner = Starlette(routes=[Route("/x", hello)], exception_handlers={500: named("inner")})
    app = Starlette(routes=[Mount("/in", inner)], exception_handlers={500: named("outer")})

    async def breaks(request: Request, call_next: Any) -> Response:
        await call_next(request)
        raise RuntimeError("after the inner app")

    app.add_middleware(BaseHTTPMiddleware, dispatch=breaks)
    answer = client(add_middleware(app)).get("/in/x", headers=FIELDS)
    assert (answer.status_code, answer.text) == (500, "outer")
    assert answer.headers["access-control-allow-origin"] == UI


@ways
def test_middleware_around_and_below(way: Any) -> None:
    async def mark(request: Request, call_next: Any) -> Response:
        answer: Response = await call_next(request)
        answer.headers["x-seen"] = "1"
        answer.headers["access-control-allow-origin"] = "*"
        return answer

    app = starlette_app()
    app.add_middleware(BaseHTTPMiddleware, dispatch=mark)
    answer = client(way(app)).get("/hello", headers=FIELDS)
    assert answer.headers["x-seen"] == "1"
    assert answer.headers.get_list("access-control-allow-origin") == [UI]


# --- init_app ---------------------------------------------------------------------------------


def test_init_app_takes_a_policy_its_options_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    for options in ({"policy": Policy(allow_origins=[UI])}, {"allow_origins": [UI]}, {}):
        app = starlette_app()
        meshcors.starlette.init_app(app, **options)  # type: ignore[arg-type]  # one of three forms
        answer = client(app).get("/hello", headers={"origin": UI})
        assert answer.headers["access-control-allow-origin"] == UI


def test_init_app_is_outermost_whatever_is_added_later() -> None:
    app = init_app(starlette_app())

    class Short:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("short", 429)(scope, receive, send)

    app.add_middleware(Short)
    answer = client(app).get("/hello", headers=FIELDS)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (429, UI)
    assert client(app).get("/hello").status_code == 401


def test_init_app_comes_before_the_first_request() -> None:
    app = starlette_app()
    client(app).get("/hello")
    with pytest.raises(RuntimeError, match="before the first request"):
        meshcors.starlette.init_app(app, POLICY)


def test_wrong_options_are_said_at_once() -> None:
    app = starlette_app()
    with pytest.raises(PolicyError):
        meshcors.starlette.init_app(app, allow_origins="*")  # type: ignore[arg-type]  # a string
    assert app.middleware_stack is None
    app.add_middleware(MeshCORS, allow_origins=["*"], allow_credentials=True)
    # It is too late to raise: see tests/e2e/test_start.py.
    assert TestClient(app).get("/hello").status_code == 500
