"""The ready-made apps: preflights by the policy, and readable refusals for real requests."""

from __future__ import annotations

import json
import subprocess
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import fastapi
import flask
import pytest
from starlette.responses import JSONResponse
from starlette.testclient import TestClient, WebSocketDenialResponse
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from meshcors import (
    HeaderKey,
    Policy,
    PolicyError,
    PolicyWarning,
    Rule,
    RuleSet,
    create_app,
    create_wsgi_app,
)
from tests.calling import EVIL, PYTHON, UI, Answered, App, call_asgi, call_wsgi, preflight

PLAIN = Policy(allow_origins=[UI])
KEYED = Policy(allow_origins=[UI], key=HeaderKey("x-key", ["right"], exempt_paths=["/open/*"]))
ANY_KEY = Policy(allow_origins=[UI], key=HeaderKey("x-key"))


def by_asgi(policy: Policy, *request: Any) -> Answered:
    return call_asgi(create_app(policy), *request)


def by_wsgi(policy: Policy, *request: Any) -> Answered:
    return call_wsgi(create_wsgi_app(policy), *request, validated="HEAD" not in request)


both = pytest.mark.parametrize("answer", [by_asgi, by_wsgi])

PROBLEMS = [
    (PLAIN, "GET", "/", {}, 404, "no_route"),
    (PLAIN, "OPTIONS", "/", {"origin": UI}, 404, "no_route"),
    (PLAIN, "POST", "//any/", {}, 404, "no_route"),
    (KEYED, "GET", "/", {}, 401, "key_missing"),
    (KEYED, "DELETE", "/", {"x-key": ""}, 401, "key_missing"),
    (KEYED, "GET", "/", {"x-key": "right"}, 404, "no_route"),
    (KEYED, "GET", "/", {"x-key": "any"}, 403, "key_unknown"),
    (ANY_KEY, "GET", "/", {"x-key": "any"}, 404, "no_route"),
    (ANY_KEY, "GET", "/", {}, 401, "key_missing"),
    (KEYED, "GET", "/open/x", {}, 404, "no_route"),
]


@both
@pytest.mark.parametrize("origin", [UI, EVIL, None])
@pytest.mark.parametrize(("policy", "method", "path", "fields", "status", "reason"), PROBLEMS)
def test_real_request(
    answer: Any,
    policy: Policy,
    method: str,
    path: str,
    fields: dict[str, str],
    status: int,
    reason: str,
    origin: str | None,
) -> None:
    sent = {**fields, **({"origin": origin} if origin else {})}
    if not origin:
        sent.pop("origin", None)
    got = answer(policy, method, path, sent.items())
    assert got.status == status
    assert f'"reason": "{reason}"' in got.body.decode()
    assert got.get("content-type") == "application/problem+json"
    assert got.get("content-length") == str(len(got.body))
    assert got.get("cache-control") == "no-store"
    assert got.get("access-control-allow-origin") == (UI if origin == UI else None)
    assert "origin" in got.names("vary")


@both
@pytest.mark.parametrize("policy", [PLAIN, KEYED], ids=["plain", "keyed"])
@pytest.mark.parametrize("path", ["/", "//x/", "/open/x"])
def test_preflight(answer: Any, policy: Policy, path: str) -> None:
    got = answer(policy, "OPTIONS", path, preflight(UI, "GET", "x-key"))
    assert (got.status, got.body) == (204, b"")
    assert got.get("access-control-allow-origin") == UI
    assert answer(policy, "OPTIONS", path, preflight(EVIL)).status == 403


@both
def test_head_is_get_without_a_body(answer: Any) -> None:
    head, get = (answer(PLAIN, method, "/", [("origin", UI)]) for method in ("HEAD", "GET"))
    assert head.body == b""
    assert sorted(head.headers) == sorted(get.headers)


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
def test_websocket_is_refused(extensions: dict[str, Any]) -> None:
    scope: dict[str, Any] = {
        "type": "websocket",
        "path": "/",
        "headers": [],
        "extensions": extensions,
    }
    got = call_asgi(create_app(PLAIN), scope=scope, received=[{"type": "websocket.connect"}])
    if extensions:
        assert got.status == 404
        assert b"no_route" in got.body
    else:
        assert got.messages == [{"type": "websocket.close", "code": 1008, "reason": "no_route"}]


