# /// script
# dependencies = ["gradio"]
#
# [tool.stack]
# title = "Gradio, mounted"
# package = "gradio"
# line = "app = MeshCORS(app, policy)"
# start = ["uvicorn", "app:app", "--host=127.0.0.1", "--port={port}"]
# environment = { GRADIO_ANALYTICS_ENABLED = "False" }
# outside = ""
# guard = "its own CORS, which lets in every stranger with credentials: inside of meshcors its fields are dropped. A middleware in `app_kwargs` is inside of it, and overruled"
#
# [tool.stack.calls]
# works = { path = "/demo/gradio_api/call/predict", json = { data = [4] } }
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/demo/gradio_api/call/predict", method = "PUT", status = 405 }
# error = { path = "/fails", method = "GET", status = 500 }
# limit = { path = "/demo/gradio_api/call/slow", json = { data = [4] }, status = 503, beside = 8, says = "`queue(max_size=4)`" }
# timeout = "has none"
# stream = { path = "/demo/gradio_api/call/predict/{taken}", method = "GET", takes = '"event_id":"([^"]+)"' }
# websocket = "serves none"
# health = { path = "/healthz", method = "GET" }
#
# [tool.stack.calls.large]
# path = "/demo/gradio_api/upload"
# type = "multipart/form-data; boundary=end"
# text = "--end\r\nContent-Disposition: form-data; name=\"files\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\n{x}\r\n--end--\r\n"
# size = 2_000_000
# status = 413
# says = "`max_file_size`"
# ///
"""A Gradio demo inside of a FastAPI app."""

import time
from collections.abc import Iterator

import gradio as gr
from fastapi import FastAPI

from meshcors import HeaderKey, MeshCORS, Policy

policy = Policy(
    allow_origins=["https://ui.example"],
    key=HeaderKey("model-api-key", values=["xyz"], exempt_paths=["/healthz"]),
)
app = FastAPI()


@app.get("/healthz")
def health() -> str:
    return "ok"


@app.get("/fails")
def fails() -> str:
    raise RuntimeError


def predict(number: float) -> Iterator[float]:
    for power in range(4):
        time.sleep(0.2)
        yield number**power


def slow(number: float) -> float:
    time.sleep(2)
    return number


with gr.Blocks() as demo:
    number = gr.Number()
    output = gr.Number()
    gr.Button("Predict").click(predict, number, output, api_name="predict")
    gr.Button("Slow").click(slow, number, output, api_name="slow", concurrency_limit=1)
demo.queue(max_size=4)
app = gr.mount_gradio_app(app, demo, path="/demo", max_file_size="1mb")
app = MeshCORS(app, policy)
