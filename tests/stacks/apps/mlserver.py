# /// script
# dependencies = ["mlserver"]
#
# [tool.stack]
# title = "MLServer"
# package = "mlserver"
# line = "meshcors run --config policy.json -- mlserver start ."
# start = ["sh", "-c", "python app.py {port} && exec meshcors run --config policy.json -- mlserver start ."]
# outside = "gRPC, which no page speaks"
# guard = "its `cors_settings` are off by default; inside of meshcors its fields are dropped"
#
# [tool.stack.calls]
# missing = { path = "/v2/models/nobody/infer", status = 404, json = { inputs = [] } }
# method = { path = "/v2/models/square/infer", method = "PUT", status = 405 }
# large = "has no limit"
# limit = "has none"
# timeout = "has none"
# websocket = "serves none"
# health = { path = "/v2/health/ready", method = "GET" }
#
# [tool.stack.calls.works]
# path = "/v2/models/square/infer"
# json = { inputs = [{ name = "number", shape = [1], datatype = "FP64", data = [4.0] }] }
#
# [tool.stack.calls.stream]
# path = "/v2/models/square/infer_stream"
# json = { inputs = [{ name = "number", shape = [1], datatype = "FP64", data = [4.0] }] }
#
# [tool.stack.calls.error]
# path = "/v2/models/square/infer"
# status = 500
# json = { inputs = [{ name = "fails", shape = [1], datatype = "FP64", data = [4.0] }] }
# ///
"""The model, and what writes MLServer's settings and the policy beside it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

POLICY = {
    "corsPolicy": {"allowOrigins": ["https://ui.example"]},
    "key": {
        "header": "model-api-key",
        "valuesFile": "keys",
        "exemptPaths": ["/v2/health/live", "/v2/health/ready"],
    },
}


class Square(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        sent = payload.inputs[0]
        if sent.name == "fails":
            raise RuntimeError
        squares = [number**2 for number in sent.data]
        output = ResponseOutput(name="square", shape=[1], datatype="FP64", data=squares)
        return InferenceResponse(model_name=self.name, outputs=[output])

    async def predict_stream(
        self, payloads: AsyncIterator[InferenceRequest]
    ) -> AsyncIterator[InferenceResponse]:
        async for payload in payloads:
            for _ in range(4):
                yield await self.predict(payload)
                await asyncio.sleep(0.2)


if __name__ == "__main__":
    port = int(sys.argv[1])
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": 0,
        # Its streams want neither.
        "gzip_enabled": False,
        "metrics_endpoint": None,
    }
    Path("settings.json").write_text(json.dumps(settings))
    model = {"name": "square", "implementation": "app.Square"}
    Path("model-settings.json").write_text(json.dumps(model))
    Path("policy.json").write_text(json.dumps(POLICY))
    Path("keys").write_text("xyz\n")
