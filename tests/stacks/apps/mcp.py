# /// script
# dependencies = ["mcp"]
#
# [tool.stack]
# title = "MCP SDK, `MCPServer`"
# package = "mcp"
# line = "app = MeshCORS(server.streamable_http_app(transport_security=guard), policy)"
# start = ["uvicorn", "app:app", "--host=127.0.0.1", "--port={port}"]
# outside = ""
# guard = "answers 403 and 421: `TransportSecuritySettings(allowed_hosts=[...], allowed_origins=[...])`, with the policy's origins"
#
# [tool.stack.calls.works]
# path = "/mcp"
# headers = { accept = "application/json, text/event-stream", mcp-protocol-version = "2025-06-18" }
# exposes = ["mcp-session-id"]
# to_stranger = 403
# [tool.stack.calls.works.json]
# jsonrpc = "2.0"
# id = 1
# method = "initialize"
# params = { protocolVersion = "2025-06-18", capabilities = {}, clientInfo = { name = "page", version = "1" } }
#
# [tool.stack.calls]
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/mcp", method = "PUT", status = 405 }
# large = { path = "/mcp", size = 5_000_000, status = 413, headers = { accept = "application/json, text/event-stream" }, says = "`max_request_body_size`" }
# error = "a tool's exception is a result, with 200"
# limit = "has none that a page meets"
# health = { path = "/healthz", method = "GET" }
# websocket = "serves none"
#
# [tool.stack.calls.timeout]
# path = "/mcp"
# status = 404
# json = { jsonrpc = "2.0", id = 2, method = "tools/list" }
# headers = { accept = "application/json, text/event-stream", mcp-session-id = "expired", mcp-protocol-version = "2025-06-18" }
# says = "a session that has ended"
#
# [tool.stack.calls.stream]
# path = "/mcp"
# takes = "mcp-session-id: (.+)"
# json = { jsonrpc = "2.0", id = 3, method = "tools/call", params = { name = "count", arguments = {}, _meta = { progressToken = 1 } } }
# headers = { accept = "application/json, text/event-stream", mcp-session-id = "{taken}", mcp-protocol-version = "2025-06-18" }
# ///
"""An MCP server that a page calls itself."""

import asyncio

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    allow_methods=["DELETE"],
    allow_headers=["mcp-session-id", "mcp-protocol-version", "last-event-id"],
    expose_headers=["mcp-session-id"],
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/healthz"]),
)
guard = TransportSecuritySettings(
    allowed_hosts=["127.0.0.1:*"], allowed_origins=["https://ui.example"]
)
server = MCPServer("models")


@server.tool()
async def count(context: Context) -> int:
    for number in range(4):
        await context.report_progress(number, 4)
        await asyncio.sleep(0.1)
    return 4


@server.custom_route("/healthz", methods=["GET"])
async def health(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


app = MeshCORS(server.streamable_http_app(transport_security=guard), policy)
