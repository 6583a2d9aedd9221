# /// script
# dependencies = ["bentoml"]
#
# [tool.stack]
# title = "BentoML, `bentoml serve`"
# package = "bentoml"
# line = "Squares.add_asgi_middleware(MeshCORS, policy=policy)"
# start = ["bentoml", "serve", "app:Squares", "--host=127.0.0.1", "--port={port}"]
# environment = { BENTOML_DO_NOT_TRACK = "True" }
# outside = "the 429 and 504 of its own limits, which no page can read; around the service's app they are covered"
# guard = "`http.cors` in its configuration is off by default; inside of meshcors its fields are dropped"
#
# [tool.stack.calls]
# works = { path = "/predict", json = { number = 4 } }
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/predict", method = "GET", status = 405 }
# large = "has no limit"
# error = { path = "/fails", json = {}, status = 500 }
# limit = { path = "/slow", json = {}, status = 429, beside = 4, outside = true, says = "`max_concurrency`" }
# timeout = { path = "/slow", json = {}, status = 504, outside = true, says = "`timeout`" }
# stream = { path = "/count", json = {} }
# websocket = "serves none"
# health = { path = "/livez", method = "GET" }
# ///
"""A BentoML service that `bentoml serve` starts."""

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


Squares.add_asgi_middleware(MeshCORS, policy=policy)
