"""One app per framework: a preflight, a real request, a refused key and an error."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import meshcors.starlette
import meshcors.wsgi
from meshcors import HeaderKey, MeshCORS, Policy
from tests.calling import EVIL, UI, Answered, call_asgi, call_wsgi, preflight

POLICY = Policy(allow_origins=[UI], allow_methods=["PUT"], key=HeaderKey("model-api-key", ["xyz"]))
KEYED = [("host", "testserver"), ("origin", UI), ("model-api-key", "xyz")]


def litestar_outside() -> Any:
    return MeshCORS(app=_litestar([]), policy=POLICY)


def litestar_middleware() -> Any:
    from litestar.middleware import DefineMiddleware

    return _litestar([DefineMiddleware(MeshCORS, policy=POLICY)])


def _litestar(middleware: list[Any]) -> Any:
    from litestar import Litestar, get
    from litestar.logging import LoggingConfig

    @get("/hello", sync_to_thread=False)
    def hello() -> str:
        return "hello"

    @get("/boom", sync_to_thread=False)
    def boom() -> str:
        raise RuntimeError("boom")

    quiet = LoggingConfig(log_exceptions="never")
    return Litestar([hello, boom], middleware=middleware, logging_config=quiet)


def quart() -> Any:
    from quart import Quart

    app = Quart(__name__)
    logging.getLogger(app.name).disabled = True

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    @app.get("/boom")
    async def boom() -> str:
        raise RuntimeError("boom")

    app.asgi_app = MeshCORS(app.asgi_app, POLICY)  # type: ignore[method-assign]  # as Quart documents
    return app


def django_urls() -> None:
    """Configure Django with two URLs, once."""
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import path

    from tests.django_app import configure

    configure()
    if "meshcors_test_urls" in sys.modules:
        return

    def hello(request: Any) -> Any:
        return HttpResponse("hello", content_type="text/plain")

    def boom(request: Any) -> Any:
        raise RuntimeError("boom")

    urls = type(sys)("meshcors_test_urls")
    urls.urlpatterns = [path("hello", hello), path("boom", boom)]  # type: ignore[attr-defined]  # a module made here
    sys.modules["meshcors_test_urls"] = urls
    settings.ROOT_URLCONF = "meshcors_test_urls"


def django_asgi() -> Any:
    django_urls()
    from django.core.asgi import get_asgi_application

    return MeshCORS(get_asgi_application(), POLICY)


def django_wsgi() -> Any:
    django_urls()
    from django.core.wsgi import get_wsgi_application

    return meshcors.wsgi.MeshCORS(get_wsgi_application(), POLICY)


class _FalconHello:
    def on_get(self, request: Any, response: Any) -> None:
        response.text = "hello"


class _FalconBoom:
    def on_get(self, request: Any, response: Any) -> None:
        raise RuntimeError("boom")


class _FalconAsyncHello:
    async def on_get(self, request: Any, response: Any) -> None:
        response.text = "hello"


class _FalconAsyncBoom:
    async def on_get(self, request: Any, response: Any) -> None:
        raise RuntimeError("boom")


def falcon_wsgi() -> Any:
    import falcon

    app = falcon.App()
    app.add_route("/hello", _FalconHello())
    app.add_route("/boom", _FalconBoom())
    return meshcors.wsgi.MeshCORS(app, POLICY)


def falcon_asgi() -> Any:
    import falcon.asgi

    logging.getLogger("falcon").disabled = True
    app = falcon.asgi.App()
    app.add_route("/hello", _FalconAsyncHello())
    app.add_route("/boom", _FalconAsyncBoom())
    return MeshCORS(app, POLICY)


def bottle() -> Any:
    import bottle as framework

    app = framework.Bottle()
    app.route("/hello", callback=lambda: "hello")

    def boom() -> str:
        raise RuntimeError("boom")

    app.route("/boom", callback=boom)
    return meshcors.wsgi.MeshCORS(app, POLICY)


def bare_werkzeug() -> Any:
    from werkzeug.wrappers import Request, Response

    @Request.application
    def app(request: Any) -> Any:
        if request.path == "/boom":
            raise RuntimeError("boom")
        return Response("hello") if request.path == "/hello" else Response("", 404)

    return meshcors.wsgi.MeshCORS(app, POLICY)


def wsgi_app_in_asgi() -> Any:
    from a2wsgi import WSGIMiddleware

    return MeshCORS(WSGIMiddleware(bare_werkzeug().app), POLICY)


@dataclass(frozen=True)
class Framework:
    make: Callable[[], Any]
    call: Callable[..., Answered]

    def answer(self, method: str, path: str, headers: Any) -> Answered:
        more = {"validated": False} if self.call is call_wsgi else {}
        return self.call(self.make(), method, path, headers, **more)


FRAMEWORKS = [
    Framework(litestar_outside, call_asgi),
    Framework(litestar_middleware, call_asgi),
    Framework(quart, call_asgi),
    Framework(django_asgi, call_asgi),
    Framework(falcon_asgi, call_asgi),
    Framework(wsgi_app_in_asgi, call_asgi),
    Framework(django_wsgi, call_wsgi),
    Framework(falcon_wsgi, call_wsgi),
    Framework(bottle, call_wsgi),
    Framework(bare_werkzeug, call_wsgi),
]

frameworks = pytest.mark.parametrize(
    "framework", [pytest.param(each, id=each.make.__name__) for each in FRAMEWORKS]
)


@frameworks
def test_preflight(framework: Framework) -> None:
    answered = framework.answer(
        "OPTIONS", "/hello", [("host", "testserver"), *preflight(UI, "PUT", "model-api-key")]
    )
    assert (answered.status, answered.body) == (204, b"")
    assert answered.get("access-control-allow-origin") == UI
    assert answered.get("access-control-allow-methods") == "PUT"
    refused = framework.answer("OPTIONS", "/hello", [("host", "t"), *preflight(EVIL, "PUT")])
    assert (refused.status, refused.cors) == (403, set())


@frameworks
def test_real_request(framework: Framework) -> None:
    answered = framework.answer("GET", "/hello", KEYED)
    assert (answered.status, answered.body, answered.raised) == (200, b"hello", None)
    assert answered.get("access-control-allow-origin") == UI
    assert {"origin", "model-api-key"} <= answered.names("vary")


@frameworks
@pytest.mark.parametrize(("value", "status"), [(None, 401), ("abc", 403)])
def test_refused_key(framework: Framework, value: str | None, status: int) -> None:
    key = [] if value is None else [("model-api-key", value)]
    answered = framework.answer("GET", "/hello", [*KEYED[:2], *key])
    assert answered.status == status
    assert answered.get("access-control-allow-origin") == UI


@frameworks
def test_error(framework: Framework) -> None:
    answered = framework.answer("GET", "/boom", KEYED)
    assert answered.status == 500
    assert answered.get("access-control-allow-origin") == UI
    assert answered.body


# --- the documented lines ---------------------------------------------------------------------

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("framework", ["Litestar", "Quart"])
def test_the_documented_lines_are_those_that_type_checkers_check(framework: str) -> None:
    example = (ROOT / "examples" / f"{framework.lower()}_service.py").read_text(encoding="utf-8")
    lines = re.findall(rf"^\| {framework} \| `(.*?)` \|", PAGE, re.MULTILINE)
    assert lines
    for line in lines:
        before, _, after = line.partition("...")
        pattern = f"{re.escape(before)}.*{re.escape(after)}" if after else re.escape(before)
        assert re.search(pattern, example), line


def test_what_litestars_own_list_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "examples")
    example = importlib.import_module("litestar_service")
    fields = [("origin", "http://localhost:3000"), ("host", "testserver")]
    for app, reaches_404 in ((example.app, True), (example.inside(), False)):
        assert call_asgi(app, "OPTIONS", "/v1/predict", preflight(fields[0][1])).status == 204
        keyless = call_asgi(app, "POST", "/v1/predict", fields)
        assert (keyless.status, bool(keyless.cors)) == (401, True)
        missing = call_asgi(app, "GET", "/none", [*fields, ("model-api-key", "def")])
        assert (missing.status, bool(missing.cors)) == (404, reaches_404)


# --- loaders that are given only the class --------------------------------------------------------


@pytest.fixture
def policy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MESHCORS_ALLOW_ORIGINS": UI,
        "MESHCORS_ALLOW_METHODS": "PUT",
        "MESHCORS_KEY_HEADER": "model-api-key",
        "MESHCORS_KEY_VALUES": "xyz",
    }.items():
        monkeypatch.setenv(name, value)


def load(path: str) -> Any:
    """Load ``module.Class`` as vLLM's ``--middleware`` does."""
    module_path, object_name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module_path), object_name)


