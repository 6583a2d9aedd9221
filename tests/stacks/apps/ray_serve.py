# /// script
# dependencies = ["ray[serve]"]
#
# [tool.stack]
# title = "Ray Serve, FastAPI ingress"
# package = "ray"
# line = "app.add_middleware(MeshCORS)"
# start = ["python", "app.py", "{port}"]
# outside = "what its proxy answers: 503 and 408 of its limits, the 404 of a path that no app has, `/-/healthz`"
# guard = "none of its own"
#
# [tool.stack.environment]
# MESHCORS_ALLOW_ORIGINS = "https://ui.example"
# MESHCORS_KEY_HEADER = "model-api-key"
# MESHCORS_KEY_VALUES = "xyz"
# MESHCORS_KEY_EXEMPT_PATHS = "/healthz"
# RAY_USAGE_STATS_ENABLED = "0"
# RAY_TMPDIR = "{folder}"
#
# [tool.stack.calls]
# works = { path = "/models/predict?number=4" }
# missing = { path = "/models/nowhere", status = 404 }
# method = { path = "/models/predict?number=4", method = "GET", status = 405 }
# large = "has no limit"
# error = { path = "/models/fails", status = 500 }
# limit = { path = "/models/slow", status = 503, beside = 8, outside = true, says = "`max_queued_requests`" }
# timeout = { path = "/models/slow", status = 408, outside = true, says = "`request_timeout_s`" }
# stream = { path = "/models/count" }
# websocket = { path = "/models/talk" }
# health = { path = "/models/healthz", method = "GET", says = "exempt `/healthz`, the path on which the app routes" }
# ///
"""A deployment whose ingress is a FastAPI app.

Its policy is in the environment: an app is pickled, and a key never is.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket
from ray import serve
from starlette.responses import StreamingResponse

from meshcors import MeshCORS

app = FastAPI()
app.add_middleware(MeshCORS)


@serve.deployment(max_ongoing_requests=2, max_queued_requests=1)
@serve.ingress(app)
class Models:
    @app.post("/predict")
    def predict(self, number: float) -> float:
        return number**2

    @app.post("/fails")
    def fails(self) -> float:
        raise RuntimeError

    @app.post("/slow")
    async def slow(self) -> float:
        await asyncio.sleep(5)
        return 0

    @app.post("/count")
    async def count(self) -> StreamingResponse:
        async def numbers() -> AsyncIterator[str]:
            for number in range(4):
                yield f"{number}\n"
                await asyncio.sleep(0.1)

        return StreamingResponse(numbers())

    @app.get("/healthz")
    def health(self) -> str:
        return "ok"

    @app.websocket("/talk")
    async def talk(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()


if __name__ == "__main__":
    options = {"host": "127.0.0.1", "port": int(sys.argv[1]), "request_timeout_s": 3}
    serve.start(http_options=options)
    serve.run(Models.bind(), route_prefix="/models")
    threading.Event().wait()
