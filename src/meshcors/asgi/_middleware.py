"""The ASGI adapter: it turns a request into facts and an answer into messages, and decides nothing.

It imports no framework. Names are those of the ASGI specification 3.0. How Starlette answers
exceptions is in `meshcors.asgi._starlette_errors`, and on which path an app routes in
`meshcors.asgi._root_path`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from meshcors._decision.answers import INTERNAL_SERVER_ERROR, Answer
from meshcors._decision.app_kind import is_wsgi, name_of
from meshcors._decision.call_stack import has_asgi_layer, is_sent_by, serves_now
from meshcors._decision.fields import collect
from meshcors._decision.observation import (
    AppEngine,
    Observer,
    observed,
    observed_websocket,
)
from meshcors._decision.preflight import MAX_LIST_BYTES
from meshcors._decision.rule_engine import app_engine
from meshcors._policy.errors import PolicyError
from meshcors._policy.paths import routed_path
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.rules import Rule, RuleSet, Uncovered
from meshcors.asgi._messages import (
    ASGIApp,
    Receive,
    Scope,
    Send,
    merging,
    refuse_websocket,
    send_answer,
    with_header_list,
)
from meshcors.asgi._root_path import RootPathsBelow, root_path_of
from meshcors.asgi._starlette_errors import HANDLER_TABLES, add_fields_to_answer
from meshcors.config._replaceable import ReplaceablePolicy, Source
from meshcors.config._resolving import answer_by, policy_and_rules, resolve
from meshcors.observers._logger import guarded, log_refusal, logs_refusals

if TYPE_CHECKING:
    from typing_extensions import Unpack
else:
    # The same object: type hints can be read without the time that typing_extensions takes.
    from typing import Unpack


class MeshCORS:
    """ASGI middleware: one CORS policy, and the check of the header key, for the `app` below it.

    Pass a `Policy`, or its options as keywords, or `rules` for several policies by host and path,
    or nothing: then the ``MESHCORS_*`` environment is read. `uncovered` says who answers where no
    rule covers a URL: ``"app"``, as if the middleware were not there, or ``"refuse"``; see
    `RuleSet`. For a policy, or rules, that change while the app runs, pass a `ReplaceablePolicy` or
    a `PolicyFile` as `policy`. The `observer` is called with each decision (`meshcors.observers`).

    `policy` is the policy that it answers by now, wherever it was read from, and None where there
    are `rules`; `rules` are the rules by host and path, and None where there is a single policy.

    Raises `PolicyError` for an invalid policy, and `TypeError` for a WSGI app, which needs
    `meshcors.wsgi.MeshCORS`. Where a server is calling already, as with `add_middleware` under
    Starlette, a `PolicyError` would be swallowed: then the server's lifespan call is answered with
    the error, and each request with a 500.

    ``app.add_middleware(MeshCORS, policy=policy)`` under FastAPI and Starlette,
    ``MeshCORS(app, policy)`` elsewhere.
    """

    policy: Policy | None = None
    rules: RuleSet | None = None

    # Whether a service is behind it: then a key without values, which any value fits, is worth a
    # warning.
    _serves: ClassVar[bool] = True
    # Whether it refuses a URL that no rule covers, whatever the rules say.
    _refuses_uncovered: ClassVar[bool] = False
    # See `meshcors._decision.app_kind`.
    _meshcors_interface: ClassVar[str] = "asgi"

    def __init__(
        self,
        app: ASGIApp,
        policy: Policy | ReplaceablePolicy | None = None,
        *,
        rules: RuleSet | Iterable[Rule] | None = None,
        uncovered: Uncovered | None = None,
        observer: Observer | None = None,
        **options: Unpack[PolicyOptions],
    ) -> None:
        if is_wsgi(app):
            hint = "use meshcors.wsgi.MeshCORS"
            raise TypeError(f"meshcors.MeshCORS is for ASGI apps, {name_of(app)} is WSGI: {hint}")
        self.app = app
        self._root_path = root_path_of(app)
        self._root_paths_below = RootPathsBelow(app)
        self._error: PolicyError | None = None
        try:
            # A policy that can be replaced lives as long as what answers by it.
            self._given = resolve(policy, rules, options)
            answer_by(
                self._given,
                uncovered,
                partial(app_engine, observer=guarded(observer)),
                self._switch,
                serves=self._serves,
                refuses_uncovered=self._refuses_uncovered,
            )
        except PolicyError as error:
            if not serves_now():
                raise
            self._error = error
            self._take(_NoEngine(error))

    def _switch(self, answering: tuple[Source, AppEngine]) -> None:
        """Answer by another policy; requests that have begun go on by the one before."""
        source, engine = answering
        self.policy, self.rules = policy_and_rules(source)
        self._take(engine)

    def _take(self, engine: AppEngine) -> None:
        # A request reads this once, so that all that it needs is of the same policy.
        self._answering = engine

    def __repr__(self) -> str:
        return f"<meshcors.MeshCORS: {self.policy or self.rules or 'invalid policy'}>"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection (ASGI 3.0).

        Lifespan and unknown kinds pass untouched, but no lifespan starts with an invalid policy.
        """
        if scope["type"] != "http":
            await self._serve_other(scope, receive, send)
            return
        given = scope
        headers = scope.get("headers")
        if type(headers) is not list:
            scope = with_header_list(scope)
            headers = scope["headers"]
        engine = self._answering
        fields = collect(headers, engine.reads, MAX_LIST_BYTES)
        # Read now: an app below may change the scope, and one that is mounted below does.
        method = scope["method"]
        decision = engine.decide(method, self._path(scope) if engine.reads_path else "", fields)
        if type(decision) is Answer:  # isinstance is slow where it is false
            if decision.reason != "allowed" and logs_refusals():
                log_refusal(observed(engine, decision, method, self._path(scope), fields))
            # `send_answer` inlined: a coroutine less makes a preflight 6 % cheaper.
            headers = [*decision.raw_headers]
            start = {"type": "http.response.start", "status": decision.status, "headers": headers}
            await send(start)
            body = b"" if method == "HEAD" else decision.body
            await send({"type": "http.response.body", "body": body})
            return
        if decision is None:
            await self.app(scope, receive, send)
            return
        if decision.reason == "origin_not_allowed" and logs_refusals():
            log_refusal(observed(engine, decision, method, self._path(scope), fields))
        # Read now, too: who would answer an exception.
        outer = (scope["app"], scope.get(HANDLER_TABLES)) if "app" in scope else None
        app = self.app
        started: list[bool] = []
        send_merged = merging(send, decision.merge_raw, started)
        try:
            await app(scope, receive, send_merged)
        except Exception as error:
            if not started:
                if has_asgi_layer(send):
                    if outer is not None:
                        add_fields_to_answer(error, decision, given, outer)
                else:
                    await _answer_failure(error, method, send, send_merged)
            raise

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            if not isinstance(scope.get("headers"), list):
                scope = with_header_list(scope)
            engine = self._answering
            fields = collect(scope["headers"], engine.reads_websocket, MAX_LIST_BYTES)
            path = self._path(scope) if engine.reads_path else ""
            refusal = engine.decide_websocket(path, fields)
            if refusal is not None:
                if logs_refusals():
                    log_refusal(observed_websocket(engine, refusal, self._path(scope), fields))
                await refuse_websocket(refusal, scope, receive, send)
                return
        elif scope["type"] == "lifespan" and self._error is not None:
            await receive()  # lifespan.startup
            await send({"type": "lifespan.startup.failed", "message": _message(self._error)})
            return
        await self.app(scope, receive, send)

    def _path(self, scope: Scope) -> str:
        below = self._root_paths_below.found()
        return routed_path(scope["path"], self._root_path(scope), below)


