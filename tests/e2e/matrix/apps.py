"""The apps of the matrix, each below the middleware, and a switch that picks one per request.

Every app has the same endpoints. An endpoint answers with its name, and with the path and the host
as the app's framework read them: what the app itself routed to decides whether the property holds.
Frameworks are imported where they are used, because a process serves one interface.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import meshcors
import meshcors.flask
import meshcors.starlette
import meshcors.wsgi
from meshcors import HeaderKey, Policy, Rule, RuleSet

UI = "https://ui.example"
KEY = "x-key"
# Where apps are mounted, and the root path of a server's flag. It is an exempt prefix too: whoever
# reads the whole path takes /public/admin for exempt.
BASE = "/public"

# The endpoints and their paths; a * stands for one segment or more.
ENDPOINTS = {
    "root": "/",
    "healthz": "/healthz",
    "public": "/public/*",
    "public itself": "/public",
    "v1": "/v1/*",
    "admin": "/admin",
    "below admin": "/admin/*",
}

_keyed = Policy(allow_origins=[UI], key=HeaderKey(KEY, ["right"]))
_open = Policy(allow_origins=[UI])
# The middleware's arguments for each kind of policy.
POLICIES: dict[str, dict[str, Any]] = {
    "exempt": {
        "policy": Policy(
            allow_origins=[UI],
            key=HeaderKey(KEY, ["right"], exempt_paths=["/healthz", "/public/*"]),
        )
    },
    "rules": {
        "rules": RuleSet(
            [
                Rule(_keyed, hosts=["api.example"], path_prefix="/v1"),
                Rule(_open, hosts=["api.example"], path_prefix="/public"),
                Rule(_open, hosts=["open.example"]),
            ]
        )
    },
}


def told(endpoint: str, path: str, host: str) -> dict[str, str]:
    """Return the header in which an endpoint says what was routed to it; HEAD has no body."""
    return {"x-told": json.dumps({"endpoint": endpoint, "path": path, "host": host})}


# --- what stands directly above each app, to tell that it was reached


class ReachedASGI:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_noted(message: Any) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                headers = [*message.get("headers", ()), (b"x-reached", b"yes")]
                message = {**message, "headers": headers}
            await send(message)

        await self.app(scope, receive, send_noted)


def reached_wsgi(app: Any) -> Any:
    def noting(environ: Any, start_response: Any) -> Any:
        def start_noted(status: str, headers: Any, *exc_info: Any) -> Any:
            return start_response(status, [*headers, ("x-reached", "yes")], *exc_info)

        return app(environ, start_noted)

    return noting


def asgi(app: Any, policy: str) -> Any:
    return meshcors.MeshCORS(ReachedASGI(app), **POLICIES[policy])


def wsgi(app: Any, policy: str) -> Any:
    return meshcors.wsgi.MeshCORS(reached_wsgi(app), **POLICIES[policy])


# --- ASGI


def fastapi_app(**options: Any) -> Any:
    import fastapi

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FastAPI recommends the server's flag instead
        app = fastapi.FastAPI(openapi_url=None, **options)

    def add(name: str, path: str) -> None:
        def endpoint(request: fastapi.Request) -> Any:
            return fastapi.Response(headers=starlette_told(name, request))

        app.add_api_route(path, endpoint, methods=["GET", "POST"])

    for name, path in ENDPOINTS.items():
        add(name, path.replace("*", "{rest:path}"))

    @app.websocket("/{rest:path}")
    async def accept(socket: fastapi.WebSocket) -> None:
        from starlette._utils import get_route_path

        path = get_route_path(socket.scope)
        await socket.accept(headers=[(b"x-path", json.dumps(path).encode())])
        await socket.close()

    return app


def starlette_told(name: str, request: Any) -> dict[str, str]:
    from starlette._utils import get_route_path

    return told(name, get_route_path(request.scope), request.headers.get("host", ""))


def starlette_app() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    def route(name: str, path: str) -> Any:
        def endpoint(request: Any) -> Any:
            return Response(headers=starlette_told(name, request))

        return Route(path.replace("*", "{rest:path}"), endpoint, methods=["GET", "POST"])

    return Starlette(routes=[route(name, path) for name, path in ENDPOINTS.items()])


def mounted(*layers: Any) -> Any:
    """An app below Starlette mounts at `paths`, outermost first."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    *paths, app = layers
    for path in reversed(paths):
        app = Starlette(routes=[Mount(path, app)])
    return app


