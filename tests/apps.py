"""One application in every dialect: it answers as `vectors.APPS` says and records its own use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp.web
import django.core.handlers.asgi
import django.http
import fastapi
import flask
import starlette.applications
import starlette.requests
import starlette.responses
import starlette.routing
import starlette.websockets
from multidict import CIMultiDict

from tests.vectors import APPS


class AppError(Exception):
    """Raised by the app that fails."""


class TestApp:
    """An app that behaves as `behaviour` says; `calls` and `closed` tell how it was used."""

    __test__ = False

    def __init__(self, behaviour: str) -> None:
        self.status, self.fields, self._chunks = APPS[behaviour]
        self.fails = behaviour == "fails"
        self.calls = 0
        self.closed = False

    def chunks(self, method: str) -> tuple[bytes, ...]:
        """Begin an answer: return its chunks."""
        self.calls += 1
        if self.fails:
            self.closed = True
            raise AppError
        return () if method == "HEAD" else self._chunks

    # --- plain ASGI

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            self.calls += 1
            await receive()
            await send({"type": "websocket.accept"})
            self.closed = True
            return
        chunks = self.chunks(scope["method"])
        fields = tuple((name.encode("latin-1"), value.encode()) for name, value in self.fields)
        await send({"type": "http.response.start", "status": self.status, "headers": fields})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})
        self.closed = True

    # --- plain WSGI

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        chunks = self.chunks(environ["REQUEST_METHOD"])
        start_response(f"{self.status} Status", list(self.fields))
        return _Chunks(self, chunks)

    # --- Starlette and FastAPI

    async def respond(self, request: starlette.requests.Request) -> starlette.responses.Response:
        body = self._body(self.chunks(request.method))
        response = starlette.responses.StreamingResponse(body, self.status)
        # Unchanged: a mapping would merge repeated names and lower their case.
        response.raw_headers = [
            (name.encode("latin-1"), value.encode()) for name, value in self.fields
        ]
        return response

    async def _body(self, chunks: tuple[bytes, ...]) -> AsyncIterator[bytes]:
        try:
            for chunk in chunks:
                yield chunk
        finally:
            self.closed = True

    async def talk(self, websocket: starlette.websockets.WebSocket) -> None:
        self.calls += 1
        await websocket.accept()
        self.closed = True

    def starlette(self) -> starlette.applications.Starlette:
        async def endpoint(scope: Any, receive: Any, send: Any) -> None:
            response = await self.respond(starlette.requests.Request(scope, receive))
            await response(scope, receive, send)

        return starlette.applications.Starlette(
            routes=[
                starlette.routing.WebSocketRoute("/{path:path}", self.talk),
                # A mounted app gets every method.
                starlette.routing.Mount("/", endpoint),
            ]
        )

    def fastapi(self, methods: list[str]) -> fastapi.FastAPI:
        app = fastapi.FastAPI(openapi_url=None)

        async def endpoint(request: fastapi.Request) -> fastapi.Response:
            return await self.respond(request)

        async def socket(websocket: fastapi.WebSocket) -> None:
            await self.talk(websocket)

        app.add_api_route("/{path:path}", endpoint, methods=methods, response_model=None)
        app.add_api_websocket_route("/{path:path}", socket)
        return app

    # --- aiohttp

    async def respond_aiohttp(self, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        if request.headers.get("upgrade") == "websocket":
            self.calls += 1
            websocket = aiohttp.web.WebSocketResponse()
            self.closed = True
            await websocket.prepare(request)
            return websocket
        chunks = self.chunks(request.method)
        response = aiohttp.web.StreamResponse(status=self.status, headers=CIMultiDict(self.fields))
        # Set before the client has the whole answer, because then it may look.
        self.closed = not chunks
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        self.closed = True
        await response.write_eof()
        return response

    # --- Django

    def respond_django(self, request: django.http.HttpRequest) -> Any:
        chunks = self.chunks(request.META["REQUEST_METHOD"])
        is_async = isinstance(request, django.core.handlers.asgi.ASGIRequest)
        body: Any = self._body(chunks) if is_async else _Chunks(self, chunks)
        response = django.http.StreamingHttpResponse(body, status=self.status)
        del response["content-type"]
        for name, value in self.fields:
            if name == "set-cookie":
                response.cookies.load(value)
            elif name.lower() == "vary" and name in response:
                # Django has one line of each field.
                response[name] += f", {value}"
            else:
                response[name] = value
        return response

    # --- Flask

    def flask(self) -> flask.Flask:
        app = flask.Flask("tests", static_folder=None)

        # Before the router, so that it gets every path and every method.
        @app.before_request
        def respond() -> flask.Response:
            chunks = self.chunks(flask.request.method)
            response = flask.Response(_Chunks(self, chunks), self.status)
            response.headers.clear()
            for name, value in self.fields:
                response.headers.add(name, value)
            return response

        @app.errorhandler(AppError)
        def fail(_: AppError) -> flask.Response:
            status, fields, chunks = APPS["fails"]
            return flask.Response(chunks[0], status, list(fields))

        return app


class _Chunks:
    """A WSGI iterable that records that it was closed."""

    def __init__(self, app: TestApp, chunks: tuple[bytes, ...]) -> None:
        self._app = app
        self._chunks = iter(chunks)

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self._app.closed = True
