"""The ready-made apps: preflights by the policy, and readable refusals for real requests."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from starlette.testclient import TestClient

from meshcors import HeaderKey, Policy, PolicyError, create_app, create_wsgi_app
from tests.calling import EVIL, PYTHON, UI, Answered, call_asgi, call_wsgi, preflight

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
