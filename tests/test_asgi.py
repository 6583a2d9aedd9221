"""The ASGI adapter: it never changes an app's messages, scopes or header lists."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import starlette._utils
import starlette.applications

from meshcors import HeaderKey, MeshCORS, Policy, PolicyError, PolicyWarning
from tests.calling import EVIL, UI, App, call_asgi, http_scope, preflight

PLAIN = Policy(allow_origins=[UI])
KEYED = Policy(allow_origins=[UI], key=HeaderKey("x-key", ["right"], exempt_paths=["/open/*"]))
ALLOWED = ("access-control-allow-origin", UI)


# --- how it is made ---------------------------------------------------------------------------


def test_policy_as_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHCORS_ALLOW_ORIGINS", UI)
    app = App()
    for made in (
        MeshCORS(app.asgi, PLAIN),
        MeshCORS(app=app.asgi, policy=PLAIN),
        MeshCORS(app.asgi, allow_origins=[UI]),
        MeshCORS(app.asgi),
    ):
        assert ALLOWED in call_asgi(made, headers=[("origin", UI)]).headers
        assert made.app == app.asgi


@pytest.mark.parametrize(
    ("args", "options", "code"),
    [
        pytest.param((UI,), {}, "not_a_policy", id="a text for a policy"),
        pytest.param(([UI],), {}, "not_a_policy", id="a list for a policy"),
        pytest.param((PLAIN,), {"max_age": 5}, "policy_and_options", id="both"),
        pytest.param((), {"allow_origin": [UI]}, "unknown_option", id="a near option"),
    ],
)
def test_wrong_policy(args: tuple[Any, ...], options: dict[str, Any], code: str) -> None:
    with pytest.raises(PolicyError) as caught:
        MeshCORS(App().asgi, *args, **options)
    assert caught.value.problems[0].code == code


async def start(app: Any) -> list[dict[str, Any]]:
    """Run an app's lifespan as a server does, up to its start; return what it sent."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if sent:
            await asyncio.Event().wait()
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with suppress(Exception):
        async with asyncio.timeout(2):
            await app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
    return sent


WRONG: dict[str, Any] = {"allow_origins": ["*", f"{UI}/"], "allow_credentials": True}


def lazily_built(**options: Any) -> Any:
    """An app that makes its middleware at the first call, as frameworks do."""
    app = starlette.applications.Starlette()
    app.add_middleware(MeshCORS, **options)
    return app


def test_no_lifespan_starts_with_a_wrong_policy() -> None:
    (failed,) = asyncio.run(start(lazily_built(**WRONG)))
    assert failed["type"] == "lifespan.startup.failed"
    with pytest.raises(PolicyError) as caught:
        Policy(**WRONG)
    assert failed["message"] == f"meshcors: {caught.value}"
    assert len(failed["message"].splitlines()) == 4
    complete, *_ = asyncio.run(start(lazily_built(allow_origins=[UI])))
    assert complete["type"] == "lifespan.startup.complete"


def test_with_a_wrong_policy_only_the_lifespan_is_answered_and_after_its_start() -> None:
    heard: list[str] = []

    async def receive() -> dict[str, Any]:
        heard.append("received")
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        heard.append(message["type"])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.append(f"app: {scope['type']}")

    # A server is calling: only then is an invalid policy kept for the lifespan.
    async def served(scope: Any, receive: Any, send: Any) -> None:
        await MeshCORS(app, **WRONG)(scope, receive, send)

    for kind in ("lifespan", "a kind of the future"):
        asyncio.run(served({"type": kind}, receive, send))
    assert heard == ["received", "lifespan.startup.failed", "app: a kind of the future"]


def test_without_a_lifespan_each_request_gets_a_500_and_the_log_tells_why_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = lazily_built(**WRONG)
    for method, headers in (("GET", [("origin", UI)]), ("OPTIONS", preflight(UI))):
        answered = call_asgi(app, method, headers=headers)
        assert (answered.status, answered.cors, answered.raised) == (500, set(), None)
    (record,) = caplog.records
    assert "origin_trailing_slash" in record.getMessage()
    assert (record.name, record.levelname) == ("meshcors", "ERROR")


def test_a_wrong_policy_is_raised_where_nobody_swallows_it() -> None:
    async def make() -> None:
        with pytest.raises(PolicyError):
            MeshCORS(App().asgi, **WRONG)

    # Servers import an app, and tests make one, in a running event loop.
    asyncio.run(make())


