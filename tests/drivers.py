"""One driver for each surface, all with the same signature: policy, call and app in, outcome out.

What a surface cannot do is skipped as data, with the reason. What a server or a framework itself
adds or alters is evened out in its driver, with a comment that says why, never in an expectation.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final
from urllib.parse import quote
from wsgiref.validate import WSGIWarning, validator

import a2wsgi
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

import meshcors
import meshcors.flask
import meshcors.starlette
from meshcors import HeaderKey, Policy
from meshcors._decision.answers import NO_ROUTE, Answer
from meshcors._decision.engine import Engine
from meshcors._policy.regex import Regex
from meshcors.asgi import MeshCORS
from meshcors.config import to_environment
from meshcors.wsgi import MeshCORS as WSGIMeshCORS
from tests import django_app
from tests.aiohttp_server import exchange, server_of, stop_servers
from tests.apps import AppError, TestApp
from tests.calling import as_server
from tests.vectors import APPS, POLICIES, Call, Fields, Vector

# What FastAPI's route takes; the others take any.
METHODS: Final = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY"]


@dataclass(slots=True)
class Outcome:
    """What left the process, and how the app was used.

    `fields` are in order, with lower-case names; `chunks` has no empty ones. `reason` is set only
    where a surface shows it. `raised`: the app's exception reached the server.
    """

    status: int
    fields: Fields
    chunks: tuple[bytes, ...]
    called: bool
    closed: bool
    reason: str | None = None
    raised: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


# Their values are lists of names: order and blanks do not matter, nor does the case of names.
LISTS: Final = {
    "vary": str.lower,
    "access-control-allow-headers": str.lower,
    "access-control-expose-headers": str.lower,
    "access-control-allow-methods": str,
}


def comparable(fields: Fields) -> list[tuple[str, object]]:
    """Return `fields` without order, and the names in lists without order either."""
    made: list[tuple[str, object]] = [(n, v) for n, v in fields if n not in LISTS]
    for name, fold in LISTS.items():
        lines = [value for found, value in fields if found == name]
        if lines:
            names = [fold(element.strip()) for element in ",".join(lines).split(",")]
            made.append((name, sorted(names)))
    return sorted(made, key=repr)


Run = Callable[[Policy, Call, str | None], Outcome]


def make_policy(options: Mapping[str, Any]) -> Policy:
    """Return the policy of plain data."""
    made = dict(options)
    made["allow_origins"] = [
        Regex(origin["regex"]) if isinstance(origin, dict) else origin
        for origin in options["allow_origins"]
    ]
    if key := options.get("key"):
        made["key"] = HeaderKey(
            key["name"], key.get("values"), exempt_paths=key.get("exempt_paths", ())
        )
    return Policy(**made)


@cache
def named_policy(name: str) -> Policy:
    return make_policy(POLICIES[name])


# --- the engine alone


def run_engine(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    """Give the engine the facts of the call, as an adapter would."""
    engine = Engine(policy)
    fields: dict[bytes, bytes] = {}
    for name, value in call.headers:
        raw_name, raw = name.encode("latin-1"), value.encode("latin-1")
        fields[raw_name] = fields[raw_name] + b"," + raw if raw_name in fields else raw
    if call.websocket:
        refusal = engine.decide_websocket(call.path, fields)
        if refusal is None:
            return Outcome(101, (), (), called=True, closed=True, reason="allowed")
        if not call.denial:
            return Outcome(1008, (), (), called=False, closed=False, reason=refusal.reason)
        decision: Any = refusal
    else:
        decision = engine.decide(call.method, call.path, fields)
    if isinstance(decision, Answer):
        body = () if call.method == "HEAD" or not decision.body else (decision.body,)
        return Outcome(decision.status, decision.headers, body, False, False, decision.reason)
    if behaviour is None:
        body = () if call.method == "HEAD" else (NO_ROUTE.body,)
        nobody = _lowered(decision.merge(NO_ROUTE.headers))
        return Outcome(NO_ROUTE.status, nobody, body, False, False, NO_ROUTE.reason)
    app = TestApp(behaviour)
    try:
        chunks = app.chunks(call.method)
    except AppError:
        chunks = () if call.method == "HEAD" else APPS["fails"][2]
    merged = decision.merge(app.fields)
    raw = decision.merge_raw((n.encode("latin-1"), v.encode()) for n, v in app.fields)
    assert [(n.decode(), v.decode("latin-1")) for n, v in raw] == merged
    return Outcome(
        app.status, _lowered(merged), chunks, True, True, decision.reason, raised=app.fails
    )


def _lowered(fields: Iterable[tuple[str, str]]) -> Fields:
    return tuple((name.lower(), value) for name, value in fields)


# --- ASGI

ASGIApp = Callable[..., Any]


def serve_asgi(app: ASGIApp, call: Call, used: TestApp | None = None) -> Outcome:
    """Play an ASGI server for one connection."""
    scope: dict[str, Any] = {
        "type": "websocket" if call.websocket else "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": call.method,
        "scheme": "ws" if call.websocket else "http",
        "path": call.path,
        "raw_path": call.path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in call.headers],
        "server": ("api.example", 80),
    }
    if call.websocket:
        del scope["method"]
        scope["subprotocols"] = []
        scope["extensions"] = {"websocket.http.response": {}} if call.denial else {}
    sent_headers = list(scope["headers"])
    messages: list[dict[str, Any]] = []
    asked = [
        {"type": "websocket.connect"}
        if call.websocket
        else {"type": "http.request", "body": b"", "more_body": False}
    ]

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(message: dict[str, Any]) -> None:
        # As a server does: the bytes are sent now, even if the message is changed later.
        messages.append(dict(message))

    @as_server
    async def serve() -> None:
        # A server awaits the app in a coroutine of its own.
        await app(scope, receive, send)

    raised = False
    try:
        asyncio.run(serve())
    except AppError:
        raised = True
    assert scope["headers"] == sent_headers, "the request belongs to the app"
    called, closed = (used.calls == 1, used.closed) if used else (False, False)
    first = messages[0]
    if first["type"] == "websocket.accept":
        return Outcome(101, (), (), called, closed)
    if first["type"] == "websocket.close":
        return Outcome(first["code"], (), (), called, closed, reason=first["reason"])
    prefix = "websocket.http.response" if call.websocket else "http.response"
    assert first["type"] == f"{prefix}.start"
    assert {message["type"] for message in messages[1:]} == {f"{prefix}.body"}
    # After an exception the server itself completes the answer, or closes the connection.
    assert raised or not messages[-1].get("more_body", False)
    return Outcome(
        first["status"],
        _lowered((n.decode("latin-1"), v.decode("latin-1")) for n, v in first["headers"]),
        tuple(m["body"] for m in messages[1:] if m.get("body")),
        called,
        closed,
        raised=raised,
    )


def run_asgi(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    return serve_asgi(MeshCORS(used.asgi, policy), call, used)


def _serve_starlette(app: ASGIApp, call: Call, used: TestApp) -> Outcome:
    outcome = serve_asgi(app, call, used)
    if call.method == "HEAD" and outcome.raised:
        # Starlette's error answer has a body for HEAD too, which servers do not send.
        outcome.chunks = ()
    return outcome


def run_starlette(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    app = used.starlette()
    app.add_middleware(MeshCORS, policy=policy)
    return _serve_starlette(app, call, used)


def run_starlette_init(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    app = used.starlette()
    meshcors.starlette.init_app(app, policy)
    return _serve_starlette(app, call, used)


def run_fastapi(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    app = used.fastapi(METHODS)
    app.add_middleware(MeshCORS, policy=policy)
    return _serve_starlette(app, call, used)


def run_fastapi_init(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    app = used.fastapi(METHODS)
    meshcors.starlette.init_app(app, policy)
    return _serve_starlette(app, call, used)


def run_create_app(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    return serve_asgi(meshcors.create_app(policy), call)


def run_create_app_service(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    return serve_asgi(meshcors.create_app(policy, app=used.asgi), call, used)


def run_create_app_mount(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    app = meshcors.create_app(policy)
    app.mount("/", used.asgi)
    return _serve_starlette(app, call, used)


# --- WSGI

WSGIApp = Callable[..., Iterable[bytes]]


def make_environ(call: Call) -> dict[str, Any]:
    """Return the environ of a WSGI server for `call`."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": call.path.encode().decode("latin-1"),
        "QUERY_STRING": "",
        "SERVER_NAME": "api.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in call.headers:
        # As gunicorn and Werkzeug's server do: an environ cannot distinguish X_Key from X-Key.
        if "_" not in name:
            variable = name.upper().replace("-", "_")
            if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                variable = f"HTTP_{variable}"
            before = environ.get(variable)
            environ[variable] = value if before is None else f"{before},{value}"
    return environ


