"""The lab's model services: each says who it is, streams, sets a cookie, and fails on request.

``?answer=stream`` and ``?answer=500`` ask for that. A service has no CORS of its own, or, once it
has a policy, runs the middleware with it.
"""

from __future__ import annotations

import json
import time
import warnings
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

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
