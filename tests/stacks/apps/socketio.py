# /// script
# dependencies = ["python-socketio", "uvicorn", "websockets"]
#
# [tool.stack]
# title = "Socket.IO"
# package = "python-socketio"
# line = "app = MeshCORS(socketio.ASGIApp(server), policy)"
# start = ["uvicorn", "app:app", "--host=127.0.0.1", "--port={port}"]
# outside = ""
# guard = "refuses other origins than its own with 400, and adds fields: `AsyncServer(cors_allowed_origins=[])`"
#
# [tool.stack.calls]
# works = { path = "/socket.io/?EIO=4&transport=polling", method = "GET" }
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/socket.io/?EIO=4&transport=polling", method = "PUT", status = 405 }
# large = "none: over `max_http_buffer_size` it waits for the session to end"
# error = "a handler's exception is no answer"
# limit = "has none"
# timeout = { path = "/socket.io/?EIO=4&transport=polling&sid=expired", method = "GET", status = 400, says = "a session that has ended" }
# stream = "long polling has whole answers"
# websocket = { path = "/socket.io/?EIO=4&transport=websocket" }
# health = "has none"
# ///
"""A Socket.IO server, over long polling and WebSocket."""

import socketio

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    key=HeaderKey("model-api-key", values=["xyz"]),
)
server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins=[])
app = MeshCORS(socketio.ASGIApp(server), policy)


@server.event
async def predict(sid: str, number: float) -> float:
    return number**2