def by_host(policy: str) -> Any:
    """An app that routes on the host itself: another app for each."""
    from starlette.applications import Starlette
    from starlette.routing import Host

    hosts = ["api.example", "open.example"]
    return asgi(Starlette(routes=[Host(host, starlette_app()) for host in hosts]), policy)


def init_app(policy: str) -> Any:
    app = starlette_app()
    app.add_middleware(ReachedASGI)
    meshcors.starlette.init_app(app, **POLICIES[policy])
    return app


def add_middleware(policy: str, **options: Any) -> Any:
    app = fastapi_app(**options)
    app.add_middleware(ReachedASGI)
    app.add_middleware(meshcors.MeshCORS, **POLICIES[policy])
    return app


def behind_gzip(policy: str) -> Any:
    from starlette.middleware.gzip import GZipMiddleware

    return asgi(GZipMiddleware(fastapi_app(root_path=BASE)), policy)


def quart_app() -> Any:
    import quart

    app = quart.Quart(__name__, static_folder=None)

    async def endpoint(rest: str = "") -> Any:
        request = quart.request
        return "", told(request.endpoint or "", request.path, request.host)

    add_werkzeug_routes(app, endpoint)
    return app


def litestar_app() -> Any:
    import litestar

    def handler(name: str, path: str) -> Any:
        @litestar.get(path.replace("*", "{rest:path}"), sync_to_thread=False)
        def endpoint(request: litestar.Request[Any, Any, Any]) -> litestar.Response[str]:
            host = request.headers.get("host", "")
            return litestar.Response("", headers=told(name, request.scope["path"], host))

        return endpoint

    routes = [handler(name, path) for name, path in ENDPOINTS.items()]
    return litestar.Litestar(routes, openapi_config=None, logging_config=None)


def falcon_asgi_app() -> Any:
    import falcon.asgi

    app = falcon.asgi.App()

    class Endpoint:
        def __init__(self, name: str) -> None:
            self.name = name

        async def on_get(self, req: Any, resp: Any, rest: str = "") -> None:
            resp.set_headers(told(self.name, req.path, req.get_header("host") or ""))

        on_post = on_get

    for name, path in ENDPOINTS.items():
        app.add_route(path.replace("*", "{rest:path}"), Endpoint(name))
    return app


@cache
def configure_django() -> None:
    import django
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=f"{__package__}.django_urls",
        SECRET_KEY="made up",
        LOGGING_CONFIG=None,
    )
    django.setup()


def django_asgi_app() -> Any:
    from django.core.handlers.asgi import ASGIHandler

    configure_django()
    return ASGIHandler()


def django_middleware(make: Any, policy: str) -> Any:
    """Django with the policy in its settings: its middleware class has no app around it."""
    from django.conf import settings
    from django.test import override_settings

    configure_django()
    ours = ["meshcors.django.MeshCORSMiddleware", f"{__package__}.django_urls.reached"]
    changed = {"MIDDLEWARE": [*ours, *settings.MIDDLEWARE], "MESHCORS": POLICIES[policy]}
    with override_settings(**changed):
        return make()


def around_wsgi(policy: str) -> Any:
    from a2wsgi import WSGIMiddleware

    return asgi(WSGIMiddleware(flask_app()), policy)


def hypercorn_dispatcher(policy: str) -> Any:
    from hypercorn.middleware import DispatcherMiddleware

    return DispatcherMiddleware({BASE: asgi(starlette_app(), policy)})


async def echo_asgi(scope: Any, receive: Any, send: Any) -> None:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    told_raw = (b"x-echo", json.dumps([scope["path"], hosts]).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [told_raw]})
    await send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True)
class App:
    """How an app is made for a kind of policy, and the path below which it is mounted, if any.

    `takes_root` tells whether it leaves out the server's root path. Not every app is called
    `over_http2`: there only the server differs.
    """

    make: Callable[[str], Any]
    at: str = ""
    takes_root: bool = True
    over_http2: bool = False


