"""The root path that an app leaves out itself: FastAPI, Django, Falcon, wrapped in any way."""

from __future__ import annotations

import functools
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

from meshcors import HeaderKey, MeshCORS, Policy
from meshcors.root_path import root_path_of
from tests.calling import UI, App, call_asgi, http_scope

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


def fastapi_app() -> Any:
    with warnings.catch_warnings():
        # FastAPI would rather have the server say it.
        warnings.simplefilter("ignore")
        app = fastapi.FastAPI(root_path="/open")
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
    # daphne takes the root path from the request.
    scope = http_scope(path="/admin/open/x", root_path="/admin")
    assert call_asgi(served, scope=scope).status == 401
    scope = http_scope(path="/open/x", root_path="/open")
    assert call_asgi(served, scope=scope).body == b"/open/x"


@pytest.mark.parametrize("around", WRAPPED)
def test_django_sets_its_own(around: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if not settings.configured:
        settings.configure()
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
