# /// script
# dependencies = ["a2a-sdk[http-server]", "uvicorn"]
#
# [tool.stack]
# title = "A2A SDK"
# package = "a2a-sdk"
# line = "app = MeshCORS(Starlette(routes=[*card_routes, *rpc_routes]), policy)"
# start = ["uvicorn", "app:app", "--host=127.0.0.1", "--port={port}"]
# outside = ""
# guard = "none of its own"
#
# [tool.stack.calls]
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/", method = "PUT", status = 405 }
# large = "has no limit"
# error = "an agent's exception is a result, with 200"
# limit = "has none"
# timeout = "has none"
# websocket = "serves none"
# health = { path = "/.well-known/agent-card.json", method = "GET" }
#
# [tool.stack.calls.works]
# path = "/"
# headers = { a2a-version = "1.0" }
# json = { jsonrpc = "2.0", id = 1, method = "SendMessage", params = { message = { messageId = "1", role = "ROLE_USER", parts = [{ text = "hello" }] } } }
#
# [tool.stack.calls.stream]
# path = "/"
# headers = { a2a-version = "1.0", accept = "text/event-stream" }
# json = { jsonrpc = "2.0", id = 2, method = "SendStreamingMessage", params = { message = { messageId = "2", role = "ROLE_USER", parts = [{ text = "count" }] } } }
# ///
"""An agent that a page calls, and its card, which needs no key."""

import asyncio

from a2a.helpers import new_task_from_user_message, new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, TaskState
from starlette.applications import Starlette

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    allow_headers=["a2a-version", "a2a-extensions"],
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/.well-known/agent-card.json"]),
)


class Echo(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        task = new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        for number in range(4):
            await updater.update_status(TaskState.TASK_STATE_WORKING, new_text_message(str(number)))
            await asyncio.sleep(0.1)
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError


card = AgentCard(
    name="Echo",
    description="Counts",
    version="1",
    capabilities=AgentCapabilities(streaming=True),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    supported_interfaces=[AgentInterface(url="https://api.example/", protocol_binding="JSONRPC")],
)
handler = DefaultRequestHandler(Echo(), InMemoryTaskStore(), card)
card_routes = create_agent_card_routes(card)
rpc_routes = create_jsonrpc_routes(handler, "/")
app = MeshCORS(Starlette(routes=[*card_routes, *rpc_routes]), policy)
