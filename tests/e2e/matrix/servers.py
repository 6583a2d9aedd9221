"""The servers of the matrix: their command lines, as a user writes them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from tests.e2e.matrix.apps import BASE

_ASGI_APP = "tests.e2e.matrix.apps:pick_asgi"
_WSGI_APP = "tests.e2e.matrix.apps:pick_wsgi"

_WERKZEUG = """
import sys
from werkzeug.serving import run_simple
from tests.e2e.matrix.apps import pick_wsgi
run_simple("127.0.0.1", int(sys.argv[1]), pick_wsgi)
"""
_WSGIREF = """
import sys
from wsgiref.simple_server import make_server
from tests.e2e.matrix.apps import pick_wsgi
make_server("127.0.0.1", int(sys.argv[1]), pick_wsgi).serve_forever()
"""
_AIOHTTP = """
import sys
from aiohttp import web
from tests.e2e.matrix.apps import pick_aiohttp
app = web.Application(middlewares=[web.middleware(pick_aiohttp)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
"""


@dataclass(frozen=True)
class Server:
    """A server: the module that it needs, its command line, and how it gets a root path.

    `root` are flags, `root_variables` environment variables; without either it has no root path.
    uvicorn puts it before the path, the others expect it to be a part of the path.
    """

    module: str
    line: tuple[str, ...]
    interface: str
    http2: bool = False
    websocket: bool = False
    root: tuple[str, ...] = ()
    root_variables: dict[str, str] = field(default_factory=dict)
    adds_root: bool = False

    def command(self, port: int, *, root: bool) -> list[str]:
        # waitress accepts flags only before the app.
        start, rest = self.line[:2], self.line[2:]
        flags = self.root if root else ()
        return [sys.executable, *start, *flags, *(part.format(port=port) for part in rest)]

    @property
    def roots(self) -> tuple[bool, ...]:
        """Whether to start it with a root path: without one, and with one if it can have one."""
        return (False, True) if self.root or self.root_variables else (False,)


_UVICORN = ("-m", "uvicorn", _ASGI_APP, "--port", "{port}", "--http")
_HYPERCORN = ("-m", "hypercorn", _ASGI_APP, "--bind", "127.0.0.1:{port}")
_GRANIAN = ("-m", "granian", _ASGI_APP, "--port", "{port}", "--interface", "asgi")
_GRANIAN_WSGI = ("-m", "granian", _WSGI_APP, "--port", "{port}", "--interface", "wsgi")
_PREFIX = ("--url-path-prefix", BASE)
_ROOT = ("--root-path", BASE)

SERVERS = {
    "uvicorn, h11": Server(
        "h11", (*_UVICORN, "h11"), "asgi", websocket=True, root=_ROOT, adds_root=True
    ),
    "uvicorn, httptools": Server(
        "httptools", (*_UVICORN, "httptools"), "asgi", websocket=True, root=_ROOT, adds_root=True
    ),
    "hypercorn": Server("hypercorn", _HYPERCORN, "asgi", websocket=True, root=_ROOT),
    "hypercorn, HTTP/2": Server("hypercorn", _HYPERCORN, "asgi", http2=True, root=_ROOT),
    "granian": Server("granian", _GRANIAN, "asgi", websocket=True, root=_PREFIX),
    "granian, HTTP/2": Server("granian", _GRANIAN, "asgi", http2=True, root=_PREFIX),
    "daphne": Server(
        "daphne", ("-m", "daphne", "-p", "{port}", _ASGI_APP), "asgi", websocket=True, root=_ROOT
    ),
    "gunicorn": Server(
        "gunicorn",
        ("-m", "gunicorn", _WSGI_APP, "-b", "127.0.0.1:{port}"),
        "wsgi",
        root_variables={"SCRIPT_NAME": BASE},
    ),
    "granian, WSGI": Server("granian", _GRANIAN_WSGI, "wsgi", root=_PREFIX),
    "granian, WSGI, HTTP/2": Server("granian", _GRANIAN_WSGI, "wsgi", http2=True, root=_PREFIX),
    "waitress": Server(
        "waitress",
        ("-m", "waitress", "--listen", "127.0.0.1:{port}", _WSGI_APP),
        "wsgi",
        root=("--url-prefix", BASE),
    ),
    "werkzeug": Server("werkzeug", ("-c", _WERKZEUG, "{port}"), "wsgi"),
    "wsgiref": Server("wsgiref", ("-c", _WSGIREF, "{port}"), "wsgi"),
    "aiohttp": Server("aiohttp", ("-c", _AIOHTTP, "{port}"), "aiohttp", websocket=True),
}
