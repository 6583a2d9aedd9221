# /// script
# dependencies = ["kserve"]
#
# [tool.stack]
# title = "KServe"
# package = "kserve"
# line = "meshcors.starlette.init_app(kserve.model_server.app, policy)"
# start = ["python", "app.py", "--http_port={port}", "--enable_grpc=false"]
# outside = "gRPC, which no page speaks"
# guard = "none of its own"
#
# [tool.stack.calls]
# works = { path = "/v1/models/square:predict", json = { instances = [4] } }
# missing = { path = "/v1/models/nobody:predict", json = { instances = [4] }, status = 404 }
# method = { path = "/v2/health/ready", method = "PUT", status = 405 }
# large = "has no limit"
# error = { path = "/v1/models/square:predict", json = { instances = ["fails"] }, status = 500 }
# limit = "has none"
# timeout = "has none"
# stream = "its OpenAI routes stream, and need weights"
# websocket = "serves none"
# health = { path = "/v2/health/ready", method = "GET" }
# ///
"""A KServe model, and its server's own app."""

from typing import Any

import kserve
import kserve.model_server

import meshcors.starlette
from meshcors import HeaderKey, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    key=HeaderKey(
        "model-api-key",
        values=["xyz"],
        exempt_paths=["/", "/v2/health/live", "/v2/health/ready"],
    ),
)


class Square(kserve.Model):
    def __init__(self) -> None:
        super().__init__("square")
        self.ready = True

    def predict(self, payload: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        return {"predictions": [number**2 for number in payload["instances"]]}


if __name__ == "__main__":
    meshcors.starlette.init_app(kserve.model_server.app, policy)
    kserve.ModelServer().start([Square()])
