"""An exception ends as it would without the middleware, with CORS fields where we answer it.

One table of stacks with a place for a layer. Each runs with nothing in that place, with a layer
that only passes, with another library's CORS middleware and with ours. Status, body, what reaches
the server, what is logged with a traceback and how often handlers run must be equal.
"""

from __future__ import annotations

import _thread
import asyncio
import logging
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import bottle
import falcon
import fastapi
import flask
import flask_cors
import litestar
import litestar.exceptions
import pytest
import quart
from litestar.middleware import DefineMiddleware
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware as OpenTelemetryWSGI
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import meshcors
import meshcors.wsgi
from meshcors import Policy, Rule
from meshcors._decision import call_stack
from tests.calling import (
    EVIL,
    UI,
    Answered,
    as_server,
    call_asgi,
    call_wsgi,
    environ_of,
    http_scope,
)

with warnings.catch_warnings():
    # connexion imports a part of jsonschema that is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import connexion

POLICY = Policy(allow_origins=[UI])
Layer = Callable[[Any], Any]


class OwnError(Exception):
    """An exception for which every app below has a handler."""


class Calls:
    """How often the apps' handlers ran."""

    count = 0


ERRORS: dict[str, Callable[[], BaseException]] = {
    "/value": lambda: ValueError("value"),
    "/permission": lambda: PermissionError("permission"),
    "/own": lambda: OwnError("own"),
    "/http": lambda: HTTPException(401, "http", {"www-authenticate": "Basic"}),
    "/teapot": lambda: HTTPException(418, "teapot"),
    "/group": lambda: ExceptionGroup("group", [ValueError("one"), ValueError("two")]),
}


def fail(path: str) -> None:
    error = ERRORS.get(path)
    if error is not None:
        raise error()


# --- ASGI: what is in the place ---------------------------------------------------------------


class Passing:
    """A layer that only passes."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def nothing(app: Any) -> Any:
    return app


def starlettes(app: Any) -> Any:
    return CORSMiddleware(app, allow_origins=[UI])


def ours(app: Any) -> Any:
    return meshcors.MeshCORS(app, POLICY)


# --- ASGI: what is around it ------------------------------------------------------------------


ELSEWHERE = [Rule(Policy(allow_origins=[EVIL]), hosts=["other.example"])]


def elsewhere(app: Any) -> Any:
    return meshcors.MeshCORS(app, rules=ELSEWHERE)


def wsgi_elsewhere(app: Any) -> Any:
    return meshcors.wsgi.MeshCORS(app, rules=ELSEWHERE)


async def raw(scope: Any, receive: Any, send: Any) -> None:
    fail(scope["path"])
    await PlainTextResponse("raw")(scope, receive, send)


class Catching:
    """A user's own layer that turns exceptions into answers, with arguments of any names."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, s: Any, r: Any, out: Any) -> None:
        try:
            await self.call(s, r, out)
        except PermissionError:
            await JSONResponse({"caught": "permission"}, 403)(s, r, out)
        except Exception as error:
            Calls.count += 1
            await JSONResponse({"caught": str(error)}, 500)(s, r, out)

    async def call(self, *connection: Any) -> None:
        await self.app(*connection)


class CatchingTask(Catching):
    """The same, with the app below in a task of its own, as time limits run it."""

    async def call(self, *connection: Any) -> None:
        await asyncio.ensure_future(self.app(*connection))


class CatchingClosure(Catching):
    """The same, with a coroutine of its own between."""

    async def call(self, *connection: Any) -> None:
        async def run() -> None:
            await self.app(*connection)

        await asyncio.create_task(run())


class CatchingWithin(Catching):
    """The same, below a time limit."""

    async def call(self, *connection: Any) -> None:
        await asyncio.wait_for(self.app(*connection), 10)


class CatchingGroup(Catching):
    async def call(self, *connection: Any) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.app(*connection))
        except* ValueError as caught:
            raise caught.exceptions[0] from None


