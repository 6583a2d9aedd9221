"""The lab's model services: each says who it is, streams, sets a cookie, and fails on request.

``?answer=stream`` and ``?answer=500`` ask for that. A service has no CORS of its own, or, once it
has a policy, runs the middleware with it. They listen on 127.0.0.1 in threads of the lab.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from meshcors._lab.settings import LOOPBACK
from meshcors._policy.rules import RuleSet
from meshcors._policy.warning import PolicyWarning
from meshcors.wsgi import MeshCORS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from meshcors._lab.policy import PolicySource

_COOKIE: Final = "lab-session"
# Third-party cookies need both; browsers regard *.localhost as secure.
_SET_COOKIE: Final = f"{_COOKIE}=1; Path=/; HttpOnly; SameSite=None; Secure"
_EVENTS: Final = 5
_LONGEST_QUERY: Final = 4096
# Seconds until a server notices that it is to end.
_POLL: Final = 0.25


class QuietHandler(WSGIRequestHandler):
    """Serves a connection without a line on the terminal for each request."""

    # Seconds after which a silent connection is closed.
    timeout = 60

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's name
        """Log nothing."""


class LoopbackServer:
    """A threaded server for one app on 127.0.0.1; it serves until `close`.

    Raises `OSError` if the port is taken.
    """

    def __init__(self, app: WSGIApplication, port: int = 0) -> None:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            listener.listen(128)
            self.port: int = listener.getsockname()[1]
            # Werkzeug itself would end the process if the port were taken.
            self._server: BaseWSGIServer = make_server(
                LOOPBACK,
                self.port,
                app,
                threaded=True,
                request_handler=QuietHandler,
                fd=listener.fileno(),
            )
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(_POLL,), name=f"port {self.port}")
        self._thread.daemon = True
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def close_all(servers: Iterable[LoopbackServer]) -> None:
    """Close servers, all at once: each takes a moment."""
    threads = [threading.Thread(target=server.close) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class ModelService:
    """A WSGI app that stands for the service ``name``, a destination of the documents.

    ``pause`` are the seconds between two events of a stream.
    """

    def __init__(self, name: str, *, pause: float = 0.3) -> None:
        self._name, self._pause = name, pause
        self._app: WSGIApplication = self._answer

    def use(self, source: PolicySource | None) -> None:
        """Run the middleware with a policy from now on, or none for None."""
        if source is None:
            self._app = self._answer
            return
        with warnings.catch_warnings():
            # of keys without values: the rules of the documents are what they are
            warnings.simplefilter("ignore", PolicyWarning)
            if isinstance(source, RuleSet):
                self._app = MeshCORS(self._answer, rules=source)
            else:
                self._app = MeshCORS(self._answer, source)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self._app(environ, start_response)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = parse_qs(environ.get("QUERY_STRING", "")[:_LONGEST_QUERY])
        wish = query.get("answer", [""])[0]
        fields = [("cache-control", "no-store"), ("set-cookie", _SET_COOKIE)]
        said = {
            "service": self._name,
            "method": environ["REQUEST_METHOD"],
            "path": environ.get("PATH_INFO", ""),
            "host": environ.get("HTTP_HOST", ""),
            "origin": environ.get("HTTP_ORIGIN", ""),
            "cookie": f"{_COOKIE}=" in environ.get("HTTP_COOKIE", ""),
            "middleware": self._app != self._answer,
        }
        if wish == "stream":
            start_response("200 OK", [("content-type", "text/event-stream"), *fields])
            return self._events(said)
        if wish == "500":
            said["error"] = "the model fell over, as you asked"
        body = json.dumps(said).encode() + b"\n"
        length = ("content-length", str(len(body)))
        status = "500 Internal Server Error" if wish == "500" else "200 OK"
        start_response(status, [("content-type", "application/json"), length, *fields])
        return [body]

    def _events(self, said: dict[str, Any]) -> Iterator[bytes]:
        for number in range(_EVENTS):
            if number:
                time.sleep(self._pause)
            yield f"data: {json.dumps({**said, 'event': number + 1})}\n\n".encode()