def serve_wsgi(app: WSGIApp, call: Call, used: TestApp | None = None) -> Outcome:
    """Play a WSGI server for one request, with the standard library's validator in between."""
    starts: list[tuple[str, list[tuple[str, str]]]] = []
    chunks: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[..., Any]:
        assert exc_info or not starts, "start_response comes once"
        starts[:] = [(status, list(headers))]
        return chunks.append

    @as_server
    def serve() -> Any:
        return validator(app)(make_environ(call), start_response)

    raised = False
    try:
        with warnings.catch_warnings():
            # Any token is a method (RFC 9110 9.1); the validator knows only some.
            warnings.filterwarnings("ignore", "Unknown REQUEST_METHOD", WSGIWarning)
            iterable = serve()
        try:
            chunks += iterable
        finally:
            iterable.close()
    except AppError:
        raised = True
    status, headers = starts[0]
    called, closed = (used.calls == 1, used.closed) if used else (False, False)
    return Outcome(
        int(status[:3]),
        _lowered(headers),
        tuple(chunk for chunk in chunks if chunk),
        called,
        closed,
        raised=raised,
    )


def run_wsgi(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    # The validator below as well: to the app, the middleware is the server.
    return serve_wsgi(WSGIMeshCORS(validator(used.wsgi), policy), call, used)


def run_flask(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    app = used.flask()
    meshcors.flask.init_app(app, policy)
    return serve_wsgi(app, call, used)


def run_create_wsgi_app(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    return serve_wsgi(meshcors.create_wsgi_app(policy), call)


def run_create_wsgi_app_service(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    return serve_wsgi(meshcors.create_wsgi_app(policy, app=validator(used.wsgi)), call, used)


# --- Django's own middleware


def run_django_wsgi(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    django_app.use(used)
    with django_app.django_settings(policy):
        outcome = serve_wsgi(WSGIHandler(), call, used)
    # Django writes a blank before each cookie, which no reader of a field's value sees.
    return replace(outcome, fields=tuple((name, text.strip()) for name, text in outcome.fields))


def run_django_asgi(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    django_app.use(used)
    with django_app.django_settings(policy):
        return serve_asgi(ASGIHandler(), call, used)


# --- aiohttp, over a socket

# The server's own fields: on every answer, on a stream, and on one after which it closes.
_OF_AIOHTTP: Final = frozenset({"date", "server", "transfer-encoding"})
_BY_DEFAULT: Final = ("content-type", "application/octet-stream")


def run_aiohttp(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    server = server_of(policy)
    used = server.used = TestApp(behaviour)
    received = exchange(server.port, call)
    status, chunks = received.status, tuple(received.chunks)
    if status == 101:
        return Outcome(101, (), (), used.calls == 1, used.closed)
    fields = [line for line in received.fields if line[0] not in _OF_AIOHTTP]
    if call.websocket and not call.denial:
        # aiohttp always refuses with an answer.
        refused = json.loads(received.body)
        return Outcome(1008, (), (), used.calls == 1, used.closed, reason=refused["reason"])
    if used.fails and used.calls:
        # The server answers the exception in words of its own.
        assert status == 500
        own = {"content-type", "content-length", "connection"}
        ours = APPS["fails"]
        fields = [*ours[1], *(line for line in fields if line[0] not in own)]
        chunks = () if call.method == "HEAD" else ours[2]
    elif _BY_DEFAULT in fields:
        fields.remove(_BY_DEFAULT)
    return Outcome(status, tuple(fields), chunks, used.calls == 1, used.closed)


# --- the bridges of a2wsgi


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the loop of all ASGI apps that run under WSGI, in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def run_asgi_under_wsgi(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    app = a2wsgi.ASGIMiddleware(MeshCORS(used.asgi, policy), loop=_loop())
    return serve_wsgi(app, call, used)


def run_wsgi_under_asgi(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    used = TestApp(behaviour)
    app = a2wsgi.WSGIMiddleware(WSGIMeshCORS(used.wsgi, policy))
    # As uvicorn and gunicorn do; the bridge would make X-Key of X_Key.
    headers = tuple(line for line in call.headers if "_" not in line[0])
    try:
        return serve_asgi(app, replace(call, headers=headers), used)
    finally:
        app.executor.shutdown()


# --- the pod, over a socket


@dataclass(slots=True)
class _Pod:
    """A process that answers for one policy, and a connection to it."""

    process: subprocess.Popen[str]
    connection: http.client.HTTPConnection | None = None

    def connect(self) -> http.client.HTTPConnection:
        if self.connection is None:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line.startswith("port "), f"the pod said {line!r}"
            self.connection = http.client.HTTPConnection("127.0.0.1", int(line[5:]), timeout=20)
            for _ in range(200):
                try:
                    self.connection.connect()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
        return self.connection

    def stop(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.process.kill()
        self.process.communicate()


_pods: dict[Policy, _Pod] = {}


def _start_pod(policy: Policy) -> _Pod:
    # The pod's flags and files have tests of their own; here only the environment is used.
    told = to_environment(policy.without_key_values())
    environ = {name: text for name, text in os.environ.items() if "MESHCORS" not in name}
    command = [sys.executable, "-m", "meshcors.dummy", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--admin-port", "0", "--log-level", "error"],
        env={**environ, **told},
        stdout=subprocess.PIPE,
        text=True,
    )
    return _Pod(process)


def stop_all() -> None:
    """End every pod and server that a test has started."""
    stop_servers()
    while _pods:
        _pods.popitem()[1].stop()


def run_pod(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    if not _pods:
        # All at once, so that they start in parallel.
        _pods.update({made: _start_pod(made) for made in map(named_policy, POLICIES)})
    connection = _pods[policy].connect()
    try:
        response, body = _exchange(connection, call)
    except (http.client.RemoteDisconnected, ConnectionError):
        # The pod closes idle connections, so a client tries once more (RFC 9110 9.2.2).
        connection.close()
        response, body = _exchange(connection, call)
    # The server's own field, on every answer (RFC 9110 6.6.1).
    fields = tuple((n.lower(), v) for n, v in response.getheaders() if n.lower() != "date")
    return Outcome(response.status, fields, (body,) if body else (), called=False, closed=False)


def _exchange(
    connection: http.client.HTTPConnection, call: Call
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.putrequest(call.method, quote(call.path, safe="/"), skip_accept_encoding=True)
    for name, value in call.headers:
        connection.putheader(name, value.encode("latin-1"))
    connection.endheaders()
    response = connection.getresponse()
    return response, response.read()


# --- which driver runs what

_NO_APP_BELOW: Final = "no app lies below a ready-made one: it calls none"
_NOT_READY_MADE: Final = "an app lies below: nobody to say that nobody serves"
_NO_WEBSOCKET: Final = "WSGI has no WebSockets"
_PRESENCE: Final = "the pod knows no key's values: any will do"
_BRIDGE: Final = "what is outside of the bridge may answer, so the exception passes"
_VALUES: Final = "a ready-made app knows the key's values: not any will do"


@dataclass(frozen=True, slots=True)
class Driver:
    """How a surface is run, and the traits of the vectors it leaves out, with the reasons.

    `raises`: the app's exception reaches the server.
    """

    run: Run
    leaves_out: Mapping[str, str]
    raises: bool = True

    def runs(self, vector: Vector) -> bool:
        fails = {"app-fails"} if vector.app == "fails" and vector.called else set()
        return not (vector.traits | fails) & self.leaves_out.keys()


_ASGI: Final = {"ready-made": _NOT_READY_MADE, "any-key": _NOT_READY_MADE}
_FASTAPI: Final = {**_ASGI, "lower-case-method": "FastAPI's routes know methods in upper case"}
_AIOHTTP: Final = {
    **_ASGI,
    "control-bytes": "the server's parser refuses the request",
    "lower-case-method": "the server's parser knows methods in upper case",
}
_WSGI: Final = {**_ASGI, "websocket": _NO_WEBSOCKET}
_DJANGO_ASGI: Final = {
    **_ASGI,
    "websocket": "Django's middleware sees no WebSockets",
    "lower-case-method": "over ASGI, Django reads methods in upper case",
}
_READY_MADE: Final = {"app-called": _NO_APP_BELOW, "any-key": _VALUES}

DRIVERS: Final[Mapping[str, Driver]] = {
    "engine": Driver(run_engine, _ASGI),
    "asgi": Driver(run_asgi, _ASGI),
    "wsgi": Driver(run_wsgi, _WSGI),
    "starlette": Driver(run_starlette, _ASGI),
    "starlette-init_app": Driver(run_starlette_init, _ASGI),
    "fastapi": Driver(run_fastapi, _FASTAPI),
    "fastapi-init_app": Driver(run_fastapi_init, _FASTAPI),
    # Flask logs the exception itself and answers.
    "flask": Driver(run_flask, _WSGI, raises=False),
    # Django logs the exception itself and answers.
    "django-wsgi": Driver(run_django_wsgi, _WSGI, raises=False),
    "django-asgi": Driver(run_django_asgi, _DJANGO_ASGI, raises=False),
    # aiohttp logs the exception itself and answers.
    "aiohttp": Driver(run_aiohttp, _AIOHTTP, raises=False),
    "asgi-under-wsgi": Driver(run_asgi_under_wsgi, {**_WSGI, "app-fails": _BRIDGE}),
    "wsgi-under-asgi": Driver(run_wsgi_under_asgi, {**_WSGI, "app-fails": _BRIDGE}),
    "create_app": Driver(run_create_app, _READY_MADE),
    "create_app-service": Driver(run_create_app_service, _ASGI),
    "create_app-mount": Driver(run_create_app_mount, _ASGI),
    "create_wsgi_app": Driver(run_create_wsgi_app, {**_READY_MADE, "websocket": _NO_WEBSOCKET}),
    "create_wsgi_app-service": Driver(run_create_wsgi_app_service, _WSGI),
    "pod": Driver(
        run_pod,
        {
            "app-called": _NO_APP_BELOW,
            "key-values": _PRESENCE,
            "websocket": "the pod answers preflights: WebSockets send none",
            "control-bytes": "the server's parser refuses the request",
        },
    ),
}

# The others are compared with the engine; two answer over sockets, with a server for each policy.
_ELSEWHERE: Final = ("aiohttp", "engine", "pod")
IN_PROCESS: Final = {name: made for name, made in DRIVERS.items() if name not in _ELSEWHERE}


def each_driver(test: Callable[..., None]) -> Callable[..., None]:
    """Run `test` with every `driver` of this process."""
    cases = [pytest.param(driver, id=name) for name, driver in IN_PROCESS.items()]
    return pytest.mark.parametrize("driver", cases)(test)


def behaviour_below(driver: Driver, behaviour: str) -> str | None:
    """Return the app that `driver` runs: none below a ready-made one, and one that it takes."""
    if behaviour == "fails" and "app-fails" in driver.leaves_out:
        behaviour = "ok"
    return behaviour if "ready-made" in driver.leaves_out else None