async def dispatch_catching(request: Any, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except PermissionError:
        return JSONResponse({"caught": "permission"}, 403)
    except ValueError as error:
        return JSONResponse({"caught": str(error)}, 500)


async def dispatch_passing(request: Any, call_next: Any) -> Any:
    return await call_next(request)


class RaisingAnother(Passing):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except ValueError as error:
            raise LookupError("another") from error


async def endpoint(request: Any) -> Any:
    fail(request.scope["path"].removeprefix("/in"))
    return PlainTextResponse("fine")


def own_handler(request: Any, error: Exception) -> Any:
    Calls.count += 1
    return JSONResponse({"own": str(error)}, 409)


async def own_async_handler(request: Any, error: Exception) -> Any:
    return own_handler(request, error)


def last_handler(request: Any, error: Exception) -> Any:
    Calls.count += 1
    return JSONResponse({"last": str(error)}, 500)


async def last_async_handler(request: Any, error: Exception) -> Any:
    return last_handler(request, error)


class CallableHandler:
    async def __call__(self, request: Any, error: Exception) -> Any:
        return last_handler(request, error)


def failing_handler(request: Any, error: Exception) -> Any:
    Calls.count += 1
    raise LookupError("in the handler")


HANDLERS: dict[Any, Any] = {OwnError: own_handler, 418: own_async_handler}
ROUTES = [Route(path, endpoint) for path in (*ERRORS, "/fine")]
IN = [Mount("/in", routes=ROUTES)]


def starlette(layers: Iterable[Any], handlers: Any = HANDLERS, **options: Any) -> Any:
    """An app whose user middleware is `layers`, the outermost first."""
    app = Starlette(routes=[*ROUTES, *IN], exception_handlers=handlers, **options)
    for layer in reversed([*layers]):
        app.add_middleware(layer)
    return app


def fastapi_app(layers: Iterable[Any], handlers: Any = HANDLERS) -> Any:
    app = fastapi.FastAPI(exception_handlers=handlers)
    for path in (*ERRORS, "/fine"):
        app.add_api_route(path, fastapi_endpoint, methods=["GET"])
        app.add_api_route(f"/typed{path}", typed, methods=["GET"])
    for layer in reversed([*layers]):
        app.add_middleware(layer)
    return app


async def fastapi_endpoint(request: fastapi.Request) -> str:
    fail(request.url.path.removeprefix("/in"))
    return "fine"


def typed(number: int) -> int:
    return number


def fastapi_decorated(layer: Layer) -> Any:
    """`add_middleware` first, then a decorated function, which is therefore outside."""
    app = fastapi_app([layer])
    app.middleware("http")(dispatch_catching)
    return app


def base(dispatch: Any) -> Layer:
    return lambda app: BaseHTTPMiddleware(app, dispatch)


def mounted(app: Any, layer: Layer = nothing, handlers: Any = HANDLERS) -> Any:
    return starlette_of([Mount("/in", app), *ROUTES], layer, handlers)


def starlette_of(routes: list[Any], layer: Layer = nothing, handlers: Any = HANDLERS) -> Any:
    middleware = [Middleware(layer)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


def static() -> Any:
    return StaticFiles(directory=Path(__file__).parent)


@litestar.get(list(ERRORS))
async def litestar_endpoint(request: litestar.Request[Any, Any, Any]) -> None:
    fail(request.url.path)


@litestar.get("/auth", middleware=[])
async def litestar_auth() -> None:
    raise litestar.exceptions.NotAuthorizedException("no", headers={"x-own": "1"})


@litestar.get("/limit")
async def litestar_limit() -> None:
    raise litestar.exceptions.TooManyRequestsException("slow down")


def litestar_own(request: Any, error: Exception) -> Any:
    Calls.count += 1
    return litestar.Response({"own": str(error)}, status_code=409)


class LitestarAuth:
    """A route's authentication, which refuses before the route runs."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise litestar.exceptions.NotAuthorizedException("who are you")


@litestar.get("/route-auth", middleware=[LitestarAuth])
async def litestar_route_auth() -> None: ...


def litestar_app(layer: Layer) -> Any:
    middleware = [] if layer is nothing else [DefineMiddleware(layer)]
    return litestar.Litestar(
        [litestar_endpoint, litestar_auth, litestar_limit, litestar_route_auth],
        middleware=middleware,
        exception_handlers={OwnError: litestar_own},
    )


def quart_app(layer: Layer) -> Any:
    app = quart.Quart(__name__)

    @app.get("/<path:name>")
    async def serve(name: str) -> str:
        fail(f"/{name}")
        return "fine"

    @app.errorhandler(OwnError)
    async def handle(error: Exception) -> Any:
        Calls.count += 1
        return {"own": str(error)}, 409

    app.asgi_app = layer(app.asgi_app)
    return app


def connexion_app(layer: Layer) -> Any:
    operation = {"operationId": "unused", "responses": {"200": {"description": "fine"}}}
    specification = {
        "openapi": "3.0.0",
        "info": {"title": "x", "version": "1"},
        "paths": {path: {"get": operation} for path in (*ERRORS, "/fine")},
    }
    app = connexion.AsyncApp(__name__)
    app.add_api(specification, resolver=ConnexionResolver())
    app.add_error_handler(OwnError, own_handler_of_connexion)
    if layer is not nothing:
        app.add_middleware(layer)
    return app


class ConnexionResolver(connexion.Resolver):
    def resolve(self, operation: Any) -> Any:
        async def serve() -> str:
            fail(operation.path)
            return "fine"

        return connexion.resolver.Resolution(serve, operation.path)


def own_handler_of_connexion(request: Any, error: Exception) -> Any:
    Calls.count += 1
    return connexion.lifecycle.ConnexionResponse(status_code=409, body=str(error))


@dataclass(frozen=True)
class Stack:
    """An app with a place for a layer.

    `bare` are the paths that are answered outside of the place, without CORS fields; the reason is
    beside each stack.
    """

    name: str
    build: Callable[[Layer], Any]
    bare: Any = ()
    paths: tuple[str, ...] = (*ERRORS, "/fine", "/missing")

    def is_bare(self, path: str) -> bool:
        return (self.bare is ALL_FAILURES and path in ERRORS) or path in self.bare


ALL_FAILURES = "every failure"
IN_PATHS = tuple(f"/in{path}" for path in (*ERRORS, "/fine", "/missing"))
CAUGHT = ("/value", "/permission")

ASGI_STACKS = [
    Stack("the app alone", lambda layer: layer(raw)),
    Stack("a layer that passes outside", lambda layer: GZipMiddleware(layer(raw))),
    # A user's own layer answers, outside the middleware.
    Stack("catch-all outside", lambda layer: Catching(layer(raw)), ALL_FAILURES),
    Stack("catch-all outside, task", lambda layer: CatchingTask(layer(raw)), ALL_FAILURES),
    Stack("catch-all outside, closure", lambda layer: CatchingClosure(layer(raw)), ALL_FAILURES),
    Stack("catch-all outside, limit", lambda layer: CatchingWithin(layer(raw)), ALL_FAILURES),
    Stack("catch-all outside, group", lambda layer: CatchingGroup(layer(raw)), ALL_FAILURES),
    Stack("catch-all inside", lambda layer: layer(Catching(raw))),
    Stack("ours outside, of other hosts", lambda layer: elsewhere(layer(raw))),
    # It may answer; otherwise the server does.
    Stack("dispatch outside", lambda layer: base(dispatch_catching)(layer(raw)), ALL_FAILURES),
    Stack("starlette", lambda layer: starlette([layer])),
    Stack("starlette, last handler", lambda layer: starlette([layer], {500: last_handler})),
    Stack(
        "starlette, last handler async",
        lambda layer: starlette([layer], {**HANDLERS, Exception: last_async_handler}),
    ),
    Stack(
        "starlette, last handler an object",
        lambda layer: starlette([layer], {Exception: CallableHandler()}),
    ),
    # The server answers the handler's own failure.
    Stack(
        "starlette, last handler fails",
        lambda layer: starlette([layer], {500: failing_handler}),
        ("/value", "/permission", "/group", "/own"),
    ),
    # The debug page with the traceback is left as it is.
    Stack(
        "starlette, debug",
        lambda layer: starlette([layer], debug=True),
        ("/value", "/permission", "/group"),
    ),
    Stack("starlette, around the app", lambda layer: layer(starlette([]))),
    Stack("starlette, a passing layer outside", lambda layer: starlette([Passing, layer])),
    Stack(
        "starlette, passing dispatch outside",
        lambda layer: starlette([base(dispatch_passing), layer]),
    ),
    # The user's layer answers what it catches.
    Stack(
        "starlette, catch-all outside",
        lambda layer: starlette([Catching, layer]),
        ("/value", "/permission", "/group"),
    ),
    Stack(
        "starlette, dispatch outside",
        lambda layer: starlette([base(dispatch_catching), layer], {**HANDLERS, 500: last_handler}),
        CAUGHT,
    ),
    Stack("starlette, another error outside", lambda app: starlette([RaisingAnother, app])),
    Stack("starlette, dispatch inside", lambda layer: starlette([layer, base(dispatch_catching)])),
    Stack("fastapi", lambda layer: fastapi_app([layer]), paths=(*ERRORS, "/typed/fine?number=x")),
    Stack("fastapi, decorated outside", fastapi_decorated, CAUGHT),
    Stack(
        "fastapi, last handler",
        lambda layer: fastapi_app([layer], {**HANDLERS, Exception: last_async_handler}),
    ),
    Stack("mounted app", lambda layer: mounted(layer(raw_below)), paths=IN_PATHS),
    Stack(
        "mounted static files",
        lambda layer: mounted(layer(static())),
        paths=("/in/missing", "/in/../x", "/in/test_exceptions.py"),
    ),
    Stack(
        "mounted static files, own 404",
        lambda layer: mounted(layer(static()), handlers={404: own_handler}),
        paths=("/in/missing",),
    ),
    Stack(
        "mounted static files of fastapi",
        lambda layer: fastapi_mounting(layer(static())),
        paths=("/in/missing",),
    ),
    Stack(
        "mounted, catch-all between",
        lambda layer: mounted(Catching(layer(static()))),
        ("/in/missing",),
        paths=("/in/missing", "/in/test_exceptions.py"),
    ),
    Stack(
        "Mount with middleware",
        lambda layer: starlette_of([Mount("/in", routes=ROUTES, middleware=[Middleware(layer)])]),
        paths=IN_PATHS,
    ),
    Stack(
        "Router with middleware",
        lambda layer: starlette_of([Mount("/in", Router(ROUTES, middleware=[Middleware(layer)]))]),
        paths=IN_PATHS,
    ),
    Stack(
        "Route with middleware",
        lambda layer: starlette_of(
            [Route(path, endpoint, middleware=[Middleware(layer)]) for path in ERRORS]
        ),
        paths=tuple(ERRORS),
    ),
    Stack(
        "Host",
        lambda layer: starlette_of([Host("testserver", layer(Router(ROUTES)))]),
    ),
    Stack(
        "sub-app with middleware",
        lambda layer: mounted(starlette([layer])),
        paths=IN_PATHS,
    ),
    Stack("sub-app inside", lambda layer: mounted(layer(starlette([]))), paths=IN_PATHS),
    Stack(
        "fastapi sub-app",
        lambda layer: fastapi_mounting(fastapi_app([layer])),
        paths=tuple(path for path in IN_PATHS if "fine" not in path),
    ),
    # Litestar's own layer, outside its list, answers the exception.
    Stack(
        "litestar's list",
        litestar_app,
        ("/route-auth", "/missing"),
        paths=(*ERRORS, "/auth", "/limit", "/route-auth", "/missing"),
    ),
    Stack(
        "around litestar",
        lambda layer: layer(litestar_app(nothing)),
        paths=(*ERRORS, "/auth", "/limit", "/route-auth", "/missing"),
    ),
    Stack("quart", quart_app),
    # Connexion's own layer, outside the default position, answers the exception.
    Stack(
        "connexion's list",
        connexion_app,
        ("/value", "/permission", "/own", "/http", "/teapot", "/group", "/missing"),
    ),
    Stack("around connexion", lambda layer: layer(connexion_app(nothing))),
    Stack("opentelemetry outside", lambda layer: OpenTelemetryMiddleware(layer(raw))),
    Stack("sentry outside", lambda layer: SentryAsgiMiddleware(layer(raw))),
    Stack("opentelemetry in starlette", lambda app: starlette([OpenTelemetryMiddleware, app])),
]


async def raw_below(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"].removeprefix("/in")
    if path == "/missing":
        raise HTTPException(404)
    await raw({**scope, "path": path}, receive, send)


def fastapi_mounting(app: Any) -> Any:
    main = fastapi_app([])
    main.mount("/in", app)
    return main


LAYERS: dict[str, Layer] = {
    "nothing": nothing,
    "passing": Passing,
    "another's": starlettes,
    "ours": ours,
}


@dataclass
class Outcome:
    """What is compared; `fields` are all but the CORS fields."""

    status: int
    body: bytes
    fields: list[tuple[str, str]]
    reached_server: str
    handler_calls: int
    tracebacks: int


def outcome(answered: Answered, records: Iterable[logging.LogRecord]) -> Outcome:
    if answered.raised is not None and not answered.status:
        # As servers do.
        answered.status, answered.body = 500, b"Internal Server Error"
        answered.headers = [("content-type", "text/plain; charset=utf-8"), ("content-length", "21")]
    dropped = {"vary", "date"}
    if b"Traceback (most recent call last):" in answered.body[:80]:
        # Of a debug page only the last line is compared: its traceback shows the layers.
        answered.body = answered.body.splitlines()[-1]
        dropped.add("content-length")
    if b"// Werkzeug Debugger" in answered.body:
        answered.body = answered.body.partition(b"</title>")[0]
        dropped.add("content-length")
    return Outcome(
        answered.status,
        answered.body,
        sorted(
            field
            for field in answered.headers
            if not field[0].startswith("access-control-") and field[0] not in dropped
        ),
        repr(answered.raised),
        Calls.count,
        sum(record.exc_info is not None for record in records),
    )


ASGI_CASES = [(stack, path) for stack in ASGI_STACKS for path in stack.paths]


@pytest.mark.parametrize(
    ("stack", "path"),
    [pytest.param(*case, id=f"{case[0].name}: {case[1]}") for case in ASGI_CASES],
)
def test_asgi(stack: Stack, path: str, caplog: pytest.LogCaptureFixture) -> None:
    found: dict[str, Outcome] = {}
    allowed: dict[str, str | None] = {}
    for name, layer in LAYERS.items():
        Calls.count = 0
        caplog.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            app = stack.build(layer)
        # Twice: the first call must leave nothing behind that changes the second.
        for _ in range(2):
            Calls.count = 0
            caplog.clear()
            answered = call_asgi(app, scope=scope_of(path))
            found[name] = outcome(answered, caplog.records)
            allowed[name] = answered.get("access-control-allow-origin")
    for each in found.values():
        assert each == found["nothing"]
    assert allowed["nothing"] is None
    assert allowed["ours"] == (None if stack.is_bare(path) else UI)


def scope_of(path: str) -> dict[str, Any]:
    path, _, query = path.partition("?")
    headers = [("host", "testserver"), ("origin", UI)]
    return http_scope("GET", path, headers, query_string=query.encode())


# --- WSGI -------------------------------------------------------------------------------------


def wsgi_raw(environ: Any, start_response: Any) -> Any:
    fail(environ["PATH_INFO"])
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"raw"]


def wsgi_starting(environ: Any, start_response: Any) -> Any:
    """It fails after start_response, before any byte is sent."""
    start_response("200 OK", [("content-type", "text/plain")])
    fail(environ["PATH_INFO"])
    return [b"raw"]


def wsgi_passing(app: Any) -> Any:
    return lambda environ, start_response: app(environ, start_response)


def flask_corss(app: Any) -> Any:
    """flask-cors is not a layer: `flask_app` passes it the app itself."""
    raise NotImplementedError


def wsgi_ours(app: Any) -> Any:
    return meshcors.wsgi.MeshCORS(app, POLICY)


class WSGICatching:
    """A user's own layer that maps exceptions, with arguments of any names."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, env: Any, respond: Any) -> Any:
        try:
            return self.app(env, respond)
        except PermissionError:
            respond("403 Forbidden", [("content-type", "text/plain")])
            return [b"caught"]
        except Exception as error:
            Calls.count += 1
            respond("500 Oh", [("content-type", "text/plain")])
            return [str(error).encode()]


class WSGIForgetting(WSGICatching):
    """The same, without an environ when it catches the exception."""

    def __call__(self, environ: Any, respond: Any) -> Any:
        kept = dict(environ)
        del environ
        return self.dispatch(kept, respond)

    def dispatch(self, *given: Any) -> Any:
        return super().__call__(*given)


def wsgi_catching_in_a_thread(app: Any) -> Any:
    """The same, with a time limit."""

    def catching(environ: Any, start_response: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            try:
                return pool.submit(app, environ, start_response).result(10)
            except Exception as error:
                Calls.count += 1
                start_response("500 Oh", [("content-type", "text/plain")])
                return [str(error).encode()]

    return catching


def wsgi_catching_late(app: Any) -> Any:
    """The same as a generator: the app runs when the first chunk is requested."""

    def catching(environ: Any, start_response: Any) -> Any:
        try:
            yield from app(environ, start_response)
        except Exception as error:
            Calls.count += 1
            start_response("500 Oh", [("content-type", "text/plain")])
            yield str(error).encode()

    return catching


def flask_app(layer: Layer, **config: Any) -> Any:
    app = flask.Flask(__name__)
    app.config.update(config)

    @app.get("/<path:name>")
    def serve(name: str) -> str:
        fail(f"/{name}")
        return "fine" if name == "fine" else flask.abort(404)

    @app.errorhandler(OwnError)
    def handle(error: Exception) -> Any:
        Calls.count += 1
        return {"own": str(error)}, 409

    if layer is flask_corss:
        flask_cors.CORS(app, origins=[UI])
    else:
        app.wsgi_app = layer(app.wsgi_app)  # type: ignore[method-assign]
    return app


def falcon_app() -> Any:
    class Resource:
        def on_get(self, request: Any, response: Any, name: str) -> None:
            fail(f"/{name}")

    app = falcon.App()
    app.add_route("/{name}", Resource())
    return app


def bottle_app(*, catches: bool = True) -> Any:
    app = bottle.Bottle()
    app.catchall = catches
    app.route("/<name>", callback=lambda name: fail(f"/{name}") or "fine")
    return app


WSGI_STACKS = [
    Stack("the app alone", lambda layer: layer(wsgi_raw)),
    # Some servers would send the headers of both answers.
    Stack("the app that has started", lambda layer: layer(wsgi_starting), ALL_FAILURES),
    Stack(
        "layers of Werkzeug outside", lambda layer: ProxyFix(DispatcherMiddleware(layer(wsgi_raw)))
    ),
    # A user's own layer answers, outside the middleware.
    Stack("catch-all outside", lambda layer: WSGICatching(layer(wsgi_raw)), ALL_FAILURES),
    Stack(
        "catch-all outside, late", lambda layer: wsgi_catching_late(layer(wsgi_raw)), ALL_FAILURES
    ),
    Stack(
        "catch-all outside, thread",
        lambda layer: wsgi_catching_in_a_thread(layer(wsgi_raw)),
        ALL_FAILURES,
    ),
    Stack(
        "catch-all outside, forgetting", lambda layer: WSGIForgetting(layer(wsgi_raw)), ALL_FAILURES
    ),
    Stack("catch-all inside", lambda layer: layer(WSGICatching(wsgi_raw))),
    Stack("ours outside, of other hosts", lambda layer: wsgi_elsewhere(layer(wsgi_raw))),
    Stack("flask", flask_app),
    Stack("flask, exceptions on the way out", lambda layer: flask_app(layer, TESTING=True)),
    # The debug page with the traceback is left as it is.
    Stack(
        "flask in the debugger",
        lambda layer: DebuggedApplication(flask_app(layer, DEBUG=True)),
        ("/value", "/permission", "/http", "/teapot", "/group"),
    ),
    Stack("opentelemetry outside", lambda layer: OpenTelemetryWSGI(layer(wsgi_raw))),
    Stack("sentry outside", lambda layer: SentryWsgiMiddleware(layer(wsgi_raw))),
    Stack("falcon", lambda layer: layer(falcon_app())),
    Stack("bottle", lambda layer: layer(bottle_app())),
    Stack("bottle, exceptions on the way out", lambda layer: layer(bottle_app(catches=False))),
]
WSGI_LAYERS: dict[str, Layer] = {
    "nothing": nothing,
    "passing": wsgi_passing,
    "another's": flask_corss,
    "ours": wsgi_ours,
}


@pytest.mark.parametrize(
    ("stack", "path"),
    [
        pytest.param(stack, path, id=f"{stack.name}: {path}")
        for stack in WSGI_STACKS
        for path in stack.paths
    ],
)
def test_wsgi(
    stack: Stack, path: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    found: dict[str, Outcome] = {}
    allowed: dict[str, str | None] = {}
    for name, layer in WSGI_LAYERS.items():
        if layer is flask_corss and "flask" not in stack.name:
            continue
        app = stack.build(layer)
        for _ in range(2):
            Calls.count = 0
            caplog.clear()
            environ = environ_of("GET", path, [("origin", UI)])
            answered = call_wsgi(app, environ=environ, validated=False)
            if answered.raised is not None and answered.body != b"Internal Server Error":
                answered.status = 0  # no byte has been sent: the server answers
            found[name] = outcome(answered, caplog.records)
            allowed[name] = answered.get("access-control-allow-origin")
    for each in found.values():
        assert each == found["nothing"]
    assert allowed["ours"] == (None if stack.is_bare(path) else UI)


# --- what a table does not show ---------------------------------------------------------------


def test_an_exception_object_that_is_raised_again_carries_nothing_of_the_first_request() -> None:
    error = ValueError("one for all")

    async def raising(scope: Any, receive: Any, send: Any) -> None:
        raise error

    app = starlette_of([Mount("/ours", ours(raising)), Mount("/in", raising)], handlers={})
    allowed = call_asgi(app, path="/ours/x", headers=[("origin", UI)])
    assert allowed.get("access-control-allow-origin") == UI
    for path in ("/in/x", "/ours/x"):
        refused = call_asgi(app, path=path, headers=[("origin", EVIL)])
        assert (refused.status, refused.cors) == (500, set())


def test_an_exception_that_two_requests_wait_for_carries_nothing_from_one_to_the_other() -> None:
    """As with a shared call in flight, whose failure every waiting request gets."""
    error = ValueError("one for all")
    first_fails = asyncio.Event()

    async def raising(scope: Any, receive: Any, send: Any) -> None:
        raise error

    async def answer(request: Any, raised: Exception) -> Any:
        if request.url.path.startswith("/a"):
            first_fails.set()
            await asyncio.sleep(0.05)
        return PlainTextResponse("last", 500)

    others = meshcors.MeshCORS(raising, allow_origins=[EVIL])
    routes = [Mount("/a", ours(raising)), Mount("/b", others), Mount("/private", raising)]
    app = starlette_of(routes, handlers={Exception: answer})
    fields: dict[str, list[tuple[bytes, bytes]]] = {}

    @as_server
    async def ask(path: str) -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                fields[path] = message["headers"]

        with suppress(ValueError):
            await app(http_scope(path=path, headers=[("origin", UI)]), send, send)

    async def run() -> None:
        slow = asyncio.create_task(ask("/a/x"))
        await first_fails.wait()
        await ask("/b/x")
        await ask("/private/x")
        await slow
        await ask("/private/y")

    asyncio.run(run())
    allowed = {
        path
        for path, each in fields.items()
        if (b"access-control-allow-origin", UI.encode()) in each
    }
    assert allowed == {"/a/x"}
    assert len(fields) == 4


class FrozenError(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("__"):
            raise AttributeError(name)
        super().__setattr__(name, value)


class AnyAttributeError(Exception):
    def __getattr__(self, name: str) -> str:
        return name


@pytest.mark.parametrize("kind", [FrozenError, AnyAttributeError])
def test_an_exception_is_left_alone(kind: type[Exception]) -> None:
    error = kind("x")

    async def raising(scope: Any, receive: Any, send: Any) -> None:
        raise error

    app = starlette_of([Mount("/in", ours(raising))], handlers={kind: own_handler})
    answered = call_asgi(app, path="/in/x", headers=[("origin", UI)])
    assert (answered.status, answered.body) == (409, b'{"own":"x"}')
    assert answered.get("access-control-allow-origin") == UI
    assert vars(error) == {}


def test_a_handler_that_is_partial() -> None:
    for handler in (last_async_handler, last_handler):
        app = starlette([ours], {500: partial(handler)})
        answered = call_asgi(app, path="/value", headers=[("origin", UI)])
        assert (answered.status, answered.body) == (500, b'{"last":"value"}')
        assert answered.get("access-control-allow-origin") == UI


@pytest.mark.parametrize(
    ("module", "status"),
    [
        # daphne runs each request as a task of its own, with no layer outside.
        ("daphne.server", 500),
        # With any other task there may be a layer outside.
        ("somebodys.layer", 0),
    ],
)
def test_a_task_of_its_own(module: str, status: int) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    send.__module__ = module

    async def run() -> None:
        scope = http_scope(path="/value", headers=[("origin", UI)])
        await asyncio.ensure_future(ours(raw)(scope, send, partial(send)))

    with pytest.raises(ValueError, match="value"):
        asyncio.run(run())
    assert [message["status"] for message in sent if "status" in message] == [status][: len(sent)]
    assert bool(sent) is bool(status)


def test_gunicorns_asgi_worker_logs_no_error_after_a_whole_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """So the middleware logs it; tests/e2e/test_exceptions_on_servers.py has the real worker."""

    async def send(message: Any) -> None: ...

    send.__module__ = "gunicorn.asgi.protocol"

    @as_server
    async def run() -> None:
        await ours(raw)(http_scope(path="/value", headers=[("origin", UI)]), send, send)

    with pytest.raises(ValueError, match="value"):
        asyncio.run(run())
    assert [record.name for record in caplog.records] == ["gunicorn.error"]
    assert caplog.records[0].exc_info is not None


def test_starlettes_handlers_are_wrapped_once() -> None:
    app = starlette([ours], {**HANDLERS, 500: last_handler})
    for _ in range(3):
        call_asgi(app, path="/value", headers=[("origin", UI)])
    wrapped = app.middleware_stack.handler
    call_asgi(app, path="/value", headers=[("origin", UI)])
    assert app.middleware_stack.handler is wrapped


@pytest.mark.parametrize("loops", [False, True])
def test_a_stack_whose_error_layer_is_out_of_sight_passes_the_exception(loops: bool) -> None:
    """Then the 500 has no CORS fields; nothing else changes."""
    app = starlette([ours])
    stack = app.build_middleware_stack()

    async def opaque(scope: Any, receive: Any, send: Any) -> None:
        await stack(scope, receive, send)

    if loops:
        opaque.app = opaque  # type: ignore[attr-defined]
    app.middleware_stack = opaque
    answered = call_asgi(app, path="/value", headers=[("origin", UI)])
    assert (answered.status, answered.body) == (500, b"Internal Server Error")
    assert isinstance(answered.raised, ValueError)
    assert answered.cors == set()


def looping() -> Exception:
    one, two = LookupError("one"), LookupError("two")
    one.__cause__, two.__cause__ = two, one
    return one


@pytest.mark.parametrize("make", [lambda: LookupError("fresh"), looping], ids=["fresh", "looping"])
def test_another_exception_than_the_one_that_passed_is_somebody_elses(
    make: Callable[[], Exception],
) -> None:
    class Swallowing(Passing):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            with suppress(ValueError):
                await self.app(scope, receive, send)
            raise make()

    app = starlette([Swallowing, ours], {500: last_handler})
    answered = call_asgi(app, path="/value", headers=[("origin", UI)])
    assert (answered.status, answered.cors) == (500, set())


def test_nobody_is_outside_of_a_thread_that_is_no_pythons() -> None:
    """Such as under uWSGI and mod_wsgi, which call the app from C."""
    app = wsgi_ours(wsgi_raw)
    environ = environ_of("GET", "/value", [("origin", UI)])
    started: SimpleQueue[Any] = SimpleQueue()
    _thread.start_new_thread(app, (environ, lambda *given: started.put(given)))
    status, fields, _ = started.get(timeout=10)
    assert status == "500 Internal Server Error"
    assert ("access-control-allow-origin", UI) in fields


def test_no_frames_are_outside_of_the_outermost() -> None:
    assert list(call_stack._layers(None)) == []
