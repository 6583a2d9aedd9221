"""Starlette's CORSMiddleware around a constant 204."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware

from tests.bench.served.bare import asgi

app = CORSMiddleware(
    asgi,
    allow_origins=["https://ui.example"],
    allow_methods=["GET", "HEAD", "POST"],
    allow_headers=["content-type", "model-api-key"],
    max_age=600,
)
