"""A constant 204, as an ASGI app and as an RSGI app (granian's own interface)."""

from __future__ import annotations

from typing import Any


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def rsgi(scope: Any, protocol: Any) -> None:
    protocol.response_empty(204, [])