@pytest.mark.parametrize("path", ["meshcors.MeshCORS", "meshcors.asgi.MeshCORS"])
@pytest.mark.usefixtures("policy_in_the_environment")
def test_vllm_middleware_is_added_by_its_class_alone(path: str) -> None:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    app.add_middleware(load(path))
    assert call_asgi(app, "OPTIONS", "/hello", preflight(UI, "PUT")).status == 204
    assert call_asgi(app, "GET", "/hello", KEYED).status == 200
    assert call_asgi(app, "GET", "/hello", KEYED[:2]).status == 401


@pytest.mark.usefixtures("policy_in_the_environment")
def test_pipelines_of_app_factories() -> None:
    """They call the class with the app alone, by keyword."""
    wrapped = load("meshcors.wsgi.MeshCORS")(app=bare_werkzeug().app)
    assert call_wsgi(wrapped, "OPTIONS", "/hello", preflight(UI, "PUT")).status == 204


def test_lifespan_of_an_app_below() -> None:
    events: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append((await receive())["type"])
        await send({"type": "lifespan.startup.complete"})

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        events.append(message["type"])

    asyncio.run(MeshCORS(app, POLICY)({"type": "lifespan", "state": {}}, receive, send))
    assert events == ["lifespan.startup", "lifespan.startup.complete"]