class _NoEngine:
    """Stands in for the engine of an invalid policy: it answers each request with a 500.

    The first request logs the reason.
    """

    def __init__(self, error: PolicyError) -> None:
        self.reads: frozenset[bytes] = frozenset()
        self.reads_unless_options = self.reads_websocket = self.reads
        self.reads_path = False
        self._not_logged: PolicyError | None = error

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer:
        return self.decide_websocket(path, fields)

    def decide_websocket(self, path: str, fields: Mapping[bytes, bytes]) -> Answer:
        if self._not_logged is not None:
            import logging

            logging.getLogger("meshcors").error(_message(self._not_logged))
            self._not_logged = None
        return INTERNAL_SERVER_ERROR

    def rule_of(self, path: str, fields: Mapping[bytes, bytes]) -> None:
        """Name no rule."""


def _message(error: PolicyError) -> str:
    return f"meshcors: {error}"


async def _answer_failure(error: Exception, method: str, send: Send, send_merged: Send) -> None:
    """Send the 500 that the server would send, with CORS fields; the server logs the error."""
    with suppress(OSError):  # the client has gone
        await send_answer(INTERNAL_SERVER_ERROR, method, send_merged)
    if is_sent_by("gunicorn.asgi", send):
        # After a whole answer gunicorn's worker takes any error for a client that has left, and
        # logs nothing.
        import logging

        logging.getLogger("gunicorn.error").error("Error in ASGI application", exc_info=error)
