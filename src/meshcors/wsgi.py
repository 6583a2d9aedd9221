"""The WSGI adapter: it turns an environ into facts and an answer into an iterable.

It decides nothing and imports no framework. Names are those of PEP 3333.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from meshcors._decision.answers import INTERNAL_SERVER_ERROR, NO_REFUSAL, Answer, Proceed
from meshcors._decision.app_kind import is_asgi, name_of
from meshcors._decision.call_stack import has_wsgi_layer
from meshcors._decision.observation import (
    AppEngine,
    Observer,
    observed,
    observed_websocket,
)
from meshcors._decision.rule_engine import app_engine
from meshcors._policy.paths import AMBIGUOUS
from meshcors._policy.policy import Policy, PolicyOptions
from meshcors._policy.rules import Rule, RuleSet, Uncovered
from meshcors.config._replaceable import ReplaceablePolicy, Source
from meshcors.config._resolving import answer_by, policy_and_rules, resolve
from meshcors.observers._logger import guarded, log_refusal, logs_refusals

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from typing_extensions import Unpack

__all__ = ["MeshCORS"]


class MeshCORS:
    """WSGI middleware: one CORS policy, and the check of the header key, for the `app` below it.

    Pass a `Policy`, or its options as keywords, or `rules` for several policies by host and path,
    or nothing: then the ``MESHCORS_*`` environment is read. `uncovered` says who answers where no
    rule covers a URL: ``"app"``, as if the middleware were not there, or ``"refuse"``; see
    `RuleSet`. For a policy, or rules, that change while the app runs, pass a `ReplaceablePolicy` or
    a `PolicyFile` as `policy`. The `observer` is called with each decision (`meshcors.observers`).

    `policy` is the policy that it answers by now, wherever it was read from, and None where there
    are `rules`; `rules` are the rules by host and path, and None where there is a single policy.

    Raises `PolicyError` for an invalid policy, and `TypeError` for an ASGI app, which needs
    `meshcors.MeshCORS`.

    ``flask_app.wsgi_app = MeshCORS(flask_app.wsgi_app, policy)``
    """

    policy: Policy | None = None
    rules: RuleSet | None = None

    # Whether a service is behind it: then a key without values, which any value fits, is worth a
    # warning.
    _serves: ClassVar[bool] = True
    # Whether it refuses a URL that no rule covers, whatever the rules say.
    _refuses_uncovered: ClassVar[bool] = False
    # See `meshcors._decision.app_kind`.
    _meshcors_interface: ClassVar[str] = "wsgi"

    def __init__(
        self,
        app: WSGIApplication,
        policy: Policy | ReplaceablePolicy | None = None,
        *,
        rules: RuleSet | Iterable[Rule] | None = None,
        uncovered: Uncovered | None = None,
        observer: Observer | None = None,
        **options: Unpack[PolicyOptions],
    ) -> None:
        if is_asgi(app):
            hint = "use meshcors.MeshCORS"
            raise TypeError(
                f"meshcors.wsgi.MeshCORS is for WSGI apps, {name_of(app)} is ASGI: {hint}"
            )
        self.app = app
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

    def _switch(self, answering: tuple[Source, AppEngine]) -> None:
        """Answer by another policy; requests that have begun go on by the one before."""
        source, engine = answering
        self.policy, self.rules = policy_and_rules(source)
        reads, of_options = engine.reads_unless_options, engine.reads
        keys = _environ_keys(reads), _environ_keys(of_options)
        # A request reads this once, so that all that it needs is of the same policy.
        self._answering = (engine, engine.decide, *keys, engine.reads_path)

    def __repr__(self) -> str:
        return f"<meshcors.wsgi.MeshCORS: {self.policy or self.rules!r}>"

    def __call__(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse | None = None,
        *more: object,
    ) -> Iterable[bytes]:
        """Serve one request (PEP 3333); the app's iterable is returned as it came.

        Raises `TypeError` for the one argument, or the three, with which an ASGI server calls.
        """
        if start_response is None or more:
            hint = "use a WSGI server, or meshcors.MeshCORS around an ASGI app"
            raise TypeError(f"meshcors.wsgi.MeshCORS was called by an ASGI server: {hint}")
        engine, decide, reads, reads_of_options, reads_path = self._answering
        fields: dict[bytes, bytes] = {}
        method = environ["REQUEST_METHOD"]
        for key, name in reads_of_options if method == "OPTIONS" else reads:
            if (value := environ.get(key)) is not None:
                fields[name] = value.encode("latin-1")
        decision = decide(method, _path(environ) if reads_path else "", fields)
        if decision is not None and decision.reason not in NO_REFUSAL:
            decision = _refused(engine, decision, method, environ, fields)
        if type(decision) is Answer:  # isinstance is slow where it is false
            return answer_wsgi(decision, method, start_response)
        if decision is None:
            return self.app(environ, start_response)
        app, merge = self.app, decision.merge
        started = False

        def start_merged(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
        ) -> Callable[[bytes], object]:
            nonlocal started
            merged = merge(headers)
            started = True
            if exc_info is None:
                return start_response(status, merged)
            return start_response(status, merged, exc_info)

        try:
            return app(environ, start_merged)
        except Exception:
            # No second answer once one has started: gunicorn would send the fields of both.
            if started or has_wsgi_layer():
                raise
            if (body := _answer_failure(environ, method, start_merged)) is None:
                raise
            return body


def answer_wsgi(answer: Answer, method: str, start_response: StartResponse) -> Iterable[bytes]:
    """Start `answer` and return its body, which is empty for a HEAD request (RFC 9110 9.3.2)."""
    start_response(_status_line(answer), list(answer.headers))
    return [_body(answer, method)]


def _refused(
    engine: AppEngine,
    decision: Answer | Proceed,
    method: str,
    environ: WSGIEnvironment,
    fields: Mapping[bytes, bytes],
) -> Answer | Proceed:
    """Log a refusal; return it, or that of a WebSocket handshake by an origin that is not allowed.

    Some apps take the server's socket for a WebSocket (flask-sock, gevent), and read the Upgrade
    field in different ways. A page sets it only by opening a WebSocket.
    """
    path = _path(environ)
    if type(decision) is Proceed and "websocket" in environ.get("HTTP_UPGRADE", "").lower():
        keys = _environ_keys(engine.reads_websocket)
        fields = {name: environ[key].encode("latin-1") for key, name in keys if key in environ}
        refusal = engine.decide_websocket(path, fields)
        if refusal is not None and logs_refusals():
            log_refusal(observed_websocket(engine, refusal, path, fields))
        return refusal or decision
    if logs_refusals():
        log_refusal(observed(engine, decision, method, path, fields))
    return decision


def _answer_failure(
    environ: WSGIEnvironment, method: str, start_merged: StartResponse
) -> Iterable[bytes] | None:
    """Answer the exception that is being handled: the server's own 500 would have no CORS fields.

    Return the body, or None if it is sent and the exception is for the server to log.
    """
    answer = INTERNAL_SERVER_ERROR
    write = start_merged(_status_line(answer), list(answer.headers), sys.exc_info())
    if callable(write):
        # At once, so that the server, which logs the exception, sends no answer of its own.
        write(_body(answer, method))
        return None
    # Servers without write() would answer the exception themselves: log it here instead.
    import traceback

    traceback.print_exc(file=environ.get("wsgi.errors"))
    return [_body(answer, method)]


def _status_line(answer: Answer) -> str:
    return f"{answer.status} {HTTPStatus(answer.status).phrase}"


def _body(answer: Answer, method: str) -> bytes:
    return b"" if method == "HEAD" else answer.body


def _environ_keys(names: Iterable[bytes]) -> tuple[tuple[str, bytes], ...]:
    """Return pairs: the key of a request field in an environ, and the field's name."""
    return tuple(
        (f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}", name) for name in sorted(names)
    )


def _path(environ: WSGIEnvironment) -> str:
    """Return the path on which the app routes; PEP 3333 carries its UTF-8 bytes as latin-1.

    SCRIPT_NAME is not part of it: no app routes on it, and gunicorn takes it from a request header.
    """
    path: str = environ.get("PATH_INFO", "")
    if path.isascii():
        return path
    try:
        return path.encode("latin-1").decode()
    except UnicodeError:
        return AMBIGUOUS