def test_a_scope_without_a_root_path_has_none() -> None:
    key = HeaderKey("model-api-key", ["xyz"], exempt_paths=["/XX/a", "/None"])
    app = MeshCORS(App().asgi, allow_origins=[UI], key=key)
    for path in ("/XX/a", "/None"):
        for more in ({}, {"root_path": None}, {"root_path": ""}):
            scope = http_scope(path=path)
            del scope["root_path"]
            assert call_asgi(app, scope={**scope, **more}).status == 200


# --- scopes -----------------------------------------------------------------------------------


def seen_scope(scope: dict[str, Any]) -> dict[str, Any]:
    """The scope that the app below gets."""
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    async def nothing(*_: Any) -> Any:
        return {"type": "nothing"}

    asyncio.run(MeshCORS(app, KEYED)(scope, nothing, nothing))
    return seen[0]


@pytest.mark.parametrize("kind", ["lifespan", "something.new"])
def test_other_scopes_pass_untouched(kind: str) -> None:
    scope = {"type": kind}
    assert seen_scope(scope) is scope


# An exempt prefix in the root path, in the path, and where both meet: the path on which the app
# routes decides. The last column is the path on which Starlette, FastAPI and Django route.
ROOT_PATHS = [
    ("", "/open/x", 200, "/open/x"),
    ("", "/x", 401, "/x"),
    ("/api", "/api/open/x", 200, "/open/x"),
    # A proxy has removed it.
    ("/api", "/open/x", 200, "/open/x"),
    ("/api", "/x", 401, "/x"),
    ("/open", "/open/x", 401, "/x"),
    ("/open", "/open/open/x", 200, "/open/x"),
    ("/open", "/open", 401, ""),
    ("/", "/open/x", 200, "/open/x"),
    ("/", "/x", 401, "/x"),
    # Ambiguous: other frameworks remove it as text, or wherever it occurs.
    ("/api", "/apiopen/x", 401, None),
    ("/api", "/open/api/x", 401, None),
    ("/open/", "/open/x", 401, None),
    ("/api", "//api/open/x", 401, None),
    ("/api", "/api//open/x", 401, None),
    ("/api", "/api/../open/x", 401, None),
    ("", "open/x", 401, None),
    ("", "x:/open/x", 401, None),
    ("", "/open/x\n", 401, None),
]


@pytest.mark.parametrize(("root_path", "path", "status", "routed"), ROOT_PATHS)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_path_is_the_one_on_which_the_app_routes(
    kind: str, root_path: str, path: str, status: int, routed: str | None
) -> None:
    app = App()
    scope = http_scope(path=path, root_path=root_path, type=kind)
    if kind == "http":
        assert call_asgi(MeshCORS(app.asgi, KEYED), scope=scope).status == status
    else:
        connect = [{"type": "websocket.connect"}]
        call_asgi(MeshCORS(app.asgi, KEYED), scope=scope, received=connect)
    assert app.calls == (status == 200)
    if routed is not None:
        assert starlette._utils.get_route_path(scope if root_path != "/" else {"path": path}) == (
            routed
        )


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_scope_passes_as_it_came(kind: str) -> None:
    scope = http_scope(headers=[("x-key", "right")], type=kind)
    assert seen_scope(scope) is scope


HEADERS = [(b"origin", UI.encode()), (b"x-key", b"right")]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(lambda: tuple(HEADERS), id="tuple"),
        pytest.param(lambda: iter(HEADERS), id="iterator"),
        pytest.param(lambda: (field for field in HEADERS), id="generator"),
        pytest.param(lambda: [list(field) for field in HEADERS], id="lists of two"),
        pytest.param(lambda: tuple(map(list, HEADERS)), id="tuple of lists"),
    ],
)
def test_request_headers_of_any_kind_reach_the_app(kind: str, headers: Any) -> None:
    scope = http_scope(type=kind)
    scope["headers"] = headers()
    assert [tuple(field) for field in seen_scope(scope)["headers"]] == HEADERS


def test_request_without_headers() -> None:
    scope = http_scope()
    del scope["headers"]
    assert call_asgi(MeshCORS(App().asgi, PLAIN), scope=scope).status == 200
    scope = http_scope()
    del scope["headers"]
    assert call_asgi(MeshCORS(App().asgi, KEYED), scope=scope).status == 401


def test_request_names_with_an_underscore_are_other_names() -> None:
    app = MeshCORS(App().asgi, KEYED)
    assert call_asgi(app, headers=[("x_key", "right")]).status == 401
    assert call_asgi(app, headers=[("x_key", "wrong"), ("x-key", "right")]).status == 200


# --- messages ---------------------------------------------------------------------------------


