"""Root paths that apps set or ignore themselves: FastAPI, Django, Falcon, wrapped in any way."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import falcon.asgi
import fastapi
import pytest
import starlette.middleware.gzip
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Host, Mount, Route, Router
from werkzeug.local import LocalProxy

from meshcors import HeaderKey, MeshCORS, Policy, Rule
from meshcors.asgi._root_path import RootPathsBelow, root_path_of
from tests.calling import UI, App, call_asgi, http_scope
from tests.test_frameworks import django_urls

KEYED = Policy(
    allow_origins=[UI], key=HeaderKey("x-key", ["right"], exempt_paths=["/healthz", "/open/*"])
)


def by_class(app: Any) -> Any:
    return starlette.middleware.gzip.GZipMiddleware(app)


def by_function(app: Any) -> Any:
    async def served(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return served


def by_wraps(service: Any) -> Any:
    @functools.wraps(service)
    async def served(*args: Any) -> None:
        await service(*args)

    return served


WRAPPED = [lambda app: app, by_class, by_function, by_wraps, lambda app: by_class(by_function(app))]


def fastapi_app(root_path: str = "/open") -> Any:
    with warnings.catch_warnings():
        # FastAPI recommends the server's flag instead.
        warnings.simplefilter("ignore")
        app = fastapi.FastAPI(root_path=root_path)
    for route, name in {"/v1": "v1", "/open/v1": "open"}.items():
        app.add_api_route(route, lambda name=name: name)
    return app


@pytest.mark.parametrize("around", WRAPPED)
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/open/v1", "right", 200),
        ("/v1", "right", 200),
        ("/open/v1", None, 401),
        ("/v1", None, 401),
        ("/open/open/v1", None, 200),
        ("/open/open/v1", "right", 200),
    ],
)
def test_fastapi_sets_its_own(
    around: Callable[[Any], Any], inside: bool, path: str, key: str | None, status: int
) -> None:
    app = fastapi_app()
    if inside:
        app.add_middleware(MeshCORS, policy=KEYED)
    served = around(app) if inside else MeshCORS(around(app), KEYED)
    answered = call_asgi(served, path=path, headers=[("x-key", key)] if key else [])
    assert answered.status == status
    if status == 200:
        assert answered.body == (b'"open"' if path == "/open/open/v1" else b'"v1"')


@pytest.mark.parametrize("around", WRAPPED)
def test_falcon_routes_on_the_whole_path(around: Callable[[Any], Any]) -> None:
    class Endpoint:
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.text = req.path

    app = falcon.asgi.App()
    app.add_route("/admin/open/x", Endpoint())
    app.add_route("/open/x", Endpoint())
    served = MeshCORS(around(app), KEYED)
    # daphne takes the root path from a request header.
    scope = http_scope(path="/admin/open/x", root_path="/admin")
    assert call_asgi(served, scope=scope).status == 401
    scope = http_scope(path="/open/x", root_path="/open")
    assert call_asgi(served, scope=scope).body == b"/open/x"


@pytest.mark.parametrize("around", WRAPPED)
def test_django_sets_its_own(around: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    django_urls()
    monkeypatch.setattr(settings, "FORCE_SCRIPT_NAME", "/open", raising=False)
    root_path = root_path_of(around(ASGIHandler.__new__(ASGIHandler)))
    assert root_path({"root_path": "/api"}) == "/open"
    monkeypatch.setattr(settings, "FORCE_SCRIPT_NAME", None)
    assert root_path({"root_path": "/api"}) == "/api"


def test_any_other_app_has_that_of_the_scope() -> None:
    for app in (App().asgi, Mock(), starlette.middleware.gzip.GZipMiddleware(None)):  # type: ignore[arg-type]
        assert root_path_of(app)({"root_path": "/api"}) == "/api"
        assert root_path_of(app)({}) == root_path_of(app)({"root_path": None}) == ""


def test_app_that_is_not_there_yet() -> None:
    async def served(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    assert root_path_of(served)({"root_path": "/api"}) == "/api"
    app = App().asgi


class ByOtherName:
    def __init__(self, served: Any) -> None:
        self.served = served

    async def __call__(self, *args: Any) -> None:
        await self.served(*args)


class BySlot:
    __slots__ = ("__served",)

    def __init__(self, served: Any) -> None:
        self.__served = served

    async def __call__(self, *args: Any) -> None:
        await self.__served(*args)


class ByHost:
    def __init__(self, app: Any, hosts: dict[str, list[Any]]) -> None:
        self.hosts = hosts

    async def __call__(self, *args: Any) -> None:
        await self.hosts["x"][0](*args)


def by_other_variable(service: Any) -> Any:
    async def served(*args: Any) -> None:
        await service(*args)

    return served


async def by_argument(service: Any, *args: Any) -> None:
    await service(*args)


def mounted_by_fastapi(app: Any) -> Any:
    served = fastapi.FastAPI()
    served.mount("/", app)
    return served


def included(app: Any) -> Any:
    router = fastapi.APIRouter()
    router.routes.append(Host("x", app))
    served = fastapi.FastAPI()
    served.include_router(router)
    return served


BELOW: dict[str, Callable[[Any], Any]] = {
    "FastAPI.mount": mounted_by_fastapi,
    "Mount": lambda app: Starlette(routes=[Mount("/", app)]),
    "Mount with middleware": lambda app: Starlette(
        routes=[Mount("/", app, middleware=[Middleware(starlette.middleware.gzip.GZipMiddleware)])]
    ),
    "Host": lambda app: Router([Host("x", app)]),
    "Mount in Host in Mount": lambda app: Router(
        [Mount("/", Router([Host("x", Starlette(routes=[Mount("", app)]))]))]
    ),
    "Route": lambda app: Router([Route("/{rest:path}", app)]),
    "default": lambda app: Router(default=app),
    "middleware below": lambda app: Starlette(middleware=[Middleware(ByHost, hosts={"x": [app]})]),
    "included router": included,
    "attribute": ByOtherName,
    "attribute in a Mount": lambda app: Router([Mount("/", ByOtherName(by_function(app)))]),
    "slot": BySlot,
    "containers": lambda app: ByHost(None, {"x": [app]}),
    "variable": by_other_variable,
    "method": lambda app: ByOtherName(app).__call__,
    "partial": lambda app: functools.partial(by_argument, app),
}


@pytest.mark.parametrize("below", BELOW.values(), ids=BELOW)
@pytest.mark.parametrize("inside", [False, True])
def test_fastapi_below_sets_its_own(below: Callable[[Any], Any], inside: bool) -> None:
    rules = [
        Rule(Policy(allow_origins=[UI], key=HeaderKey("x-key", ["right"])), path_prefix="/v1"),
        Rule(Policy(allow_origins=[UI])),
    ]
    app = below(fastapi_app())
    if inside:
        around = fastapi.FastAPI()
        around.mount("/", app)
        around.add_middleware(MeshCORS, rules=rules)
    else:
        around = MeshCORS(app, rules=rules)

    def called(served: Any, path: str, *key: str) -> tuple[int, bytes]:
        headers = [("host", "x"), *(("x-key", value) for value in key)]
        answered = call_asgi(served, path=path, headers=headers)
        return answered.status, answered.body

    assert called(around, "/v1", "right") == (200, b'"v1"')
    assert called(around, "/v1")[0] == 401
    status, body = called(around, "/open/v1")
    assert (status, b"no_rule" in body) == (404, True)
    exempt = MeshCORS(app, KEYED)
    assert called(exempt, "/open/v1", "right") == (200, b'"v1"')
    assert called(exempt, "/open/v1")[0] == 401


@pytest.mark.parametrize("below", BELOW.values(), ids=BELOW)
def test_falcon_below_routes_on_the_whole_path(below: Callable[[Any], Any]) -> None:
    class Endpoint:
        async def on_get(self, req: Any, resp: Any) -> None:
            resp.text = req.path

    app = falcon.asgi.App()
    app.add_route("/admin/open/x", Endpoint())
    app.add_route("/open/x", Endpoint())
    served = MeshCORS(below(app), KEYED)
    host = [("host", "x")]
    # daphne takes the root path from a request header.
    scope = http_scope(path="/admin/open/x", root_path="/admin", headers=host)
    assert call_asgi(served, scope=scope).status == 401
    assert call_asgi(served, path="/open/x", headers=host).body == b"/open/x"


def test_root_path_that_mounts_make_as_well() -> None:
    sub = fastapi_app()

    def endpoint() -> str:
        return str(sub.version)

    app = fastapi.FastAPI()
    app.add_api_route("/version", endpoint)
    app.mount("/open", sub)
    assert call_asgi(MeshCORS(app, KEYED), path="/open/v1").body == b'"v1"'
    # Not the root path of the mounts, which are below another root path.
    scope = http_scope(path="/open/open/v1", root_path="/open")
    assert call_asgi(MeshCORS(app, KEYED), scope=scope).status == 401


def test_references_that_serve_no_app() -> None:
    sub = fastapi_app()
    app = fastapi.FastAPI()
    app.mount("/open", sub)
    # A mounted app counts as mounted, whatever else refers to it.
    around: Any = ByOtherName(sub)
    around.app = app
    assert RootPathsBelow(Router([Mount("/", around)])).found() == (("/open", "/open"),)

    other = fastapi_app("/other")

    def told(*_: Any) -> str:
        return str(other.version)

    app.add_exception_handler(ValueError, told)  # type: ignore[arg-type]
    app.add_api_route("/version", lambda: told())
    assert RootPathsBelow(app).found() == (("/open", "/open"),)


def test_routes_that_come_late() -> None:
    app = Starlette()
    served = MeshCORS(app, KEYED)
    assert call_asgi(served, path="/open/v1").status == 404
    app.mount("/", inner := Router())
    assert call_asgi(served, path="/open/v1").status == 404
    inner.mount("/", fastapi_app())
    assert call_asgi(served, path="/open/v1").status == 401


def test_prefix_of_an_included_router_is_part_of_the_mount() -> None:
    router = fastapi.APIRouter()
    router.mount("/b", fastapi_app("/a/b"))
    app = fastapi.FastAPI()
    app.include_router(router, prefix="/a")
    assert RootPathsBelow(app).found() == (("/a/b", "/a/b"),)


def test_django_below_sets_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    django_urls()
    monkeypatch.setattr(settings, "FORCE_SCRIPT_NAME", "/open", raising=False)
    django = ASGIHandler.__new__(ASGIHandler)
    below = RootPathsBelow(Router([Mount("/a", django)]))
    assert below.found() == (("/a", "/open"),)
    monkeypatch.setattr(settings, "FORCE_SCRIPT_NAME", None)
    assert RootPathsBelow(django).found() == ()
    assert RootPathsBelow(Router([Mount("/a", falcon.asgi.App())])).found() == (("", ""),)


def test_apps_without_end() -> None:
    circle = ByOtherName(None)
    circle.served = [circle]
    gone: Any = LocalProxy(lambda: 1 / 0)
    for app in (circle, Mock(), ByOtherName(Mock()), ByOtherName(gone), ByOtherName(Mock)):
        assert RootPathsBelow(app).found() == ()


def test_without_frameworks(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Router([Mount("/", fastapi_app())])
    assert RootPathsBelow(app).found() == (("", "/open"),)
    for module in ("fastapi.applications", "starlette.routing", "starlette.applications"):
        monkeypatch.delitem(sys.modules, module)
    for module in ("django.core.handlers.asgi", "falcon.asgi.app"):
        monkeypatch.delitem(sys.modules, module)
    assert RootPathsBelow(app).found() == ()
