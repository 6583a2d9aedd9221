"""What the Python set-ups are made of: model services, and what people put around them.

A set-up's lines are run with these names, and leave an ``app``.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import django
import fastapi
import flask
from corsheaders.defaults import default_headers
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.test.utils import override_settings
from django.urls import path
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from flask_cors import CORS
from starlette.middleware.cors import CORSMiddleware

import meshcors.flask
from meshcors import HeaderKey, MeshCORS, Policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

__all__ = [
    "CORS",
    "AnyOrigin",
    "BearerAuth",
    "CORSMiddleware",
    "HeaderKey",
    "Login",
    "McpGuard",
    "MeshCORS",
    "MlflowGuard",
    "Policy",
    "ReadsBody",
    "SocketIoGuard",
    "default_headers",
    "django_app",
    "fastapi_app",
    "flask_app",
    "meshcors",
]


def fastapi_app(predict: str = "/v1/predict") -> fastapi.FastAPI:
    """A model that knows nothing of CORS; ``predict`` is the path of its main route."""
    app = fastapi.FastAPI()

    @app.api_route(predict, methods=["POST", "PUT"])
    def run() -> dict[str, str]:
        return {"model": "xyz"}

    @app.get("/v1/models")
    def models() -> list[str]:
        return ["xyz"]

    @app.post("/v1/fail")
    def fail() -> None:
        raise RuntimeError("the model fell over")

    @app.post("/v1/stream")
    async def stream() -> StreamingResponse:
        async def events() -> AsyncIterator[str]:
            yield "data: first\n\n"
            raise RuntimeError("the model fell over")

        return StreamingResponse(events(), media_type="text/event-stream")

    return app


def flask_app() -> flask.Flask:
    app = flask.Flask("model")

    @app.route("/v1/predict", methods=["POST", "PUT"])
    def predict() -> flask.Response:
        return flask.jsonify(model="abc")

    @app.get("/v1/models")
    def models() -> flask.Response:
        return flask.jsonify(["abc"])

    return app


def _view(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"model": "def"})


# Django's ROOT_URLCONF is this module.
urlpatterns = [path("v1/predict", _view), path("v1/slashed/", _view)]

_DJANGO = {
    "ALLOWED_HOSTS": ["127.0.0.1"],
    "INSTALLED_APPS": ["corsheaders"],
    "ROOT_URLCONF": __name__,
    "SECRET_KEY": "not a secret",
}
_one_at_a_time = threading.Lock()


def django_app(lines: Mapping[str, Any]) -> Any:
    """A Django project with these settings; a process has one, so they change by request."""
    own = {name: lines[name] for name in lines if name.startswith(("CORS_", "MIDDLEWARE"))}
    if not settings.configured:
        settings.configure(**_DJANGO)
        django.setup()
    with override_settings(**own):
        handler = get_wsgi_application()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        with _one_at_a_time, override_settings(**own):
            response = handler(environ, start_response)
            try:
                return [b"".join(response)]
            finally:
                response.close()

    return app


class _Around:
    """A middleware in front of an app, as people write them: it may answer by itself."""

    def __init__(self, app: Any, **options: Any) -> None:
        self.app = app
        self.options = options

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        answer = self.answer(fastapi.Request(scope))
        await (answer or self.app)(scope, receive, send)

    def spares(self, request: fastapi.Request) -> bool:
        return request.method == "OPTIONS" and not self.options.get("preflights", True)

    def answer(self, request: fastapi.Request) -> fastapi.Response | None:
        raise NotImplementedError


class ReadsBody(_Around):
    """Counts on a body, which a preflight does not have."""

    def answer(self, request: fastapi.Request) -> fastapi.Response | None:
        assert int(request.headers["content-length"]) >= 0
        return None


class BearerAuth(_Around):
    """Wants a token, from preflights too."""

    def answer(self, request: fastapi.Request) -> fastapi.Response | None:
        if "authorization" in request.headers or self.spares(request):
            return None
        challenge = {"www-authenticate": "Bearer"}
        return JSONResponse({"detail": "Not authenticated"}, 401, challenge)


class Login(_Around):
    """Sends who has no session to the login page of another host."""

    def answer(self, request: fastapi.Request) -> fastapi.Response | None:
        if self.spares(request):
            return None
        to = "https://login.example/oauth2/authorize?client_id=model&response_type=code"
        return None if "session" in request.cookies else RedirectResponse(to, 302)


class AnyOrigin:
    """Says ``*`` with every answer, and leaves preflights to the app."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"access-control-allow-origin", b"*"),
                ]
            await send(message)

        await self.app(scope, receive, send_with)


class _OriginGuard(_Around):
    """Compares the Origin with an option of its own."""

    option = ""

    def allows(self, request: fastapi.Request) -> bool:
        allowed = self.options[self.option]
        words = allowed.split() if isinstance(allowed, str) else allowed
        return request.headers.get("origin") in (None, *words)


class MlflowGuard(_OriginGuard):
    """Refuses calls that change something, as MLflow's server does; its options are flags."""

    option = "flags"

    def answer(self, request: fastapi.Request) -> fastapi.Response | None:
        if request.method in ("GET", "HEAD", "OPTIONS") or self.allows(request):
            return None
        return PlainTextResponse("Cross-origin request blocked", 403)


class McpGuard(_OriginGuard):
    """Refuses as the Python SDK of MCP does."""

    option = "allowed_origins"

    def answer(self, request: fastapi.Request) -> fastapi.Response | None:
        return None if self.allows(request) else PlainTextResponse("Invalid Origin header", 403)


class SocketIoGuard(_OriginGuard):
    """Refuses as Socket.IO's server does, which answers preflights itself."""

    option = "cors_allowed_origins"

    def answer(self, request: fastapi.Request) -> fastapi.Response | None:
        if request.method == "OPTIONS" or self.allows(request):
            return None
        text = json.dumps("Not an accepted origin.")
        return fastapi.Response(text, 400, media_type="application/json")
