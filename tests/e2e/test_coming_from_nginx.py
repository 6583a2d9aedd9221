"""The page on coming from nginx: both of its server blocks on the real nginx, judged as a browser.

One nginx serves all of them: before, in front of an app without CORS; after, in front of the same
app with the page's policy; and the one that sends preflights to the pod.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML
from werkzeug.serving import make_server

from meshcors import HeaderKey
from meshcors.browser import Request
from meshcors.testing import PageCall, PreflightPod, Wire
from meshcors.wsgi import MeshCORS
from tests.calling import EVIL, UI
from tests.coming_from import ACAO, Page, cell_of
from tests.e2e.front_servers import nginx_binary
from tests.e2e.processes import free_port, running

PAGE = Page("nginx")
BEFORE, AFTER, WITH_POD = PAGE.blocks("nginx")
(POD,) = PAGE.blocks("yaml")
JSON = {"content-type": "application/json"}
_CONFIG = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_max_body_size 1k;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
{servers}
}}
"""
_STATUSES = {"/v1/gone": "404 Not Found", "/v1/boom": "500 Internal Server Error"}


def bare(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """A service without CORS, which allows OPTIONS and is asked for whatever the rows want."""
    own = [(ACAO, "https://own.example")] if environ["PATH_INFO"] == "/v1/own" else []
    by_app = ("x-by", f"the app, {environ['REQUEST_METHOD']}")
    start_response(_STATUSES.get(environ["PATH_INFO"], "200 OK"), [by_app, *own])
    return [b"hello"]


@contextmanager
def served(app: Any) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def filled(block: str, port: int, app: int, pod: int = 0) -> str:
    """A block of the page with the test's ports in place of its own."""
    changes = {"listen 80": f"listen 127.0.0.1:{port}", ":8000": f":{app}", ":8080": f":{pod}"}
    for old, new in changes.items():
        block = block.replace(old, new)
    return block


class Ports(NamedTuple):
    """Where nginx serves each of the page's blocks."""

    before: int
    after: int
    with_pod: int


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    binary = nginx_binary()
    logging.getLogger("werkzeug").disabled = True
    directory = tmp_path_factory.mktemp("nginx")
    policy = YAML(typ="safe").load(POD)
    (block,) = PAGE.blocks()
    after = PAGE.run(block, bare)
    keyed = MeshCORS(
        bare,
        allow_origins=policy["allowOrigins"],
        allow_methods=policy["allowMethods"],
        allow_headers=policy["allowHeaders"],
        allow_credentials=policy["allowCredentials"],
        max_age=policy["maxAge"],
        key=HeaderKey("model-api-key", ["xyz"]),
    )
    with ExitStack() as stack:
        apps = [stack.enter_context(served(app)) for app in (bare, after, keyed)]
        pod = stack.enter_context(PreflightPod(policy))
        found = Ports(free_port(), free_port(), free_port())
        blocks = [
            filled(BEFORE, found.before, apps[0]),
            filled(AFTER, found.after, apps[1]),
            filled(WITH_POD, found.with_pod, apps[2], pod.port),
        ]
        text = _CONFIG.format(servers="\n".join(blocks))
        (directory / "nginx.conf").write_text(text, encoding="ascii")
        command = [binary, "-p", str(directory), "-c", "nginx.conf", "-e", "stderr"]
        stack.enter_context(running(command, found.before))
        yield found
    logging.getLogger("werkzeug").disabled = False


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire(http2=False) as made:
        yield made


class Case(NamedTuple):
    """A page's call."""

    what: str
    path: str = "/v1/models"
    method: str = "GET"
    headers: dict[str, str] = {}  # noqa: RUF012 (it is never changed)
    origin: str = UI
    credentials: str = "omit"
    body: bytes | None = None

    def made(self, wire: Wire, port: int) -> PageCall:
        url = f"http://127.0.0.1:{port}{self.path}"
        call = Request(self.origin, url, self.method, self.headers, self.credentials)
        return wire.fetch(call, self.body)


CASES = (
    Case("POST with JSON, with cookies", "/v1/predict", "POST", JSON, credentials="include"),
    Case("PUT", "/v1/predict", "PUT"),
    Case("DELETE, which is not listed", "/v1/predict", "DELETE"),
    Case("GET with `x-version`, which was forgotten in nginx", headers={"x-version": "2"}),
    Case("GET that the app answers 404", "/v1/gone"),
    Case("POST that the app answers 500", "/v1/boom", "POST", JSON),
    Case("GET in the location with an `add_header` of its own", "/v1/reports"),
    Case("GET, and the app sets `access-control-allow-origin` itself", "/v1/own"),
    Case("GET with cookies from another origin", origin=EVIL, credentials="include"),
    Case("a body that is too large for nginx", "/v1/predict", "POST", JSON, body=b"0" * 2000),
)


def table(wire: Wire, ports: Ports) -> str:
    lines = ["| call | before | after |", "|---|---|---|"]
    for case in CASES:
        cells = [cell_of(case.made(wire, port)) for port in (ports.before, ports.after)]
        lines.append(f"| {case.what} | {' | '.join(cells)} |")
    options, caches = [], []
    for port in (ports.before, ports.after):
        url, page = f"http://127.0.0.1:{port}/v1/models", (("origin", UI),)
        asked = wire.exchange("OPTIONS", url, page).response
        real = wire.exchange("GET", url, page).response
        assert asked is not None
        assert real is not None
        by = "the app" if asked.get("x-by") else "nginx"
        options.append(f"{asked.status}, from {by}")
        caches.append(real.get("vary") or "none")
    lines.append(f"| OPTIONS that is not a preflight | {' | '.join(options)} |")
    lines.append(f"| `vary` of a GET | {' | '.join(caches)} |")
    return "\n".join(lines)


def test_the_table_is_what_nginx_and_the_app_answer(wire: Wire, ports: Ports) -> None:
    PAGE.check("answers", table(wire, ports))


KEY = {"model-api-key": "xyz"}


@pytest.mark.parametrize(
    ("headers", "origin", "code", "status", "by_app"),
    [
        ({**KEY, **JSON}, UI, "allowed", 200, True),
        ({**KEY, "x-version": "2"}, UI, "allowed", 200, True),
        ({**KEY, "x-other": "1"}, UI, "header_not_allowed", 204, False),
        ({"model-api-key": "abc"}, UI, "allowed", 404, False),
        (JSON, UI, "allowed", 401, False),
        (KEY, EVIL, "acao_missing", 403, False),
    ],
)
def test_with_the_pod_the_services_are_told_apart(
    wire: Wire,
    ports: Ports,
    headers: dict[str, str],
    origin: str,
    code: str,
    status: int,
    by_app: bool,
) -> None:
    made = Case("", "/v1/predict", "POST", headers, origin, "include").made(wire, ports.with_pod)
    response = made.decisive.response
    assert response is not None
    assert (made.verdict.code, response.status) == (code, status)
    assert bool(response.get("x-by")) is by_app
