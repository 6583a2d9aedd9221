# /// script
# dependencies = ["gradio"]
#
# [tool.stack]
# title = "Gradio, `launch()`"
# package = "gradio"
# line = "meshcors run -- python app.py"
# start = ["meshcors", "run", "--", "python", "app.py", "{port}"]
# outside = ""
# guard = "its own CORS, which lets in every stranger with credentials: inside of meshcors its fields are dropped"
#
# [tool.stack.environment]
# GRADIO_ANALYTICS_ENABLED = "False"
# MESHCORS_ALLOW_ORIGINS = "https://ui.example"
# MESHCORS_KEY_HEADER = "model-api-key"
# MESHCORS_KEY_VALUES = "xyz"
# MESHCORS_KEY_EXEMPT_PATHS = "/gradio_api/startup-events"
#
# [tool.stack.calls]
# works = { path = "/gradio_api/call/predict", json = { data = [4] } }
# missing = { path = "/nowhere", status = 404 }
# method = { path = "/gradio_api/call/predict", method = "PUT", status = 405 }
# error = { path = "/gradio_api/call/nobody", json = { data = [4] }, status = 500, says = "no such function" }
# limit = { path = "/gradio_api/call/slow", json = { data = [4] }, status = 503, beside = 8, says = "`queue(max_size=4)`" }
# timeout = "has none"
# stream = { path = "/gradio_api/call/predict/{taken}", method = "GET", takes = '"event_id":"([^"]+)"' }
# websocket = "serves none"
# health = { path = "/gradio_api/startup-events", method = "GET" }
#
# [tool.stack.calls.large]
# path = "/gradio_api/upload"
# type = "multipart/form-data; boundary=end"
# text = "--end\r\nContent-Disposition: form-data; name=\"files\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\n{x}\r\n--end--\r\n"
# size = 2_000_000
# status = 413
# says = "`max_file_size`"
# ///
"""A Gradio demo that starts its own server."""

import sys
import time
from collections.abc import Iterator

import gradio as gr


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

if __name__ == "__main__":
    demo.queue(max_size=4)
    demo.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), max_file_size="1mb")
