# /// script
# dependencies = ["litellm[proxy]"]
#
# [tool.stack]
# title = "LiteLLM proxy"
# package = "litellm"
# line = "app = MeshCORS(litellm.proxy.proxy_server.app, policy)"
# start = ["uvicorn", "app:app", "--host=127.0.0.1", "--port={port}"]
# environment = { CONFIG_FILE_PATH = "config.yaml", LITELLM_MODE = "PRODUCTION", LITELLM_LOCAL_MODEL_COST_MAP = "True", LITELLM_MASTER_KEY = "sk-9f8c2b71d4e65a30c1b7f2e89d3a6451" }
# outside = ""
# guard = "its own CORS, which lets in every origin: inside of meshcors its fields are dropped"
#
# [tool.stack.calls]
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/chat/completions", method = "GET", status = 405 }
# large = "has no limit"
# limit = "has none here: its budgets need a database"
# timeout = "has none of its own"
# websocket = "its realtime routes need a provider"
# health = { path = "/health/liveliness", method = "GET" }
#
# [tool.stack.calls.works]
# path = "/chat/completions"
# headers = { authorization = "Bearer sk-9f8c2b71d4e65a30c1b7f2e89d3a6451" }
# json = { model = "square", messages = [{ role = "user", content = "4" }] }
#
# [tool.stack.calls.error]
# path = "/chat/completions"
# status = 500
# headers = { authorization = "Bearer sk-9f8c2b71d4e65a30c1b7f2e89d3a6451" }
# json = { model = "fails", messages = [{ role = "user", content = "4" }] }
#
# [tool.stack.calls.stream]
# path = "/chat/completions"
# headers = { authorization = "Bearer sk-9f8c2b71d4e65a30c1b7f2e89d3a6451" }
# json = { model = "count", stream = true, messages = [{ role = "user", content = "4" }] }
# ///
"""The proxy, with models that answer by themselves. Its master key is made up."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

CONFIG = """
model_list:
- model_name: square
  litellm_params: {model: openai/square, api_key: none, mock_response: "a b c d e f g h"}
- model_name: count
  litellm_params: {model: counting/numbers}
- model_name: fails
  litellm_params: {model: openai/fails, api_key: none, mock_response: litellm.InternalServerError}
"""
Path("config.yaml").write_text(CONFIG)

import litellm.proxy.proxy_server  # noqa: E402  it reads its configuration
from litellm import CustomLLM  # noqa: E402
from litellm.types.utils import GenericStreamingChunk  # noqa: E402

from meshcors import HeaderKey, MeshCORS, Policy  # noqa: E402

policy = Policy(
    allow_origins=["https://ui.example"],
    allow_headers=["authorization"],
    key=HeaderKey(
        "model-api-key", values=["xyz"], exempt_paths=["/health/liveliness", "/health/readiness"]
    ),
)


class Counting(CustomLLM):
    async def astreaming(self, *_: object, **__: object) -> AsyncIterator[GenericStreamingChunk]:
        for number in range(4):
            await asyncio.sleep(0.2)
            last = number == 3
            yield {
                "text": str(number),
                "is_finished": last,
                "finish_reason": "stop" if last else "",
                "index": 0,
                "tool_use": None,
                "usage": None,
            }


litellm.custom_provider_map = [{"provider": "counting", "custom_handler": Counting()}]
litellm.utils.custom_llm_setup()
app = MeshCORS(litellm.proxy.proxy_server.app, policy)
