"""The messages of the ASGI specification 3.0: their types, and the ones that the adapter sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from meshcors._decision.answers import Answer, RawMerge

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
# Frameworks type scopes and messages each in its own way, and these types do not fit each other.
# With Any, the app of every framework is an ASGIApp.
ASGIApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

# RFC 6455 7.4.1: "policy violation".
_POLICY_VIOLATION: Final = 1008


async def send_answer(answer: Answer, method: str, send: Send) -> None:
    """Send `answer`; a HEAD request gets the same fields and no body (RFC 9110 9.3.2)."""
    headers = list(answer.raw_headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if method == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


async def refuse_websocket(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket handshake with `answer`.

    Where the server has ASGI's "websocket denial response" extension, the client gets the whole
    answer; elsewhere the connection is closed with code 1008.
    """
    await receive()  # websocket.connect
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": answer.reason})
        return
    await send(
        {
            "type": "websocket.http.response.start",
            "status": answer.status,
            "headers": list(answer.raw_headers),
        }
    )
    await send({"type": "websocket.http.response.body", "body": answer.body})


def with_header_list(scope: Scope) -> Scope:
    """Return a copy whose headers can be read twice: ASGI allows any iterable, or none."""
    return {**scope, "headers": list(scope.get("headers", ()))}


def merging(send: Send, merge: RawMerge, started: list[bool]) -> Send:
    """Return a `send` for the app: it merges the CORS fields into ``http.response.start``.

    That message is copied, never changed, and `started` gets an item.
    """

    # Not a coroutine, because most messages only pass through. Defaults, because they take less
    # time than variables of the function around it.
    def send_merged(
        message: Message,
        send: Send = send,
        merge: RawMerge = merge,
        started: list[bool] = started,
    ) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message = {**message}
            message["headers"] = merge(message.get("headers", ()))
            started.append(True)
        return send(message)

    return send_merged
