r"""A model service on Flask, picked by the header ``model-api-key: abc``.

Start it, then call it as a page would::

    python -m pip install flask meshcors
    flask --app examples/flask_service.py run --port 8002

    curl -i localhost:8002/v1/predict -H "origin: http://localhost:3000" -H "model-api-key: abc" \
        -H "content-type: application/json" -d '{"text": "hello"}'
"""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

import meshcors.flask
from meshcors import HeaderKey

app = Flask(__name__)
meshcors.flask.init_app(
    app,
    allow_origins=["http://localhost:3000"],
    max_age=600,
    key=HeaderKey("model-api-key", values=["abc"], exempt_paths=["/healthz"]),
)


@app.post("/v1/predict")
def predict() -> Response:
    return jsonify(model="abc", answer=request.json["text"][::-1])


@app.get("/healthz")
def healthz() -> Response:
    return jsonify(status="ok")
