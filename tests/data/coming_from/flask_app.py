"""A shop with blueprints, as a first app with Flask has it, which pages of another origin call."""

from __future__ import annotations

from flask import Blueprint, Flask, jsonify, request
from flask.typing import ResponseReturnValue
from flask_cors import CORS

api = Blueprint("api", __name__, url_prefix="/api")
site = Blueprint("site", __name__)


@api.get("/products")
def products() -> ResponseReturnValue:
    return jsonify([{"name": "cup", "price": 3}])


@api.route("/products/<int:number>", methods=["PUT", "DELETE"])
def product(number: int) -> ResponseReturnValue:
    return jsonify(number=number, **(request.get_json(silent=True) or {}))


@api.get("/mirrored")
def mirrored() -> ResponseReturnValue:
    return "hello", {"access-control-allow-origin": "https://own.example"}


@api.get("/total")
def total() -> ResponseReturnValue:
    return jsonify(3 / 0)


@site.get("/")
def home() -> ResponseReturnValue:
    return "<h1>The shop</h1>"


@site.get("/apiary")
def bees() -> ResponseReturnValue:
    return "No API: bees."


def create_app() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(api)
    app.register_blueprint(site)
    return app


app = create_app()

CORS(
    app,
    resources={r"/api/*": {"origins": ["https://ui.example"]}},
    methods=["GET", "POST", "PUT"],
    allow_headers=["content-type", "x-version"],
    supports_credentials=True,
    max_age=600,
)
