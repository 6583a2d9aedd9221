"""The page on writing an adapter: its example is a file of under 60 lines that passes the table."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from examples.http_server_adapter import CORSRequestHandler

from meshcors import Policy, Rule
from meshcors.engine import PolicyEngine
from tests.aiohttp_server import exchange
from tests.apps import AppError, TestApp
from tests.calling import UI
from tests.drivers import Driver, Outcome, named_policy
from tests.test_vectors import assert_answer
from tests.vectors import VECTORS, Call, Vector

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "writing-an-adapter.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "http_server_adapter.py"

pytestmark = pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")


class Server(ThreadingHTTPServer):
    """A server whose app can be changed from call to call."""

    daemon_threads = True
    used: TestApp

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Not by `self.used`: the next call may have replaced it by now.
        assert isinstance(sys.exception(), AppError)


class App(CORSRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def respond(self) -> None:
        used = self.server.used
        chunks = used.chunks(self.command)
        self.send_response(used.status)
        for name, value in (*used.fields, ("transfer-encoding", "chunked")):
            self.send_header(name, value)
        # Set before the client has the whole answer, because then it may look.
        used.closed = not chunks
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        used.closed = True
        if self.command != "HEAD" and used.status not in (204, 304):
            self.wfile.write(b"0\r\n\r\n")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.respond
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # named by http.server
        pass


_servers: dict[Any, Server] = {}


@pytest.fixture(scope="module", autouse=True)
def _stop_servers() -> Iterator[None]:
    yield
    while _servers:
        server = _servers.popitem()[1]
        server.shutdown()
        server.server_close()


def server_of(key: Any, engine: PolicyEngine) -> Server:
    if key not in _servers:
        handler = type("Handler", (App,), {"engine": engine})
        server = _servers[key] = Server(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    return _servers[key]


# The server's own fields, and with which the adapter ends a connection.
OF_THE_SERVER = {"date", "server", "transfer-encoding"}
CLOSE = ("connection", "close")


def run(policy: Policy, call: Call, behaviour: str | None) -> Outcome:
    assert behaviour is not None
    server = server_of(policy, PolicyEngine(policy))
    used = server.used = TestApp(behaviour)
    received = exchange(server.server_port, call)
    fields = [line for line in received.fields if line[0] not in OF_THE_SERVER]
    if CLOSE in fields and (used.fails or not used.calls):
        fields.remove(CLOSE)
    return Outcome(
        received.status, tuple(fields), tuple(received.chunks), used.calls == 1, used.closed
    )


DRIVER = Driver(
    run,
    {
        "ready-made": "an app lies below",
        "any-key": "an app lies below",
        "websocket": "http.server has no WebSockets",
    },
)


@pytest.mark.parametrize(
    "vector", [pytest.param(each, id=each.id) for each in VECTORS if DRIVER.runs(each)]
)
def test_answer(vector: Vector) -> None:
    outcome = run(named_policy(vector.policy), vector.call, vector.app)
    assert_answer(vector, outcome)
    assert outcome.called == vector.called
    assert outcome.closed == vector.called


def test_what_no_rule_covers_is_the_apps() -> None:
    engine = PolicyEngine(rules=[Rule(Policy(allow_origins=[UI]), path_prefix="/v1")])
    server = server_of("rules", engine)
    server.used = TestApp("own-cors")
    received = exchange(server.server_port, Call(path="/v2", headers=(("origin", UI),)))
    names = [name for name, _ in received.fields]
    assert names.count("access-control-allow-origin") == 2
    received = exchange(server.server_port, Call(path="/v1/x", headers=(("origin", UI),)))
    assert received.get("access-control-allow-origin") == UI


def test_the_page_shows_how_to_use_it() -> None:
    use = PAGE.partition("<!-- runs -->")[2].partition("```python\n")[2].partition("```")[0]
    made: dict[str, Any] = {"CORSRequestHandler": CORSRequestHandler}
    exec(compile(use, "docs/writing-an-adapter.md", "exec"), made)
    server = made["server"]
    made["Models"].log_message = App.log_message
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    _servers["page"] = server
    received = exchange(server.server_port, Call(headers=(("origin", UI), ("connection", "close"))))
    assert (received.body, received.get("access-control-allow-origin")) == (b"ok", UI)


def test_the_page_shows_the_example_as_it_is_and_it_is_short() -> None:
    source = EXAMPLE.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 60
    assert source in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