ASGI = {
    "FastAPI": App(lambda policy: asgi(fastapi_app(), policy), over_http2=True),
    "FastAPI, add_middleware": App(add_middleware),
    "FastAPI(root_path), add_middleware": App(
        lambda policy: add_middleware(policy, root_path=BASE), BASE, takes_root=False
    ),
    "FastAPI(root_path), around it": App(behind_gzip, BASE, takes_root=False),
    "Starlette, init_app": App(init_app),
    "Starlette, Host routes": App(by_host),
    "Starlette, in a Mount": App(
        lambda policy: mounted(BASE, asgi(starlette_app(), policy)), BASE, over_http2=True
    ),
    "Starlette, in two Mounts": App(
        lambda policy: mounted(BASE, "/admin", asgi(starlette_app(), policy)), f"{BASE}/admin"
    ),
    "Starlette, in a Mount by pattern": App(
        lambda policy: mounted("/{tenant:path}/in", asgi(starlette_app(), policy)), f"{BASE}/in"
    ),
    "Starlette, in hypercorn's dispatcher": App(hypercorn_dispatcher, BASE),
    "Django": App(lambda policy: asgi(django_asgi_app(), policy)),
    "Django, its middleware class": App(lambda policy: django_middleware(django_asgi_app, policy)),
    "Django, in a Mount": App(lambda policy: mounted(BASE, asgi(django_asgi_app(), policy)), BASE),
    "Quart": App(lambda policy: asgi(quart_app(), policy), over_http2=True),
    "Quart, in a Mount": App(lambda policy: mounted(BASE, asgi(quart_app(), policy)), BASE),
    "Litestar": App(lambda policy: asgi(litestar_app(), policy), over_http2=True),
    "Litestar, in a Mount": App(lambda policy: mounted(BASE, asgi(litestar_app(), policy)), BASE),
    "Falcon": App(
        lambda policy: asgi(falcon_asgi_app(), policy), takes_root=False, over_http2=True
    ),
    "Flask in a2wsgi, in a Mount": App(lambda policy: mounted(BASE, around_wsgi(policy)), BASE),
}


# --- WSGI


def add_werkzeug_routes(app: Any, endpoint: Any) -> None:
    for name, path in ENDPOINTS.items():
        app.add_url_rule(
            path.replace("*", "<path:rest>"),
            endpoint=name,
            view_func=endpoint,
            strict_slashes=False,
            methods=["GET", "POST"],
        )


def flask_app() -> Any:
    import flask

    app = flask.Flask(__name__, static_folder=None)

    def endpoint(rest: str = "") -> Any:
        request = flask.request
        return "", told(request.endpoint or "", request.path, request.host)

    add_werkzeug_routes(app, endpoint)
    return app


def flask_init_app(policy: str) -> Any:
    app = flask_app()
    app.wsgi_app = reached_wsgi(app.wsgi_app)
    meshcors.flask.init_app(app, **POLICIES[policy])
    return app


def nothing_here(environ: Any, start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [])
    return []


def dispatcher(policy: str) -> Any:
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    return DispatcherMiddleware(nothing_here, {BASE: wsgi(flask_app(), policy)})


def dispatchers(policy: str) -> Any:
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    inner = DispatcherMiddleware(nothing_here, {"/admin": wsgi(flask_app(), policy)})
    return DispatcherMiddleware(nothing_here, {BASE: inner})


def around_dispatcher(policy: str) -> Any:
    """The admin's pages are an app of their own, which a mount picks: /admin/x is its root's x."""
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    admin = wsgi_of_one("below admin")
    return wsgi(DispatcherMiddleware(flask_app(), {"/admin": admin}), policy)


def wsgi_of_one(name: str) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
        start_response("200 OK", list(told(name, path, environ.get("HTTP_HOST", "")).items()))
        return []

    return app


def proxy_fix(policy: str) -> Any:
    from werkzeug.middleware.proxy_fix import ProxyFix

    return ProxyFix(wsgi(flask_app(), policy), x_host=1, x_port=1, x_prefix=1)


def falcon_wsgi_app() -> Any:
    import falcon

    app = falcon.App()

    class Endpoint:
        def __init__(self, name: str) -> None:
            self.name = name

        def on_get(self, req: Any, resp: Any, rest: str = "") -> None:
            resp.set_headers(told(self.name, req.path, req.env.get("HTTP_HOST", "")))

        on_post = on_get

    for name, path in ENDPOINTS.items():
        app.add_route(path.replace("*", "{rest:path}"), Endpoint(name))
    return app


