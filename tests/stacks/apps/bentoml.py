# /// script
# dependencies = ["bentoml"]
#
# [tool.stack]
# title = "BentoML, around the service's app"
# package = "bentoml"
# line = "app = MeshCORS(Squares.to_asgi(), policy)"
# start = ["uvicorn", "app:app", "--host=127.0.0.1", "--port={port}"]
# environment = { BENTOML_DO_NOT_TRACK = "True" }
# outside = ""
# guard = "`http.cors` in its configuration is off by default; inside of meshcors its fields are dropped"
#
# [tool.stack.calls]
# works = { path = "/predict", json = { number = 4 } }
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/predict", method = "GET", status = 405 }
# large = "has no limit"
# error = { path = "/fails", json = {}, status = 500 }
# limit = { path = "/slow", json = {}, status = 429, beside = 4, says = "`max_concurrency`" }
# timeout = { path = "/slow", json = {}, status = 504, says = "`timeout`" }
# stream = { path = "/count", json = {} }
# websocket = "serves none"
# health = { path = "/livez", method = "GET" }
# ///
"""A BentoML service as an app, and a server around it."""

import asyncio
import time
from collections.abc import Iterator

import bentoml

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/livez", "/readyz", "/healthz"]),
)


@bentoml.service(traffic={"timeout": 2, "max_concurrency": 2})
class Squares:
    @bentoml.api
    def predict(self, number: float) -> float:
        return number**2

    @bentoml.api
    def fails(self) -> float:
        raise RuntimeError

    @bentoml.api
    async def slow(self) -> float:
        await asyncio.sleep(4)
        return 0

    @bentoml.api
    def count(self) -> Iterator[str]:
        for number in range(4):
            time.sleep(0.1)
            yield str(number)


app = MeshCORS(Squares.to_asgi(), policy)
