"""A FastAPI app, bare and in each middleware; uvicorn calls the factory that it is given."""

from __future__ import annotations

from typing import Any

from asgi_cors import asgi_cors
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from meshcors import HeaderKey, MeshCORS, Policy
from meshcors._decision.answers import Proceed
from meshcors._decision.engine import Engine
from meshcors.starlette import init_app
from tests.bench.requests import KEY, ORIGIN, VALUE

POLICY = Policy(
    allow_origins=[ORIGIN],
    allow_methods=["PUT", "DELETE"],
    allow_headers=["authorization"],
    expose_headers=["x-request-id"],
    max_age=600,
    key=HeaderKey(KEY, values=[VALUE]),
)
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"]


def bare() -> FastAPI:
    app = FastAPI()

    @app.get("/v1/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


def meshcors_add_middleware() -> FastAPI:
    app = bare()
    app.add_middleware(MeshCORS, policy=POLICY)
    return app


def meshcors_init_app() -> FastAPI:
    app = bare()
    init_app(app, POLICY)
    return app


def starlette() -> FastAPI:
    app = bare()
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[ORIGIN],
        allow_methods=METHODS,
        allow_headers=["authorization", KEY],
        expose_headers=["x-request-id"],
        max_age=600,
    )
    return app


def of_asgi_cors() -> FastAPI:
    app = bare()
    app.add_middleware(asgi_cors, hosts=[ORIGIN], methods=METHODS, headers=["authorization", KEY])
    return app


def three_fields() -> FastAPI:
    app = bare()
    app.add_middleware(adds_three_fields)
    return app


def adds_three_fields(app: Any) -> Any:
    """Return the least that a middleware can be which sends the fields that meshcors sends."""
    request = {b"origin": ORIGIN.encode(), KEY.encode(): VALUE.encode()}
    decision = Engine(POLICY).decide("GET", "/v1/hello", request)
    assert isinstance(decision, Proceed)
    vary, allow_origin, expose_headers = decision.merge_raw([])
    fields = [vary, allow_origin, expose_headers]

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        def sending(message: Any) -> Any:
            if message["type"] == "http.response.start":
                message["headers"].extend(fields)
            return send(message)

        await app(scope, receive, sending)

    return middleware
