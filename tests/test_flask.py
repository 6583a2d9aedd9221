"""Flask: redirects, error pages and exceptions, with `init_app` and with the middleware itself."""

from __future__ import annotations

from typing import Any

import flask
import pytest

import meshcors.flask
from meshcors import HeaderKey, Policy, PolicyError
from tests.calling import EVIL, UI

POLICY = Policy(
    allow_origins=[UI],
    allow_methods=["PUT"],
    key=HeaderKey("model-api-key", ["xyz"], exempt_paths=["/healthz"]),
)
FIELDS = {"origin": UI, "model-api-key": "xyz"}


def make_app() -> flask.Flask:
    app = flask.Flask(__name__)

    @app.get("/deep/hello", endpoint="deep")
    @app.get("/hello")
    def hello() -> Any:
        answer = flask.make_response("hello")
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer

    @app.get("/slash/")
    def slash() -> str:
        return "slash"

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.get("/boom")
    def boom() -> str:
        raise RuntimeError("boom")

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response(iter(["one", "two"]), mimetype="text/plain")

    return app


def init_app(app: flask.Flask) -> flask.Flask:
    meshcors.flask.init_app(app, POLICY)
    return app


def wrapped(app: flask.Flask) -> flask.Flask:
    app.wsgi_app = meshcors.wsgi.MeshCORS(app.wsgi_app, POLICY)  # type: ignore[method-assign]  # as Flask documents
    return app


ways = pytest.mark.parametrize("way", [init_app, wrapped])


@ways
@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("GET", "/hello", FIELDS, 200),
        ("HEAD", "/hello", FIELDS, 200),
        ("OPTIONS", "/hello", FIELDS, 200),
        ("GET", "/stream", FIELDS, 200),
        ("GET", "/slash", FIELDS, 308),
        ("GET", "/deep//hello", FIELDS, 308),
        ("GET", "/gone", FIELDS, 404),
        ("DELETE", "/hello", FIELDS, 405),
        ("GET", "/boom", FIELDS, 500),
        ("GET", "/hello", {"origin": UI}, 401),
        ("GET", "/hello", {**FIELDS, "model-api-key": "abc"}, 403),
        ("GET", "/healthz", {"origin": UI}, 200),
    ],
)
def test_every_answer_is_readable(
    way: Any, method: str, path: str, fields: dict[str, str], status: int
) -> None:
    answer = way(make_app()).test_client().open(path, method=method, headers=fields)
    assert answer.status_code == status
    assert answer.headers.getlist("access-control-allow-origin") == [UI]
    assert answer.headers.getlist("vary") == ["Origin, model-api-key"]


@ways
@pytest.mark.parametrize("path", ["/hello", "/slash", "/deep//hello", "/gone", "/boom"])
def test_preflight_is_answered_before_routing(way: Any, path: str) -> None:
    fields = {"origin": UI, "access-control-request-method": "PUT"}
    answer = way(make_app()).test_client().options(path, headers=fields)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "PUT"
    refused = way(make_app()).test_client().options(path, headers={**fields, "origin": EVIL})
    assert refused.status_code == 403
    assert refused.json["reason"] == "origin_not_allowed"


@ways
def test_cookies_and_streams_stay(way: Any) -> None:
    client = way(make_app()).test_client()
    assert len(client.get("/hello", headers=FIELDS).headers.getlist("set-cookie")) == 2
    assert client.get("/stream", headers=FIELDS).text == "onetwo"


@ways
def test_own_handler_makes_the_body(way: Any) -> None:
    app = make_app()
    app.register_error_handler(500, lambda error: ({"own": True}, 500))
    answer = way(app).test_client().get("/boom", headers=FIELDS)
    assert answer.json == {"own": True}
    assert answer.headers["access-control-allow-origin"] == UI


@ways
def test_exception_that_flask_passes_on(way: Any) -> None:
    app = make_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(RuntimeError, match="boom"):
        way(app).test_client().get("/boom", headers=FIELDS)


def test_init_app_takes_a_policy_its_options_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    for options in ({"policy": Policy(allow_origins=[UI])}, {"allow_origins": [UI]}, {}):
        app = make_app()
        meshcors.flask.init_app(app, **options)  # type: ignore[arg-type]  # one of three forms
        answer = app.test_client().get("/hello", headers={"origin": UI})
        assert answer.headers["access-control-allow-origin"] == UI
    with pytest.raises(PolicyError):
        meshcors.flask.init_app(make_app(), allow_origins=UI)
