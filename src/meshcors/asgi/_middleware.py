"""The ASGI adapter: it turns a request into facts and an answer into messages, and decides nothing.

It imports no framework. Names are those of the ASGI specification 3.0.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, ClassVar, Final, TypeAlias

from typing_extensions import Unpack

from meshcors._decision.answers import INTERNAL_SERVER_ERROR, Answer
from meshcors._decision.call_stack import has_asgi_layer, is_sent_by, serves_now
from meshcors._decision.fields import collect
from meshcors._decision.preflight import MAX_LIST_BYTES
from meshcors._decision.rule_engine import compile_engine, uncovered_answer
from meshcors._policy.errors import PolicyError
from meshcors._policy.paths import routed_path
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.rules import Rule, RuleSet, Uncovered
from meshcors.asgi._failure import let_pass
from meshcors.asgi._root_path import RootPathsBelow, root_path_of
from meshcors.config._resolving import resolve

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

# RFC 6455 7.4.1: "policy violation".
_POLICY_VIOLATION = 1008


class MeshCORS:
    """ASGI middleware: one CORS policy, and the check of the header key, for the `app` below it.

    Pass a `Policy`, or its options as keywords, or `rules` for several policies by host and path,
    or nothing: then the ``MESHCORS_*`` environment is read. `uncovered` says who answers where no
    rule covers a URL: ``"app"``, as if this were not there, or ``"refuse"``; see `RuleSet`.

    Raises `PolicyError` for a policy that does not start. Where a server is calling already, as
    with `add_middleware` under Starlette, that would be swallowed: then the server's lifespan call
    is answered with the error, and each request with a 500.

    ``app.add_middleware(MeshCORS, policy=policy)`` under FastAPI and Starlette,
    ``MeshCORS(app, policy)`` elsewhere.
    """

    # Whether a service is behind it, for which a key that any value fits is worth a warning.
    _serves: ClassVar[bool] = True

    def __init__(
        self,
        app: ASGIApp,
        policy: Policy | None = None,
        *,
        rules: RuleSet | Iterable[Rule] | None = None,
        uncovered: Uncovered | None = None,
        **options: Unpack[PolicyOptions],
    ) -> None:
        self.app = app
        self._error: PolicyError | None = None
        try:
            source = resolve(policy, rules, options, uncovered, serves=self._serves)
        except PolicyError as error:
            if not serves_now():
                raise
            self._error = error
            engine: Any = _NoEngine(error)
        else:
            engine = compile_engine(source, uncovered_answer(source))
        self._decide = engine.decide
        self._decide_websocket = engine.decide_websocket
        self._reads = engine.reads
        self._reads_websocket = engine.reads_websocket
        self._reads_path = engine.reads_path
        self._root_path = root_path_of(app)
        self._root_paths_below = RootPathsBelow(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3.0).

        Lifespan and unknown kinds pass untouched, but no lifespan starts with a wrong policy.
        """
        if scope["type"] != "http":
            await self._serve_other(scope, receive, send)
            return
        given = scope
        headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
        if not isinstance(headers, list):
            headers = list(headers)
            scope = {**scope, "headers": headers}
        fields = collect(headers, self._reads, MAX_LIST_BYTES)
        path = self._path(scope) if self._reads_path else ""
        decision = self._decide(scope["method"], path, fields)
        if isinstance(decision, Answer):
            # As `send_answer` does, without a coroutine of its own: preflights come by here.
            headers = list(decision.raw_headers)
            start = {"type": "http.response.start", "status": decision.status, "headers": headers}
            await send(start)
            body = b"" if scope["method"] == "HEAD" else decision.body
            await send({"type": "http.response.body", "body": body})
            return
        if decision is None:
            await self.app(scope, receive, send)
            return
        # Read now: an app below may change the scope, and one that is mounted below does.
        method, served_by = scope["method"], scope.get("app")
        handlers = scope.get("starlette.exception_handlers")
        started = False

        # No coroutine of its own: most messages only pass through.
        def send_merged(message: Message) -> Awaitable[None]:
            nonlocal started
            if message["type"] == "http.response.start":
                # A new message: the app's own belongs to the app.
                message = {**message, "headers": decision.merge_raw(message.get("headers", ()))}
                started = True
            return send(message)

        try:
            await self.app(scope, receive, send_merged)
        except Exception as error:
            if not started:
                if has_asgi_layer(send):
                    let_pass(error, decision, given, served_by, handlers)
                else:
                    await _answer_failure(error, method, send, send_merged)
            raise

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            scope = _with_headers(scope)
            fields = collect(scope["headers"], self._reads_websocket, MAX_LIST_BYTES)
            path = self._path(scope) if self._reads_path else ""
            refusal = self._decide_websocket(path, fields)
            if refusal is not None:
                await refuse_websocket(refusal, scope, receive, send)
                return
        elif scope["type"] == "lifespan" and self._error is not None:
            await receive()  # lifespan.startup
            await send({"type": "lifespan.startup.failed", "message": _told(self._error)})
            return
        await self.app(scope, receive, send)

    def _path(self, scope: Scope) -> str:
        below = self._root_paths_below.found()
        return routed_path(scope["path"], self._root_path(scope), below)


class _NoEngine:
    """Stands in for the engine of a policy that does not start: a 500 for each request.

    The log tells why, once.
    """

    reads: Final[frozenset[bytes]] = frozenset()
    reads_websocket: Final[frozenset[bytes]] = frozenset()
    reads_path: Final = False

    def __init__(self, error: PolicyError) -> None:
        self._untold: PolicyError | None = error

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer:
        return self.decide_websocket(path, fields)

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Answer:
        if self._untold is not None:
            logging.getLogger("meshcors").error(_told(self._untold))
            self._untold = None
        return INTERNAL_SERVER_ERROR


def _told(error: PolicyError) -> str:
    return f"meshcors: {error}"


def _with_headers(scope: Scope) -> Scope:
    """Return a scope whose headers can be read twice: ASGI allows any iterable, or none."""
    headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
    return scope if isinstance(headers, list) else {**scope, "headers": list(headers)}


async def send_answer(answer: Answer, method: str, send: Send) -> None:
    """Send `answer`; a HEAD request gets the same fields and no body (RFC 9110 9.3.2)."""
    headers = list(answer.raw_headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if method == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


async def refuse_websocket(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket handshake with `answer`.

    As an HTTP answer where the server can (ASGI's "websocket denial response" extension), else by
    closing with code 1008.
    """
    await receive()  # websocket.connect
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": answer.reason})
        return
    await send(
        {
            "type": "websocket.http.response.start",
            "status": answer.status,
            "headers": list(answer.raw_headers),
        }
    )
    await send({"type": "websocket.http.response.body", "body": answer.body})


async def _answer_failure(error: Exception, method: str, send: Send, send_merged: Send) -> None:
    """Send the 500 that the server would send, with CORS fields; the server logs the error."""
    with suppress(OSError):  # of a client that is gone
        await send_answer(INTERNAL_SERVER_ERROR, method, send_merged)
    if is_sent_by("gunicorn.asgi", send):
        # Its worker takes an error that follows a whole answer for a client that has left.
        logging.getLogger("gunicorn.error").error("Error in ASGI application", exc_info=error)