def bottle_app() -> Any:
    import bottle

    app = bottle.Bottle()

    def add(name: str, path: str) -> None:
        def endpoint(rest: str = "") -> Any:
            request = bottle.request
            told_fields = told(name, request.path, request.get_header("host") or "")
            return bottle.HTTPResponse("", headers=told_fields)

        app.route(path.replace("*", "<rest:path>"), ["GET", "POST"], endpoint)

    for name, path in ENDPOINTS.items():
        add(name, path)
    return app


def bottle_mounted(policy: str) -> Any:
    """Bottle's own mount: an app inside another, below the middleware."""
    import bottle

    outer = bottle.Bottle()
    outer.mount(BASE, wsgi(bottle_app(), policy))
    return outer


def django_wsgi_app() -> Any:
    from django.core.handlers.wsgi import WSGIHandler

    configure_django()
    return WSGIHandler()


def echo_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
    host = environ.get("HTTP_HOST")
    told_json = json.dumps([path, [] if host is None else [host]])
    start_response("200 OK", [("x-echo", told_json)])
    return []


WSGI = {
    "Flask, init_app": App(flask_init_app, over_http2=True),
    "Flask, in DispatcherMiddleware": App(dispatcher, BASE, over_http2=True),
    "Flask, in two DispatcherMiddlewares": App(dispatchers, f"{BASE}/admin"),
    "DispatcherMiddleware, around it": App(around_dispatcher),
    "Flask, in ProxyFix": App(proxy_fix),
    "Django": App(lambda policy: wsgi(django_wsgi_app(), policy), over_http2=True),
    "Django, its middleware class": App(lambda policy: django_middleware(django_wsgi_app, policy)),
    "Falcon": App(lambda policy: wsgi(falcon_wsgi_app(), policy)),
    "Bottle": App(lambda policy: wsgi(bottle_app(), policy)),
    "Bottle, in a mount": App(bottle_mounted, BASE),
}


# --- aiohttp, its server and its apps


def aiohttp_app(policy: str) -> Any:
    from aiohttp import web

    import meshcors.aiohttp

    @web.middleware
    async def reached(request: Any, handler: Any) -> Any:
        if request.headers.get("upgrade") == "websocket":
            socket = web.WebSocketResponse()
            socket.headers["x-path"] = json.dumps(request.path)
            await socket.prepare(request)
            return socket
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = web.Response(status=error.status)
        response.headers["x-reached"] = "yes"
        return response

    app = web.Application(middlewares=[reached])

    def add(name: str, path: str) -> None:
        async def endpoint(request: Any) -> Any:
            return web.Response(headers=told(name, request.path, request.host))

        for method in ("GET", "POST"):
            app.router.add_route(method, path.replace("*", "{rest:.+}"), endpoint)

    for name, path in ENDPOINTS.items():
        add(name, path)
    meshcors.aiohttp.setup(app, **POLICIES[policy])
    app.freeze()
    return app


AIOHTTP = {"aiohttp": App(aiohttp_app)}
APPS = {"asgi": ASGI, "wsgi": WSGI, "aiohttp": AIOHTTP}


# --- which app a request is for


@cache
def asgi_app(number: int, policy: str) -> Any:
    return list(ASGI.values())[number].make(policy)


@cache
def wsgi_app(number: int, policy: str) -> Any:
    return list(WSGI.values())[number].make(policy)


async def pick_asgi(scope: Any, receive: Any, send: Any) -> None:
    """Pass each request on, untouched, to the app that its x-app names: number and policy."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    named = dict(scope["headers"])[b"x-app"].decode()
    if named == "echo":
        await echo_asgi(scope, receive, send)
        return
    number, policy = named.split()
    await asgi_app(int(number), policy)(scope, receive, send)


@cache
def made_aiohttp_app(number: int, policy: str) -> Any:
    return list(AIOHTTP.values())[number].make(policy)


async def pick_aiohttp(request: Any, handler: Any) -> Any:
    from aiohttp import web

    named = request.headers["x-app"]
    if named == "echo":
        told_json = json.dumps([request.path, request.headers.getall("host", [])])
        return web.Response(headers={"x-echo": told_json})
    number, policy = named.split()
    # What aiohttp's server calls with each request of an app.
    return await made_aiohttp_app(int(number), policy)._handle(request)


def pick_wsgi(environ: Any, start_response: Any) -> Any:
    named = environ["HTTP_X_APP"]
    if named == "echo":
        return echo_wsgi(environ, start_response)
    number, policy = named.split()
    return wsgi_app(int(number), policy)(environ, start_response)
