# /// script
# dependencies = ["litserve"]
#
# [tool.stack]
# title = "LitServe"
# package = "litserve"
# line = "middlewares=[(MeshCORS, {\"policy\": policy})]"
# start = ["python", "app.py", "{port}"]
# outside = ""
# guard = "none of its own"
#
# [tool.stack.calls]
# works = { path = "/predict", json = { input = 4.0 } }
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/predict", method = "GET", status = 405 }
# large = { path = "/predict", size = 2_000_000, status = 413, says = "`max_payload_size`" }
# error = { path = "/predict", json = { input = "fails" }, status = 500 }
# limit = "has none"
# timeout = { path = "/predict", json = { input = "slow" }, status = 504, beside = 2, says = "`timeout`, in the queue" }
# stream = { path = "/stream", json = { input = 4.0 } }
# websocket = "serves none"
# health = { path = "/health", method = "GET" }
# ///
"""A model behind LitServe, and one that streams."""

import sys
import time
from typing import Any

from litserve import LitAPI, LitServer

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/health"]),
)


class Square(LitAPI):
    def setup(self, device: str) -> None:
        self.model = lambda x: x**2

    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["input"]

    def predict(self, x: Any) -> Any:
        if x == "slow":
            time.sleep(3)
            return 0
        return self.model(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"output": output}


class Count(Square):
    def predict(self, x):
        for number in range(4):
            time.sleep(0.1)
            yield number * x

    # LitServe would take a return type for the answer's schema.
    def encode_response(self, outputs):
        for output in outputs:
            yield {"output": output}


if __name__ == "__main__":
    apis = [Square(api_path="/predict"), Count(api_path="/stream", stream=True)]
    server = LitServer(
        apis,
        accelerator="cpu",
        timeout=1,
        max_payload_size=1_000_000,
        middlewares=[(MeshCORS, {"policy": policy})],
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
