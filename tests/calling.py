"""One request to one app, in process, over ASGI or WSGI, and everything that was sent back."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import meshcors
import meshcors.wsgi
from meshcors import Policy

Fields = Iterable[tuple[str, str]]

UI = "https://ui.example"
EVIL = "https://evil.example"


@dataclass
class Answered:
    """An answer: header names in lower case, the body whole, and what the app raised, if so."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    raised: BaseException | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        """The value of the field, or None; it must not occur twice."""
        values = self.every(name)
        assert len(values) < 2, f"{name} occurs {len(values)} times"
        return values[0] if values else None

    def every(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]

    def names(self, name: str) -> set[str]:
        """The elements of a list field, in lower case."""
        return {each.strip().lower() for each in (self.get(name) or "").split(",")} - {""}

    @property
    def cors(self) -> set[str]:
        return {name for name, _ in self.headers if name.startswith("access-control-")}


@dataclass
class App:
    """An app with a set answer, for both interfaces, which counts its calls."""

    status: int = 200
    headers: Fields = (("content-type", "text/plain"),)
    chunks: tuple[bytes, ...] = (b"first ", b"second")
    error: Exception | None = None
    calls: int = 0
    closed: int = 0

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        if self.error:
            raise self.error
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def wsgi(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self.calls += 1
        if self.error:
            raise self.error
        start_response(f"{self.status} As Told", list(self.headers))
        return _Closing(self)


class _Closing:
    def __init__(self, app: App) -> None:
        self._app = app

    def __iter__(self) -> Iterator[bytes]:
        yield from self._app.chunks

    def close(self) -> None:
        self._app.closed += 1


def as_server(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` as a server's function: any other caller may be a layer."""
    own = {**function.__globals__, "__name__": "uvicorn"}
    return FunctionType(
        function.__code__, own, function.__name__, function.__defaults__, function.__closure__
    )


def http_scope(
    method: str = "GET", path: str = "/", headers: Fields = (), **more: Any
) -> dict[str, Any]:
    """An HTTP scope as uvicorn makes it."""
    raw = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in headers]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": raw,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        **more,
    }


def call_asgi(
    app: Any,
    method: str = "GET",
    path: str = "/",
    headers: Fields = (),
    *,
    scope: dict[str, Any] | None = None,
    received: Iterable[dict[str, Any]] = ({"type": "http.request", "body": b""},),
) -> Answered:
    """Call an ASGI app; the messages are checked to be an answer in order."""
    answered = Answered()
    inbox = iter(received)
    complete = asyncio.Event()

    async def receive() -> dict[str, Any]:
        for message in inbox:
            return message
        # The client stays connected until it has its answer.
        await complete.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] != "websocket.close":
            started = any(each["type"].endswith(".start") for each in answered.messages)
            assert message["type"].endswith(".start") is not started, "start once, and first"
        answered.messages.append(message)
        if message["type"].endswith("response.start"):
            answered.status = message["status"]
            answered.headers = [
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in message["headers"]
            ]
        elif message["type"].endswith("response.body"):
            answered.body += message.get("body", b"")
            if not message.get("more_body"):
                complete.set()

    @as_server
    async def run() -> None:
        try:
            await app(scope or http_scope(method, path, headers), receive, send)
        except AssertionError:
            raise
        except Exception as error:
            answered.raised = error

    asyncio.run(run())
    return answered


def environ_of(method: str = "GET", path: str = "/", headers: Fields = ()) -> dict[str, Any]:
    """An environ as servers make it (PEP 3333, RFC 3875), repeated fields joined by a comma."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode().decode("latin-1"),
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    setup_testing_defaults(environ)
    return environ


def call_wsgi(
    app: Any,
    method: str = "GET",
    path: str = "/",
    headers: Fields = (),
    *,
    environ: dict[str, Any] | None = None,
    validated: bool = True,
) -> Answered:
    """Call a WSGI app, inside `wsgiref.validate` unless `validated` is false."""
    answered = Answered()
    written: list[bytes] = []

    def start_response(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
        assert not answered.status or exc_info, "start once, or with exc_info"
        answered.status = int(status.split()[0])
        answered.headers = [(name.lower(), value) for name, value in fields]
        return written.append

    if validated:
        app = validator(app)
    if environ is None:
        environ = environ_of(method, path, headers)

    @as_server
    def serve() -> None:
        iterable = app(environ, start_response)
        try:
            written.extend(iterable)
        finally:
            if hasattr(iterable, "close"):
                iterable.close()

    # wsgiref.validate fails with assertions, which the test must see.
    try:
        serve()
    except AssertionError:
        raise
    except Exception as error:
        answered.raised = error
    answered.body = b"".join(written)
    return answered


@dataclass(frozen=True)
class Surface:
    """An adapter, and how an app below it is called."""

    name: str
    wrap: Callable[[App, Policy], Any]
    call: Callable[..., Answered]

    def serve(
        self,
        policy: Policy,
        method: str = "GET",
        path: str = "/",
        headers: Fields = (),
        *,
        app: App | None = None,
    ) -> Answered:
        """Send one request to `app` (an `App` that answers 200) inside the policy."""
        return self.call(self.wrap(app or App(), policy), method, path, headers)


ASGI = Surface("asgi", lambda app, policy: meshcors.MeshCORS(app.asgi, policy), call_asgi)
WSGI = Surface("wsgi", lambda app, policy: meshcors.wsgi.MeshCORS(app.wsgi, policy), call_wsgi)
SURFACES = (ASGI, WSGI)


def preflight(origin: str, method: str = "POST", names: str | None = None) -> list[tuple[str, str]]:
    """The fields of a preflight."""
    fields = [("origin", origin), ("access-control-request-method", method)]
    return fields if names is None else [*fields, ("access-control-request-headers", names)]


def clean_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment for a child, with no MESHCORS_* variables but `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MESHCORS_")}
    return {**kept, **(variables or {})}


PYTHON = sys.executable
