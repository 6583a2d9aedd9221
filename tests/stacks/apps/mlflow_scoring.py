# /// script
# dependencies = ["mlflow"]
#
# [tool.stack]
# title = "MLflow, scoring server"
# package = "mlflow"
# line = "app = MeshCORS(scoring_server.init(model), policy)"
# start = ["uvicorn", "app:app", "--host=127.0.0.1", "--port={port}"]
# environment = { MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT = "2" }
# outside = ""
# guard = "none of its own"
#
# [tool.stack.calls]
# works = { path = "/invocations", json = { inputs = [4] } }
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/invocations", method = "GET", status = 405 }
# large = "has no limit"
# error = { path = "/invocations", json = { inputs = ["fails"] }, status = 400, says = "a model's exception" }
# limit = "has none"
# timeout = { path = "/invocations", json = { inputs = ["slow"] }, status = 504, says = "`MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT`" }
# stream = "has none"
# websocket = "serves none"
# health = { path = "/ping", method = "GET" }
# ///
"""A model in MLflow's format, and the app that its scoring server runs."""

import time
from pathlib import Path

import mlflow.pyfunc
from mlflow.pyfunc import scoring_server

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/ping", "/health", "/version"]),
)


class Square(mlflow.pyfunc.PythonModel):
    def predict(self, model_input, params=None):
        if model_input[0] == "slow":
            time.sleep(4)
        return [number**2 for number in model_input]


if not Path("model").exists():
    mlflow.pyfunc.save_model("model", python_model=Square())
model = mlflow.pyfunc.load_model("model")
app = MeshCORS(scoring_server.init(model), policy)