def test_routes_of_ones_own_may_be_added() -> None:
    from starlette.responses import PlainTextResponse

    app = create_app(KEYED)
    app.add_route("/mine", lambda request: PlainTextResponse("mine"), methods=["GET"])
    with TestClient(app) as client:
        assert client.get("/mine", headers={"x-key": "right"}).text == "mine"
        assert client.get("/other", headers={"x-key": "right"}).json()["reason"] == "no_route"
        assert client.get("/mine", headers={"x-key": "wrong"}).json()["reason"] == "key_unknown"
        assert client.get("/mine").status_code == 401


def fastapi_service(**options: Any) -> fastapi.FastAPI:
    service = fastapi.FastAPI(**options)

    @service.get("/v1/predict")
    def predict() -> dict[str, str]:
        return {"model": "xyz"}

    @service.get("/open/{name}")
    def opened(name: str) -> dict[str, str]:
        return {"open": name}

    return service


def flask_service() -> flask.Flask:
    service = flask.Flask("service")
    service.add_url_rule("/v1/predict", view_func=lambda: {"model": "xyz"})
    service.add_url_rule("/open/<name>", view_func=lambda name: {"open": name}, endpoint="open")
    return service


RULES = RuleSet([Rule(KEYED, path_prefix="/v1"), Rule(PLAIN, path_prefix="/open")], uncovered="app")


def made(behind: str, **options: Any) -> Callable[..., Answered]:
    """A ready-made app with a service behind it, made in each possible way, and how to call it."""
    if behind == "ASGI":
        return partial(call_asgi, create_app(**options, app=fastapi_service()))
    if behind == "mount":
        app = create_app(**options)
        app.mount("/", fastapi_service())
        return partial(call_asgi, app)
    if behind == "routes":
        app = create_app(**options)
        app.add_route("/v1/predict", lambda request: JSONResponse({"model": "xyz"}))
        app.add_route("/open/{name}", lambda request: JSONResponse(request.path_params))
        return partial(call_asgi, app)
    wsgi_app = create_wsgi_app(**options, app=flask_service().wsgi_app)
    return partial(call_wsgi, wsgi_app, validated=False)


@pytest.mark.parametrize("behind", ["ASGI", "mount", "routes", "WSGI"])
def test_service_behind_a_ready_made_app_is_behind_its_key(behind: str) -> None:
    call = made(behind, policy=KEYED)
    origin = ("origin", UI)
    for key, status in (("right", 200), ("wrong", 403), (None, 401), ("RIGHT", 403)):
        fields = [origin, *([("x-key", key)] if key else [])]
        got = call("GET", "/v1/predict", fields)
        assert (got.status, got.get("access-control-allow-origin")) == (status, UI)
        assert (json.loads(got.body) == {"model": "xyz"}) is (status == 200)
    assert call("GET", "/open/x", [origin]).status == 200
    got = call("OPTIONS", "/v1/predict", preflight(UI, "GET", "x-key"))
    assert (got.status, got.get("access-control-allow-origin")) == (204, UI)
    got = call("GET", "/none", [origin, ("x-key", "right")])
    assert (got.status, got.get("access-control-allow-origin")) == (404, UI)


@pytest.mark.parametrize("behind", ["ASGI", "mount", "routes", "WSGI"])
def test_service_behind_a_ready_made_app_by_rules(behind: str) -> None:
    call = made(behind, rules=RULES)
    right = [("x-key", "right")]
    assert call("GET", "/v1/predict", right).status == 200
    assert call("GET", "/v1/predict").status == 401
    assert call("GET", "/open/x").status == 200
    # Refused, whatever the rules say about uncovered URLs.
    assert call("GET", "/docs", right).status == 404
    assert b"no_rule" in call("GET", "/docs", right).body


