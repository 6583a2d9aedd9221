"""CORSMiddleware and meshcors around the same app: the same settings, and one request to either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from meshcors import Regex
from tests.calling import Answered, http_scope


def translated(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings for meshcors, as the page's table says."""
    own = dict(settings)
    regex = own.pop("allow_origin_regex", None)
    if regex is not None:
        own["allow_origins"] = [*own.get("allow_origins", []), Regex(regex)]
    return own


def app_with(fields: Mapping[str, str]) -> Any:
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": b"Homepage"})

    return app


def ask(app: Any, method: str, fields: Mapping[str, str]) -> Answered:
    """One request; nothing in it waits, so that no event loop is needed."""
    answered = Answered()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = [
                (name.decode().lower(), value.decode()) for name, value in message["headers"]
            ]

    with pytest.raises(StopIteration):
        app(http_scope(method, "/", fields.items()), receive, send).send(None)
    return answered