def answered_with(*messages: dict[str, Any], origin: str = UI) -> list[dict[str, Any]]:
    """What leaves the process if the app sends `messages`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return call_asgi(MeshCORS(app, PLAIN), headers=[("origin", origin)]).messages


BODY: dict[str, Any] = {"type": "http.response.body", "body": b"x", "more_body": False}


def test_unknown_keys_and_messages_are_kept() -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [], "trailers": True}
    trailers = {"type": "http.response.trailers", "headers": [(b"vary", b"x")]}
    sent = answered_with(start, BODY, trailers)
    assert sent[0]["trailers"] is True
    assert sent[0]["status"] == 200
    assert sent[1] is BODY
    assert sent[2] is trailers


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(((b"vary", b"x"),), id="tuple"),
        pytest.param([[b"vary", b"x"]], id="lists of two"),
        pytest.param(iter([(b"vary", b"x")]), id="iterator"),
    ],
)
def test_answer_headers_of_any_kind(headers: Any) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    assert (b"vary", b"x, Origin") in answered_with(start, BODY)[0]["headers"]


def test_answer_without_headers() -> None:
    sent = answered_with({"type": "http.response.start", "status": 200}, BODY)
    assert dict(sent[0]["headers"])[b"access-control-allow-origin"] == UI.encode()


def test_messages_of_the_app_are_never_changed() -> None:
    headers = [(b"vary", b"x"), (b"Access-Control-Allow-Origin", b"*")]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    answered_with(start, BODY)
    assert start == {"type": "http.response.start", "status": 200, "headers": headers}
    assert headers == [(b"vary", b"x"), (b"Access-Control-Allow-Origin", b"*")]


def test_nothing_is_buffered() -> None:
    sent: list[Any] = []
    seen_by_app: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            seen_by_app.append(len(sent))

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(MeshCORS(app, PLAIN)(http_scope(), receive, send))
    assert seen_by_app == [2, 3, 4]


def test_refusals_and_head() -> None:
    app = App()
    wrapped = MeshCORS(app.asgi, KEYED)
    got, head = (call_asgi(wrapped, method, headers=[("origin", UI)]) for method in ("GET", "HEAD"))
    assert got.headers == head.headers
    assert ALLOWED in got.headers
    assert int(got.get("content-length") or 0) == len(got.body) > 0
    assert head.body == b""
    assert app.calls == 0
    assert call_asgi(wrapped, "HEAD", "/open/x", [("origin", UI)]).body == b"first second"


def test_every_answer_has_a_list_of_its_own() -> None:
    app = MeshCORS(App().asgi, KEYED)
    for method, headers in (("GET", []), ("OPTIONS", preflight(UI)), ("GET", [("x-key", "right")])):
        first, second = (call_asgi(app, method, headers=headers).messages[0] for _ in range(2))
        assert type(first["headers"]) is list
        assert first["headers"] == second["headers"]
        assert first["headers"] is not second["headers"]


def test_preflight_is_answered_here() -> None:
    app = App(error=RuntimeError("called"))
    answered = call_asgi(MeshCORS(app.asgi, KEYED), "OPTIONS", "//x/", preflight(UI, "PUT"))
    assert (answered.status, answered.body, app.calls) == (204, b"", 0)
    assert answered.get("content-type") is None
    assert answered.get("content-length") is None


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [UI, EVIL])
def test_error_before_the_start(origin: str) -> None:
    app = App(error=ValueError("x"))
    answered = call_asgi(MeshCORS(app.asgi, PLAIN), headers=[("origin", origin)])
    assert answered.raised is app.error
    assert (answered.status, answered.body) == (500, b"Internal Server Error")
    assert (ALLOWED in answered.headers) is (origin == UI)
    assert answered.get("vary") == "Origin"


def test_error_after_the_start() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("x")

    answered = call_asgi(MeshCORS(app, PLAIN))
    assert isinstance(answered.raised, ValueError)
    assert (answered.status, len(answered.messages)) == (200, 1)


def test_cancelling_is_no_error() -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        await MeshCORS(app, PLAIN)(http_scope(), send, send)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert sent == []


def test_the_method_is_the_one_from_entry() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["method"] = "GET"
        raise ValueError("x")

    assert call_asgi(MeshCORS(app, PLAIN), "HEAD").body == b""


def test_a_client_that_is_gone_hides_no_error() -> None:
    error = ValueError("x")

    async def send(message: Any) -> None:
        raise ConnectionResetError

    async def run() -> None:
        await MeshCORS(App(error=error).asgi, PLAIN)(http_scope(), send, send)  # type: ignore[arg-type]  # never called

    with pytest.raises(ValueError, match="x") as raised:
        asyncio.run(run())
    assert raised.value is error


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, bytes.decode])
def test_names_of_any_type_are_known(kind: Any) -> None:
    """ASGI requires bytes; some servers accept what some apps send instead."""
    kept = (kind(b"X-Own"), kind(b"1"))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(kind(b"Access-Control-Allow-Origin"), kind(b"*")), kept]
        headers.append((kind(b"Vary"), kind(b"Cookie")))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        await MeshCORS(app, PLAIN)(http_scope(headers=[("origin", UI)]), send, send)  # type: ignore[arg-type]  # never called

    asyncio.run(run())
    headers = sent[0]["headers"]
    assert headers[0] is kept
    assert headers[1] == (kind(b"Vary"), b"Cookie, Origin")
    assert headers[2:] == [(b"access-control-allow-origin", UI.encode())]


def test_fields_that_cannot_be_merged_are_a_failure_of_the_app() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [None]})

    answered = call_asgi(MeshCORS(app, PLAIN), headers=[("origin", UI)])
    assert isinstance(answered.raised, TypeError)
    assert (answered.status, ALLOWED in answered.headers) == (500, True)


def test_error_of_another_frameworks_app() -> None:
    """A framework may put any object in `scope["app"]`."""
    scope = http_scope(headers=[("origin", UI)], app=object())
    answered = call_asgi(MeshCORS(App(error=ValueError()).asgi, PLAIN), scope=scope)
    assert (answered.status, answered.body) == (500, b"Internal Server Error")


# --- WebSocket --------------------------------------------------------------------------------


def handshake(policy: Policy, *headers: tuple[str, str], **more: Any) -> list[dict[str, Any]]:
    """What is sent in answer to a handshake that the app below would accept."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept", "headers": [(b"vary", b"x")]})

    scope = http_scope(headers=[("host", "api.example"), *headers], type="websocket", **more)
    del scope["method"]
    sent: list[dict[str, Any]] = []
    inbox = [{"type": "websocket.connect"}]

    async def receive() -> dict[str, Any]:
        return inbox.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(MeshCORS(app, policy)(scope, receive, send))
    assert inbox == []
    return sent


