# /// script
# dependencies = ["chainlit"]
#
# [tool.stack]
# title = "Chainlit"
# package = "chainlit"
# line = "meshcors.starlette.init_app(chainlit.server.app, policy)"
# start = ["chainlit", "run", "app.py", "--headless", "--host=127.0.0.1", "--port={port}"]
# outside = ""
# guard = "`allow_origins` in its configuration is `*`, with credentials: inside of meshcors its fields are dropped"
#
# [tool.stack.calls]
# works = { path = "/auth/config", method = "GET" }
# missing = { path = "/project/file/nobody?session_id=nobody", method = "GET", status = 401, says = "a file of no session: other paths are its page" }
# method = { path = "/auth/config", method = "PUT", status = 405 }
# large = "has no limit"
# error = "none that a page causes"
# limit = "has none"
# timeout = "has none"
# stream = "over its WebSocket"
# websocket = { path = "/ws/socket.io/?EIO=4&transport=websocket" }
# health = { path = "/health", method = "GET" }
# ///
"""A chat."""

import chainlit
import chainlit.server

import meshcors.starlette
from meshcors import HeaderKey, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    allow_credentials=True,
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/health"]),
)
meshcors.starlette.init_app(chainlit.server.app, policy)


@chainlit.on_message
async def main(message: chainlit.Message) -> None:
    await chainlit.Message(message.content).send()
