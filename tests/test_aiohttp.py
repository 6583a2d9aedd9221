"""aiohttp: errors, streams, files, sub-applications and WebSockets, on its own server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from socket import create_connection
from typing import Any

import pytest
from aiohttp import web

import meshcors.aiohttp
from meshcors import HeaderKey, Policy, PolicyError, Rule
from tests.aiohttp_server import AiohttpServer, Received, exchange
from tests.calling import EVIL, UI
from tests.vectors import Call, Fields

POLICY = Policy(
    allow_origins=[UI],
    allow_methods=["PUT"],
    key=HeaderKey("model-api-key", ["xyz"], exempt_paths=["/healthz", "/public/*"]),
)
KEYED = (("origin", UI), ("model-api-key", "xyz"))
STRANGERS = (("origin", EVIL), ("model-api-key", "xyz"))
OWN_CORS = {"access-control-allow-origin": "*"}


async def hello(request: web.Request) -> web.Response:
    response = web.Response(text=f"hello {request.match_info.get('name', '')}", headers=OWN_CORS)
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


async def boom(_: web.Request) -> web.Response:
    raise RuntimeError("boom")


async def teapot(_: web.Request) -> web.Response:
    raise web.HTTPConflict(text="not now", headers={"vary": "accept"})


async def upload(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for number in range(3):
        await response.write(f"data: {number}\n\n".encode())
    return response


async def file(_: web.Request) -> web.FileResponse:
    return web.FileResponse(Path(__file__))


async def socket(request: web.Request) -> web.WebSocketResponse:
    response = web.WebSocketResponse()
    await response.prepare(request)
    return response


@web.middleware
async def cloning(request: web.Request, handler: object) -> web.StreamResponse:
    assert callable(handler)
    response: web.StreamResponse = await handler(request.clone())
    return response


def make_app() -> web.Application:
    app = web.Application(client_max_size=10, middlewares=[cloning])
    app.add_routes(
        [
            web.get("/hello", hello),
            web.get("/healthz", hello),
            web.get("/public/{name}", hello),
            web.get("/{name}", hello),
            web.get("/v1/boom", boom),
            web.get("/v1/teapot", teapot),
            web.post("/v1/upload", upload),
            web.get("/v1/stream", stream),
            web.get("/v1/file", file),
            web.get("/v1/socket", socket),
            web.route("*", "/v1/any-socket", socket),
        ]
    )
    below = web.Application()
    below.add_routes([web.get("/hello", hello), web.get("/boom", boom)])
    app.add_subapp("/below/", below)
    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = make_app()
    meshcors.aiohttp.setup(app, POLICY)
    server = AiohttpServer(app)
    yield server.port
    server.stop()


def ask(port: int, method: str, target: str, fields: Fields = KEYED, body: bytes = b"") -> Received:
    return exchange(port, Call(method, headers=fields), target, body)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/hello", 200),
        ("HEAD", "/hello", 200),
        ("GET", "/v1/gone", 404),
        ("DELETE", "/hello", 405),
        ("OPTIONS", "/hello", 405),
        ("GET", "/v1/boom", 500),
        ("GET", "/v1/teapot", 409),
        ("POST", "/v1/upload", 413),
        ("GET", "/v1/stream", 200),
        ("GET", "/v1/file", 200),
        ("GET", "/below/hello", 200),
        ("GET", "/below/boom", 500),
        ("GET", "/below/gone", 404),
        ("PUT", "/below/hello", 405),
    ],
)
def test_a_page_reads_every_answer_and_a_stranger_none(
    port: int, method: str, target: str, status: int
) -> None:
    body = b"x" * 20 if method == "POST" else b""
    received = ask(port, method, target, body=body)
    assert received.status == status
    assert received.get("access-control-allow-origin") == UI
    vary = {name.strip() for name in (received.get("vary") or "").lower().split(",")}
    assert vary >= {"origin", "model-api-key"}
    strange = ask(port, method, target, STRANGERS, body)
    assert strange.status == status
    assert strange.get("access-control-allow-origin") is None
    refused = ask(port, method, target, (("origin", UI),))
    assert (refused.status, refused.get("access-control-allow-origin")) == (401, UI)


def test_what_the_app_sends_is_kept(port: int) -> None:
    received = ask(port, "GET", "/hello")
    assert received.body == b"hello "
    assert sum(name == "set-cookie" for name, _ in received.fields) == 2
    assert ask(port, "GET", "/v1/file").body == Path(__file__).read_bytes()
    assert len(ask(port, "GET", "/v1/stream").chunks) == 3
    assert ask(port, "GET", "/v1/teapot").get("vary") == "accept, Origin, model-api-key"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/healthz", 200),
        ("/public/x", 200),
        ("/%70ublic/x", 200),
        # One segment to aiohttp, below no prefix.
        ("/public%2Fx", 401),
        ("/public%2fadmin", 401),
        # A file's handler could read it as /hello.
        ("/public/..%2F..%2Fhello", 401),
        ("/public/../hello", 401),
        ("/public/%2e%2e/hello", 401),
        ("/public//x", 401),
        ("/public/%ff", 401),
        ("/public/x%00", 401),
        ("http://other.example/healthz", 200),
        ("http://other.example/hello", 401),
        ("/healthz?x=/hello", 200),
        ("/hello?/healthz", 401),
        ("//healthz", 401),
        ("/hello#/public/x", 401),
    ],
)
def test_a_path_is_exempt_as_the_app_reads_it(port: int, target: str, status: int) -> None:
    assert ask(port, "GET", target, ()).status == status
    if status == 401:
        assert ask(port, "GET", target).status != 401


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (KEYED, 101),
        ((("model-api-key", "xyz"),), 101),
        ((("origin", "http://api.example"), ("model-api-key", "xyz")), 101),
        (STRANGERS, 403),
        ((("origin", UI),), 401),
        ((("origin", UI), ("model-api-key", "abc")), 403),
    ],
)
def test_a_websocket_needs_an_origin_and_a_key(port: int, fields: Fields, status: int) -> None:
    received = exchange(port, Call(websocket=True, headers=fields), "/v1/socket")
    assert received.status == status


_HANDSHAKE = (
    "Host: api.example\r\nConnection: {connection}\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nmodel-api-key: xyz\r\n"
)


@pytest.mark.parametrize("origin", [UI, EVIL])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("upgrade", ["websocket", " WebSocket\t", "websocket\r\nUpgrade: h2c"])
def test_whatever_aiohttp_accepts_as_a_handshake_needs_an_origin(
    port: int, method: str, upgrade: str, origin: str
) -> None:
    head = _HANDSHAKE.format(connection="keep-alive, Upgrade")
    status = handshake(port, f"{method} /v1/any-socket", f"{head}Upgrade:{upgrade}\r\n", origin)
    assert status == (101 if origin == UI else 403)


@pytest.mark.parametrize("upgrade", ["h2c", "websocket, h2c", "h2c\r\nUpgrade: websocket"])
def test_what_aiohttp_does_not_accept_is_a_request_like_any_other(port: int, upgrade: str) -> None:
    head = _HANDSHAKE.format(connection="Upgrade")
    assert handshake(port, "POST /v1/upload", f"{head}Upgrade: {upgrade}\r\n", EVIL) == 200


def handshake(port: int, begin: str, head: str, origin: str) -> int:
    """The status of the answer to these bytes."""
    content = f"{begin} HTTP/1.1\r\n{head}Origin: {origin}\r\n\r\n".encode()
    with create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(content)
        return int(connection.recv(65536).split()[1])


def test_the_outermost_policy_has_the_say() -> None:
    below = web.Application()
    below.router.add_get("/hello", hello)
    meshcors.aiohttp.setup(below, Policy(allow_origins=["*"], key=HeaderKey("x-other", ["abc"])))
    app = web.Application()
    app.add_subapp("/below/", below)
    meshcors.aiohttp.setup(app, POLICY)
    server = AiohttpServer(app)
    try:
        both = (*KEYED, ("x-other", "abc"))
        assert ask(server.port, "GET", "/below/hello", both).status == 200
        for fields, status in ((both, 200), (KEYED, 401)):
            received = ask(server.port, "GET", "/below/hello", fields)
            assert received.status == status
            assert received.get("access-control-allow-origin") == UI
    finally:
        server.stop()


def test_rules_by_path_and_what_none_covers() -> None:
    app = make_app()
    rules = [Rule(Policy(allow_origins=[UI]), path_prefix="/v1")]
    meshcors.aiohttp.setup(app, rules=rules)
    server = AiohttpServer(app)
    try:
        covered = ask(server.port, "GET", "/v1/stream")
        assert covered.get("access-control-allow-origin") == UI
        # An encoded slash in a model's name leaves it below /v1.
        assert ask(server.port, "GET", "/v1/a%2Fb").get("access-control-allow-origin") == UI
        # As if there were no policy: the app's own field.
        assert ask(server.port, "GET", "/hello").get("access-control-allow-origin") == "*"
        assert ask(server.port, "GET", "/v1%2Fstream").get("access-control-allow-origin") == "*"
    finally:
        server.stop()


def test_the_pages_lines_check_the_key() -> None:
    page = (Path(__file__).parent.parent / "docs" / "frameworks.md").read_text(encoding="utf-8")
    block = page.partition("## aiohttp")[2].partition("```python\n")[2].partition("```")[0]
    made: dict[str, Any] = {"__name__": "service"}
    exec(compile(block, "docs/frameworks.md", "exec"), made)
    server = AiohttpServer(made["app"])
    try:
        for key, status in (("xyz", 200), ("guess", 403)):
            fields = (("origin", UI), ("model-api-key", key))
            received = ask(server.port, "GET", "/v1/predict", fields)
            assert received.status == status
            assert received.get("access-control-allow-origin") == UI
    finally:
        server.stop()


def test_it_is_set_up_once_and_before_the_start() -> None:
    app = web.Application()
    with pytest.raises(PolicyError):
        meshcors.aiohttp.setup(app, allow_origins=["ui.example"])
    meshcors.aiohttp.setup(app, allow_origins=[UI])
    with pytest.raises(RuntimeError, match="has a policy already"):
        meshcors.aiohttp.setup(app, allow_origins=[UI])
    started = web.Application()
    started.freeze()
    with pytest.raises(RuntimeError, match="before the app starts"):
        meshcors.aiohttp.setup(started, allow_origins=[UI])
