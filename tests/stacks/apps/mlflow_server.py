# /// script
# dependencies = ["mlflow", "uvicorn"]
#
# [tool.stack]
# title = "MLflow, server"
# package = "mlflow"
# line = "app = MeshCORS(mlflow.server.fastapi_app.app, policy)"
# start = ["uvicorn", "app:app", "--host=127.0.0.1", "--port={port}"]
# outside = ""
# guard = "answers 403 to POST, PUT, DELETE and PATCH of other origins: `MLFLOW_SERVER_CORS_ALLOWED_ORIGINS`, with the policy's origins; and 403 to other hosts: `MLFLOW_SERVER_ALLOWED_HOSTS`"
#
# [tool.stack.environment]
# MLFLOW_SERVER_CORS_ALLOWED_ORIGINS = "https://ui.example"
# MLFLOW_TRACKING_URI = "sqlite:///mlflow.db"
# _MLFLOW_SERVER_FILE_STORE = "sqlite:///mlflow.db"
# _MLFLOW_SERVER_ARTIFACT_ROOT = "./artifacts"
#
# [tool.stack.calls]
# works = { path = "/api/2.0/mlflow/experiments/search", json = { max_results = 5 }, to_stranger = 403 }
# missing = { path = "/api/2.0/mlflow/nowhere", status = 404 }
# method = { path = "/api/2.0/mlflow/experiments/search", method = "PUT", status = 405 }
# large = "has no limit"
# error = "none that a page causes"
# limit = "has none"
# timeout = "has none"
# stream = "has none"
# websocket = "serves none"
# health = { path = "/health", method = "GET" }
# ///
"""The tracking server, with the origins of the policy in its own guard."""

import mlflow.server.fastapi_app

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    allow_methods=["PUT", "PATCH", "DELETE"],
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/health", "/version"]),
)
app = MeshCORS(mlflow.server.fastapi_app.app, policy)
