"""docs/websockets.md: its example and its recipes on real servers, with pages in real browsers.

One service has all of them; the servers have their default settings.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from meshcors.mesh import Gateway, GatewayRequest
from tests.e2e.browsers import Browser, Page, ScriptError, launch
from tests.e2e.browsers.server import Received, message, serving
from tests.e2e.matrix.wire import HANDSHAKE, Request, ask
from tests.e2e.processes import Running, free_port, running
from tests.test_examples import start_command

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "examples" / "websocket_service.py").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "websockets.md").read_text(encoding="utf-8")
MESH = (ROOT / "tests" / "data" / "virtualservice_websocket.yaml").read_text(encoding="utf-8")
SERVERS = ("uvicorn", "hypercorn")

# Unlike the example's, nothing that could be part of a ticket.
KEY = "a-key-that-no-log-may-have"
TICKET = (
    "async (url, headers) => (await (await fetch(url, {method: 'POST', headers})).json()).ticket"
)
# The code with which a socket was closed, and what it heard.
TALK = """(url, said, protocols) => new Promise((done) => {
    const socket = new WebSocket(url, protocols);
    const heard = [];
    socket.onopen = () => said.forEach((text) => socket.send(text));
    socket.onmessage = (event) => { heard.push(event.data); socket.close(1000); };
    socket.onclose = (event) => done([event.code, heard]);
})"""
HEARD = [1000, ["HELLO"]]
# What a page sees of every refusal of a handshake.
REFUSED = [1006, []]


class Service(NamedTuple):
    """A running service, and where its pages are."""

    port: int
    process: Running
    page: str
    stranger: str

    def ticket(self, page: Page) -> str:
        made = page.run(TICKET, f"http://127.0.0.1:{self.port}/v1/tickets", {"model-api-key": KEY})
        assert isinstance(made, str)
        return made

    def talk(self, page: Page, path: str, *said: str, protocols: tuple[str, ...] = ()) -> Any:
        url = f"ws://127.0.0.1:{self.port}{path}"
        return page.run(TALK, url, [*said, "hello"], list(protocols))


def source(origin: str, seconds: str) -> str:
    """The example with the recipes of the page, for another origin and key."""
    text = "\n".join(
        [EXAMPLE, *re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
    )
    for old, new, count in [
        ("http://localhost:3000", origin, 1),
        ('"xyz"', f'"{KEY}"', 3),
        ("SECONDS = 5", f"SECONDS = {seconds}", 1),
        ("Semaphore(100)", "Semaphore(2)", 1),
    ]:
        assert text.count(old) == count, old
        text = text.replace(old, new)
    return text


def answer(_: Received) -> bytes:
    return message(200, [("content-type", "text/html")], b"<!doctype html><title>page</title>")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    folder = tmp_path_factory.mktemp("services")
    with serving(answer) as pages, ExitStack() as stack:
        page, stranger = (f"http://{host}:{pages.ports[0]}" for host in ("localhost", "127.0.0.1"))
        started = {}
        (folder / "service.py").write_text(source(page, "60"), encoding="utf-8")
        for name in SERVERS:
            process = stack.enter_context(server(name, folder, "service", port := free_port()))
            started[name] = Service(port, process, page, stranger)
        yield started


@contextmanager
def server(name: str, folder: Path, module: str, port: int, *flags: str) -> Iterator[Running]:
    if name == "uvicorn":
        example = start_command(EXAMPLE)
        assert example == ["uvicorn", "--app-dir", "examples", "websocket_service:app", "--port"]
        words = ["uvicorn", "--app-dir", str(folder), f"{module}:app", *flags, "--port", str(port)]
    else:
        words = ["hypercorn", f"{module}:app", "--access-logfile", "-", "-b", f"127.0.0.1:{port}"]
    with running([sys.executable, "-m", *words], port, env={"PYTHONPATH": str(folder)}) as process:
        yield process


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    with launch(request.param) as started:
        yield started


@pytest.mark.parametrize("name", SERVERS)
def test_a_page_gets_in_with_a_ticket_and_nobody_else(
    browser: Browser, name: str, services: dict[str, Service]
) -> None:
    service = services[name]
    page, stranger = browser.open(f"{service.page}/"), browser.open(f"{service.stranger}/")
    ticket = service.ticket(page)
    assert service.talk(page, f"/ws/chat?ticket={ticket}") == HEARD
    assert service.talk(page, f"/ws/chat?ticket={ticket}") == REFUSED, "used twice"
    assert service.talk(page, "/ws/chat") == REFUSED
    assert service.talk(page, "/ws/chat?ticket=guess") == REFUSED
    # A page has no way into a path that is not exempt.
    assert service.talk(page, "/v1/chat") == REFUSED

    with pytest.raises(ScriptError):
        service.ticket(stranger)
    unused = service.ticket(page)
    assert service.talk(stranger, f"/ws/chat?ticket={unused}") == REFUSED
    assert service.talk(page, f"/ws/chat?ticket={unused}") == HEARD, "the stranger did not use it"

    assert service.talk(page, "/ws/first-message", KEY) == HEARD
    # One message alone, "hello": a server that closes before it has read all may reset instead.
    assert service.talk(page, "/ws/first-message") == [1008, []]
    assert service.talk(stranger, "/ws/first-message", KEY) == REFUSED

    named = "model-api-key"
    assert service.talk(page, "/ws/subprotocol", protocols=(named, KEY)) == HEARD
    assert service.talk(page, "/ws/subprotocol", protocols=(named, "guess")) == REFUSED
    assert service.talk(page, "/ws/subprotocol") == REFUSED
    assert service.talk(stranger, "/ws/subprotocol", protocols=(named, KEY)) == REFUSED
    # A service that names none of the page's protocols.
    path = f"/ws/chat?ticket={service.ticket(page)}"
    unnamed = service.talk(page, path, protocols=(named,))
    assert unnamed == (REFUSED if browser.name == "chromium" else HEARD)
    with pytest.raises(ScriptError, match=r"(?i)syntax|protocol"):
        service.talk(page, "/ws/subprotocol", protocols=(named, "a/b="))

    # uvicorn's log has the URL of each handshake, with its ticket; no log has the key.
    logged = f"/ws/chat?ticket={ticket}" if name == "uvicorn" else "/ws/chat"
    assert logged in service.process.output
    assert KEY not in service.process.output


# By the page's table: path, fields, then status and reason, or None if it is accepted.
HANDSHAKES: list[tuple[str, tuple[str, ...], tuple[int, str] | None]] = [
    ("/v1/chat", ("Origin: PAGE",), (401, "key_missing")),
    ("/v1/chat", ("Origin: https://evil.example",), (401, "key_missing")),
    ("/v1/chat", (), (401, "key_missing")),
    ("/v1/chat", (f"model-api-key: {KEY}",), None),
    ("/v1/chat", ("model-api-key: guess",), (403, "key_unknown")),
    ("/ws/first-message", ("Origin: PAGE",), None),
    ("/ws/first-message", ("Origin: http://api.example",), None),
    ("/ws/first-message", ("Origin: https://evil.example",), (403, "origin_not_allowed")),
    ("/ws/first-message", (f"model-api-key: {KEY}", "Origin: null"), (403, "origin_not_allowed")),
    ("/ws/first-message", (), None),
    ("/ws/chat", (), (403, "")),
]


@pytest.mark.parametrize("name", SERVERS)
def test_every_handshake_gets_what_the_table_says(name: str, services: dict[str, Service]) -> None:
    service = services[name]
    for path, lines, refused in HANDSHAKES:
        fields = [line.replace("PAGE", service.page).encode() for line in lines]
        got = ask(service.port, Request(path.encode(), fields=(*fields, *HANDSHAKE)))
        assert got is not None, (path, lines)
        if refused is None:
            assert got.status == 101, (path, lines)
        else:
            is_problem = got.headers.get("content-type") == "application/problem+json"
            reason = json.loads(got.body)["reason"] if is_problem else ""
            assert (got.status, reason) == refused, (path, lines)


def first_message(port: int) -> ClientConnection:
    """Connect, as soon as what others have left is free again."""
    end = time.monotonic() + 60
    while True:
        try:
            return try_first_message(port)
        except InvalidStatus:
            assert time.monotonic() < end


def try_first_message(port: int) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}/ws/first-message", proxy=None)


def closed_with(connection: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(timeout=20)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def test_a_first_message_that_is_no_key(services: dict[str, Service]) -> None:
    for each in services.values():
        with first_message(each.port) as binary:
            binary.send(KEY.encode())
            assert closed_with(binary) == 1008
        with first_message(each.port):
            pass
        # After one that leaves, the service goes on, and nothing was raised.
        with first_message(each.port) as other:
            other.send(KEY)
            other.send("hello")
            assert other.recv(timeout=20) == "HELLO"
        assert "Traceback" not in each.process.output


def test_few_wait_at_a_time(services: dict[str, Service]) -> None:
    port = services["uvicorn"].port
    with first_message(port) as first, first_message(port):
        with pytest.raises(InvalidStatus) as refused:
            try_first_message(port)
        assert refused.value.response.status_code == 403
        first.send(KEY)
        first.send("hello")
        assert first.recv(timeout=20) == "HELLO"
        # Its place is free, though it goes on.
        with try_first_message(port):
            pass


def test_a_first_message_comes_in_time_and_is_small(tmp_path: Path) -> None:
    (flag,) = re.findall(r"`uvicorn (--ws-max-size \d+)`", PAGE)
    (tmp_path / "service.py").write_text(source("https://ui.example", "0.1"), encoding="utf-8")
    port = free_port()
    with server("uvicorn", tmp_path, "service", port, *flag.split()):
        with first_message(port) as silent:
            assert closed_with(silent) == 1008
        assert any(too_large(port) == 1009 for _ in range(100))


def too_large(port: int) -> int:
    """The code with which a large message is refused, unless it comes too late."""
    with first_message(port) as one:
        try:
            one.send("x" * 65537)
        except ConnectionClosed:
            return 0
        return closed_with(one)


def test_tickets_end_and_are_bounded() -> None:
    made: dict[str, Any] = {}
    exec(compile(EXAMPLE, "websocket_service.py", "exec"), made)
    now = 0.0
    made["monotonic"] = lambda: now
    tickets = made["Tickets"](seconds=30, most=2)
    first, second = tickets.issue(), tickets.issue()
    assert tickets.issue() is None
    now = 29.9
    assert tickets.use(first)
    assert not tickets.use(first)
    now = 30.0
    assert not tickets.use(second)
    assert tickets.issue() is not None


ORIGIN = ("origin", "https://ui.example")
UPGRADE = (("connection", "Upgrade"), ("upgrade", "websocket"))
ASKED = (
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "model-api-key"),
)
RULES = re.findall(r"- name: (.*)", MESH)
HANDSHAKE_PATH = "/ws/chat?service=chat&ticket=x"


def test_the_mesh_routes_a_handshake_by_its_url() -> None:
    assert f"```yaml\n{MESH}```\n" in PAGE
    key = ("model-api-key", "xyz")
    gateway = Gateway.from_yaml(MESH)

    def rule(method: str, path: str, *fields: tuple[str, str], at: Gateway = gateway) -> str | None:
        taken = at.handle(GatewayRequest(method, "api.example", path, fields))
        assert (taken.kind, taken.status) in {("forward", None), ("no_route", 404)}
        return taken.rule and RULES[int(re.findall(r"http\[(\d)\]", taken.rule)[0])]

    assert rule("OPTIONS", "/v1/tickets", ORIGIN, *ASKED) == "preflight"
    assert rule("POST", "/v1/tickets", ORIGIN, key) == "chat"
    assert rule("GET", HANDSHAKE_PATH, ORIGIN, *UPGRADE) == "chat-websocket"
    by_header = re.sub(r"  - name: chat-websocket\n(    .*\n)+", "", MESH)
    without = Gateway.from_yaml(by_header)
    assert rule("GET", HANDSHAKE_PATH, ORIGIN, *UPGRADE, at=without) is None
    # Neither the gateway nor a corsPolicy of the rule keeps a stranger out.
    policy = (
        'corsPolicy: {allowOrigins: [{exact: "https://ui.example"}], unmatchedPreflights: IGNORE}'
    )
    guarded = MESH.replace(
        "  - name: chat-websocket\n", f"  - name: chat-websocket\n    {policy}\n"
    )
    assert guarded != MESH
    stranger = ("origin", "https://evil.example")
    for text in (MESH, guarded):
        at = Gateway.from_yaml(text)
        assert rule("GET", HANDSHAKE_PATH, stranger, *UPGRADE, at=at) == "chat-websocket"
