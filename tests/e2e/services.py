"""Two model services behind one URL, told apart by ``model-api-key``: FastAPI's xyz, Flask's abc.

Each keeps the same policy, with its own key, as every service behind the URL must.
"""

from __future__ import annotations

import fastapi
import flask

import meshcors.flask
from meshcors import HeaderKey, MeshCORS, Policy

KEY_HEADER = "model-api-key"
ORIGIN = "https://ui.example"


def policy(key: str) -> Policy:
    return Policy(allow_origins=[ORIGIN], key=HeaderKey(KEY_HEADER, [key]), max_age=600)


bare_app = fastapi.FastAPI()


@bare_app.post("/v1/predict")
def predict_bare() -> dict[str, str]:
    return {"model": "xyz"}


fastapi_app = fastapi.FastAPI()
fastapi_app.add_middleware(MeshCORS, policy=policy("xyz"))
fastapi_app.add_api_route("/v1/predict", predict_bare, methods=["POST"])

flask_app = flask.Flask(__name__)
meshcors.flask.init_app(flask_app, policy("abc"))


@flask_app.post("/v1/predict")
def predict_flask() -> flask.Response:
    return flask.jsonify(model="abc")
