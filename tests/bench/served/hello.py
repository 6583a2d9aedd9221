"""A FastAPI app, bare and in each middleware; uvicorn calls the factory that it is given."""

from __future__ import annotations

from asgi_cors import asgi_cors
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from meshcors import HeaderKey, MeshCORS, Policy
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