ACCEPTED = {"type": "websocket.accept", "headers": [(b"vary", b"x")]}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("x-key", "right")], id="no browser"),
        pytest.param([("x-key", "right"), ("origin", UI)], id="allowed"),
        pytest.param([("x-key", "right"), ("origin", "http://api.example")], id="own"),
    ],
)
def test_websocket_passes_untouched(headers: list[tuple[str, str]]) -> None:
    assert handshake(KEYED, *headers) == [ACCEPTED]


@pytest.mark.parametrize("extensions", [{}, {"extensions": None}, {"extensions": {"tls": {}}}])
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "key_missing"),
        ([("x-key", "wrong")], "key_unknown"),
        ([("x-key", "right"), ("origin", EVIL)], "origin_not_allowed"),
    ],
)
def test_websocket_is_closed(
    headers: list[tuple[str, str]], reason: str, extensions: dict[str, Any]
) -> None:
    assert handshake(KEYED, *headers, **extensions) == [
        {"type": "websocket.close", "code": 1008, "reason": reason}
    ]


def test_websocket_is_denied_with_an_answer_where_the_server_can() -> None:
    denial = {"extensions": {"websocket.http.response": {}}}
    start, body = handshake(KEYED, ("origin", UI), **denial)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    fields = dict(start["headers"])
    assert fields[b"access-control-allow-origin"] == UI.encode()
    assert fields[b"www-authenticate"] == b"APIKey"
    assert int(fields[b"content-length"]) == len(body["body"])
    assert body["type"] == "websocket.http.response.body"
    start, body = handshake(PLAIN, ("origin", EVIL), **denial)
    assert start["status"] == 403
    assert not [name for name, _ in start["headers"] if name.startswith(b"access-control-")]


def test_websocket_error_is_the_apps() -> None:
    scope = http_scope(type="websocket")
    with pytest.raises(ValueError, match="x"):
        asyncio.run(MeshCORS(App(error=ValueError("x")).asgi, PLAIN)(scope, None, None))  # type: ignore[arg-type]  # never called


def test_a_key_without_values_is_warned_of() -> None:
    with pytest.warns(PolicyWarning, match="k has no values"):
        MeshCORS(App().asgi, allow_origins=[UI], key=HeaderKey("k"))