def test_root_path_that_the_service_behind_sets_itself() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        service = fastapi_service(root_path="/api")
    app = create_app(rules=RULES, app=service)
    right = [("x-key", "right")]
    assert call_asgi(app, "GET", "/api/v1/predict", right).status == 200
    assert call_asgi(app, "GET", "/api/v1/predict").status == 401
    assert call_asgi(app, "GET", "/v1/predict", right).status == 200


def test_lifespan_of_the_service_behind_runs() -> None:
    ran: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
        ran.append("startup")
        yield {"model": "loaded"}
        ran.append("shutdown")

    service = fastapi.FastAPI(lifespan=lifespan)

    @service.get("/")
    def state(request: fastapi.Request) -> str:
        return str(request.state.model)

    with TestClient(create_app(PLAIN, app=service)) as client:
        assert client.get("/").json() == "loaded"
    assert ran == ["startup", "shutdown"]


def test_websocket_of_the_service_behind() -> None:
    service = fastapi.FastAPI()

    @service.websocket("/ws")
    async def talk(websocket: fastapi.WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    client = TestClient(create_app(KEYED, app=service))
    with client.websocket_connect("/ws", headers={"x-key": "right"}) as session:
        assert session.receive_text() == "hello"
    with (
        pytest.raises(WebSocketDenialResponse),
        client.websocket_connect("/ws", headers={"x-key": "wrong"}),
    ):
        pass


# --- mounted as a fallback inside a service: preflights are answered, and what the service does not
# serve; the ready-made app never sees what the service serves itself


def test_fallback_inside_fastapi() -> None:
    service = fastapi_service()
    service.mount("/", create_app(KEYED))
    got = call_asgi(service, "OPTIONS", "/v1/predict", preflight(UI, "GET", "x-key"))
    assert (got.status, got.get("access-control-allow-origin")) == (204, UI)
    assert call_asgi(service, "OPTIONS", "/none", preflight(UI)).status == 204
    got = call_asgi(service, "GET", "/none", [("origin", UI)])
    assert (got.status, got.get("access-control-allow-origin")) == (401, UI)
    # Not covered: neither CORS nor the key.
    got = call_asgi(service, "GET", "/v1/predict", [("origin", UI)])
    assert (got.status, got.cors) == (200, set())


def test_fallback_beside_wsgi_apps() -> None:
    mounts = {"/v1": flask_service().wsgi_app}
    service = DispatcherMiddleware(create_wsgi_app(KEYED), mounts)
    got = call_wsgi(service, "OPTIONS", "/none", preflight(UI))
    assert (got.status, got.get("access-control-allow-origin")) == (204, UI)
    got = call_wsgi(service, "GET", "/none", [("origin", UI)])
    assert (got.status, got.get("access-control-allow-origin")) == (401, UI)
    # Not covered: neither CORS nor the key, and no preflight.
    got = call_wsgi(service, "GET", "/v1/v1/predict", [("origin", UI)], validated=False)
    assert (got.status, got.cors) == (200, set())
    got = call_wsgi(service, "OPTIONS", "/v1/v1/predict", preflight(UI), validated=False)
    assert (got.status, got.cors) == (200, set())


@pytest.mark.parametrize("make", [create_app, create_wsgi_app])
def test_policy_of_the_environment(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolicyError, match="MESHCORS_ALLOW_ORIGINS"):
        make()
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    call = call_asgi if make is create_app else call_wsgi
    assert call(make(), headers=[("origin", UI)]).get("access-control-allow-origin") == UI


def test_importing_the_package_imports_no_framework_and_no_server() -> None:
    heavy = ["starlette", "werkzeug", "uvicorn", "flask", "click", "publicsuffixlist", "re2"]
    code = f"import sys, meshcors; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_service_with_a_key_for_presence_only_is_warned_of() -> None:
    told = r"^key: x-key has no values, so any value is accepted; set them with HeaderKey's values,"
    with pytest.warns(PolicyWarning, match=told):
        create_app(Policy(allow_origins=[UI], key=HeaderKey("x-key")), app=App().asgi)
