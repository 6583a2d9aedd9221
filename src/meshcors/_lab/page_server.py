"""The lab's page and its API, on 127.0.0.1, for the browser of whoever runs the lab.

Other users of the machine can connect too, so the page and its API are below a token, which only
the printed address has. Other sites are open in the same browser. So only names that end in
``localhost``, and 127.0.0.1, are answered (no DNS rebinding), the API only under the page's own
name, and what changes something only to the page itself.

The frame, on a stranger's origin, must not learn the token: it and the files that both pages load
are the same in every lab, and are served to anyone.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Protocol

from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from meshcors._lab.policy import MOST_POLICY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_LOCAL_HOST: Final = re.compile(r"((?:[a-z0-9_-]+\.)*localhost|127\.0\.0\.1)(?::[0-9]{1,5})?")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
# A policy, and the JSON around it.
_MOST_BODY: Final = 2 * MOST_POLICY_BYTES
_MOST_STREAMS: Final = 16
_HEARTBEAT: Final = 10.0
_STATIC: Final = {
    "/lab.js": ("lab.js", "text/javascript; charset=utf-8"),
    "/lab.css": ("lab.css", "text/css; charset=utf-8"),
}
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self' http://*.localhost:*; frame-src http://*.localhost:*; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FRAME_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src http://*.localhost:*; frame-ancestors "
)


class LabView(Protocol):
    """What the page asks of the lab. Every method may be called from any thread."""

    @property
    def page_address(self) -> str:
        """The page's origin: ``http://ui.example.localhost:40001``."""
        ...

    def state(self) -> dict[str, Any]:
        """Return what the page shows."""
        ...

    def explain(self, side: str, call: str, policy: str | None) -> dict[str, Any]:
        """Return what the models say of a call; an ``error`` for what is not there."""
        ...

    def traffic(self, wanted: str) -> list[dict[str, Any]]:
        """Return what the gateway saw of the requests with an id."""
        ...

    def set_policy(self, text: str) -> str | None:
        """Give the pod a policy; return why it is refused, None if it is not."""
        ...

    def generation_after(self, known: int, timeout: float) -> int:
        """Wait for another generation than the known one; return the newest."""
        ...


class LabPages:
    """The WSGI app of the page server; the `token` is the first segment of the page's path."""

    def __init__(self, lab: LabView, token: str) -> None:
        self._lab, self._token = lab, token
        self._streams = threading.BoundedSemaphore(_MOST_STREAMS)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        request = Request(environ)
        request.max_content_length = _MOST_BODY
        try:
            response = self._answer(request)
        except RequestEntityTooLarge:
            response = _refusal(413, f"at most {_MOST_BODY // 1024} KiB")
        except HTTPException as error:
            response = _refusal(error.code or 400, error.name)
        response.headers["cache-control"] = "no-store"
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["referrer-policy"] = "no-referrer"
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        host = request.headers.get("host", "").lower()
        if _LOCAL_HOST.fullmatch(host) is None:
            return _refusal(421, "this server answers only to names that end in localhost")
        page = self._lab.page_address
        is_page = f"http://{host}" == page
        path = request.path
        if path in (*_STATIC, "/frame"):
            return self._file_of_both(path) if _reads(request) else _refusal(405, "GET only")
        token, _, below = path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            return _refusal(
                403, "open the whole address that meshcors lab prints: it ends in a token"
            )
        if below.startswith("api/"):
            return self._api(request, below) if is_page else _refusal(403, f"only for {page}")
        if not _reads(request):
            return _refusal(405, "GET only")
        if below:
            return _refusal(404, "no such page")
        if not is_page or not path.endswith("/"):
            return Response(status=302, headers={"location": f"{page}/{token}/"})
        policy = ("content-security-policy", _PAGE_POLICY)
        return _file("lab.html", "text/html; charset=utf-8", policy)

    def _file_of_both(self, path: str) -> Response:
        """Return what the page and the frame load, or the frame itself."""
        if path == "/frame":
            policy = ("content-security-policy", f"{_FRAME_POLICY}{self._lab.page_address}")
            return _file("frame.html", "text/html; charset=utf-8", policy)
        return _file(*_STATIC[path])

    def _api(self, request: Request, path: str) -> Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        asked = f"{request.method} {path}"
        if asked == "GET api/state":
            return _json(self._lab.state())
        if asked == "GET api/traffic":
            wanted = request.args.get("id", "")
            if _ID.fullmatch(wanted) is None:
                return _refusal(400, "id: letters, digits, - and _")
            return _json(self._lab.traffic(wanted))
        if asked == "GET api/events":
            return self._events()
        if asked == "POST api/explain":
            return self._explain(request)
        if asked == "PUT api/policy":
            text = request.get_data().decode("utf-8", "replace")
            return _json({"error": self._lab.set_policy(text)})
        return _refusal(404, "no such call")

    def _refused(self, request: Request) -> Response | None:
        """Return the answer to a request that another site has made."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _refusal(403, "another site asks")
        if _reads(request):
            return None
        if request.headers.get("origin") != self._lab.page_address:
            return _refusal(403, f"only for the page of {self._lab.page_address}")
        wanted = ("application/json",) if request.method == "POST" else ("text/plain",)
        if request.mimetype not in wanted:
            return _refusal(415, f"content-type: {wanted[0]}")
        return None

    def _explain(self, request: Request) -> Response:
        try:
            asked = json.loads(request.get_data())
        except (ValueError, RecursionError):
            return _refusal(400, "the body is not JSON")
        if not isinstance(asked, dict):
            return _refusal(400, "write an object")
        side, call, policy = asked.get("side"), asked.get("call"), asked.get("policy")
        if not isinstance(side, str) or not isinstance(call, str):
            return _refusal(400, "side and call are strings")
        if policy is not None and not isinstance(policy, str):
            return _refusal(400, "policy is a string")
        return _json(self._lab.explain(side, call, policy))

    def _events(self) -> Response:
        if not self._streams.acquire(blocking=False):
            return _refusal(503, "too many open pages")
        response = Response(self._generations(), mimetype="text/event-stream")
        response.call_on_close(self._streams.release)
        return response

    def _generations(self) -> Iterator[bytes]:
        known = self._lab.generation_after(-1, 0)
        yield _event(known)
        while True:
            newest = self._lab.generation_after(known, _HEARTBEAT)
            yield b": still here\n\n" if newest == known else _event(newest)
            known = newest


def _reads(request: Request) -> bool:
    return request.method in ("GET", "HEAD")


def _event(generation: int) -> bytes:
    return f'data: {{"generation": {generation}}}\n\n'.encode()


def _file(name: str, content_type: str, *more: tuple[str, str]) -> Response:
    content = files("meshcors._lab").joinpath("page", name).read_bytes()
    return Response(content, headers=[("content-type", content_type), *more])


def _json(data: Any) -> Response:
    return Response(json.dumps(data), mimetype="application/json")


def _refusal(status: int, reason: str) -> Response:
    return Response(json.dumps({"error": reason}), status=status, mimetype="application/json")
