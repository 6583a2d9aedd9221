# /// script
# dependencies = ["langserve[server]", "uvicorn"]
#
# [tool.stack]
# title = "LangServe"
# package = "langserve"
# line = "app.add_middleware(MeshCORS, policy=policy)"
# start = ["uvicorn", "app:app", "--host=127.0.0.1", "--port={port}"]
# outside = ""
# guard = "none of its own"
#
# [tool.stack.calls]
# works = { path = "/square/invoke", json = { input = 4 } }
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/square/invoke", method = "GET", status = 405 }
# large = "has no limit"
# error = { path = "/fails/invoke", json = { input = 4 }, status = 500 }
# limit = "has none"
# timeout = "has none"
# stream = { path = "/count/stream", json = { input = 4 } }
# websocket = "serves none"
# health = { path = "/healthz", method = "GET" }
# ///
"""Runnables behind LangServe."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from langchain_core.runnables import RunnableGenerator, RunnableLambda
from langserve import add_routes

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/healthz"]),
)
app = FastAPI()
app.add_middleware(MeshCORS, policy=policy)


@app.get("/healthz")
def health() -> str:
    return "ok"


def square(number: int) -> int:
    return number**2


def fails(number: int) -> int:
    raise RuntimeError


async def count(numbers: AsyncIterator[int]) -> AsyncIterator[int]:
    async for number in numbers:
        for power in range(4):
            await asyncio.sleep(0.1)
            yield number**power


add_routes(app, RunnableLambda(square), path="/square")
add_routes(app, RunnableLambda(fails), path="/fails")
add_routes(app, RunnableGenerator(count), path="/count")
