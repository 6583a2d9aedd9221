"""No request reaches an app without a valid key, unless the policy exempts what the app routes to.

Raw bytes are sent to real servers with their default settings, around every framework. The app
itself says what it routed to; what is exempt is decided without the library.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests import written_pages
from tests.dummy_process import INSTALLED, PLAIN
from tests.dummy_process import running as pod
from tests.e2e.matrix import page
from tests.e2e.matrix.apps import APPS, BASE, UI, App
from tests.e2e.matrix.cases import (
    KEY_FIELDS,
    cases,
    handshakes,
    is_exempt,
    is_open_path,
    is_plain,
    named,
    raw,
    served_cases,
)
from tests.e2e.matrix.servers import SERVERS, Server
from tests.e2e.matrix.wire import HANDSHAKE, Answer, Request, ask, ask2
from tests.e2e.parts import need
from tests.e2e.processes import free_port, running


@dataclass
class Run:
    """The results of all requests to a server: counts, in total and by app, and violations."""

    ran: Counter[str] = field(default_factory=Counter)
    came_of: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    exceptions: list[str] = field(default_factory=list)
    not_served: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    output: str = ""


@cache
def run(name: str) -> Run:
    """Start a server, without a root path and with one, and send it everything."""
    server = SERVERS[name]
    found = Run()
    for root in server.roots:
        port = free_port()
        variables = server.root_variables if root else {}
        with running(server.command(port, root=root), port, env=variables) as process:
            send = Sender(port, ask2 if server.http2 else ask)
            for number, (app_name, app) in enumerate(APPS[server.interface].items()):
                if server.http2 and not app.over_http2:
                    continue
                send_hostile(send, found, number, app_name, app, root=root)
                send_served(send, found, server, number, app_name, app, root=root)
            if not root:
                found.paths = [
                    page.path_cell(target, send("echo", Request(raw(target))))
                    for target in page.SHOWN_TARGETS
                ]
                found.hosts = [
                    page.host_cell(send("echo", request)) for _, request in page.SHOWN_HOSTS
                ]
            found.output += process.output
    return found


@dataclass(frozen=True)
class Sender:
    """Sends a request to one of a server's apps."""

    port: int
    ask: Callable[..., Answer | None]

    def __call__(self, app: str, request: Request) -> Answer | None:
        return self.ask(self.port, request, b"x-app: " + app.encode())


def send_hostile(send: Sender, found: Run, number: int, name: str, app: App, *, root: bool) -> None:
    for case in cases(app.at, root=root):
        answer = send(f"{number} {case.policy}", case.request)
        found.ran[name] += 1
        if answer is None:
            found.came_of["rejected"] += 1
        elif "x-told" in answer.headers:
            told = json.loads(answer.headers["x-told"])
            found.came_of["exempt"] += 1
            # A framework that reads no host cannot read another one than was sent.
            told["host"] = told["host"] or b",".join(case.request.hosts).decode("latin-1")
            if not is_exempt(case.policy, **told):
                found.exceptions.append(f"{name}, {case}: {told}")
        elif "x-reached" in answer.headers:
            found.came_of["no endpoint"] += 1
        elif answer.headers.get("content-type") == "application/problem+json":
            found.came_of["refused"] += 1
        else:
            found.came_of["rejected"] += 1


def send_served(
    send: Sender, found: Run, server: Server, number: int, name: str, app: App, *, root: bool
) -> None:
    if root and not app.takes_root:
        return
    at = BASE + app.at if root and not server.adds_root else app.at
    for policy, request, expected in served_cases(at):
        answer = send(f"{number} {policy}", request)
        found.served[name] += 1
        if outcome(answer) != expected:
            found.not_served.append(f"{name}, root={root}, {request}: {answer}, not {expected}")


def outcome(answer: Answer | None) -> str:
    """The endpoint that answered, or the reason why none did."""
    if answer is None:
        return "no answer"
    if "x-told" in answer.headers:
        return str(json.loads(answer.headers["x-told"])["endpoint"])
    if answer.headers.get("content-type") == "application/problem+json":
        return str(json.loads(answer.body)["reason"])
    return str(answer.status)


def say(capsys: pytest.CaptureFixture[str], what: str, came_of: Counter[str]) -> None:
    """Print how many requests ran and their results, in every run of the tests."""
    counts = ", ".join(f"{count} {name}" for name, count in sorted(came_of.items()))
    with capsys.disabled():
        print(f"\n{what}: {counts}", end=" ")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    need(SERVERS[name].module)
    return name


def test_no_request_reaches_an_app_without_a_valid_key(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(server)
    say(capsys, f"{server}: {found.ran.total()} requests without a valid key", found.came_of)
    assert found.exceptions == []
    # No request may make the middleware raise.
    assert re.findall(r".*meshcors/(?:asgi|wsgi).py.*", found.output) == []


def test_what_must_be_served_is_served(server: str) -> None:
    found = run(server)
    assert found.served.total() > 0
    assert found.not_served == []


@pytest.mark.parametrize("name", [name for name, each in SERVERS.items() if each.websocket])
def test_no_websocket_reaches_an_app_without_a_valid_key(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server = SERVERS[name]
    need(server.module)
    came_of: Counter[str] = Counter()
    exceptions: list[str] = []
    for root in server.roots:
        port = free_port()
        with running(server.command(port, root=root), port):
            send = Sender(port, ask)
            for number, (app_name, app) in enumerate(APPS[server.interface].items()):
                if app_name not in ("FastAPI", "FastAPI(root_path), add_middleware", "aiohttp"):
                    continue
                for request in handshakes(app.at):
                    answer = send(f"{number} exempt", request)
                    came_of["closed" if answer is None else str(answer.status)] += 1
                    if answer is not None and "x-path" in answer.headers:
                        path = json.loads(answer.headers["x-path"])
                        if not is_open_path(path):
                            exceptions.append(f"{app_name}, {request}: {path}")
                fields = (b"x-key: right", *HANDSHAKE)
                answer = send(f"{number} exempt", Request(b"/public/v1/predict", fields=fields))
                assert answer is not None
                assert answer.status == 101
    say(capsys, f"{name}: {came_of.total()} WebSocket handshakes without a valid key", came_of)
    assert exceptions == []


# The same rules as the apps'.
POD_RULES = [
    {
        "hosts": ["api.example"],
        "pathPrefix": "/v1",
        "corsPolicy": {"allowOrigins": [UI]},
        "key": {"header": "x-key"},
    },
    {"hosts": ["api.example"], "pathPrefix": "/public", "corsPolicy": {"allowOrigins": [UI]}},
    {"hosts": ["open.example"], "corsPolicy": {"allowOrigins": [UI]}},
]
PREFLIGHT = (b"Origin: https://ui.example", b"Access-Control-Request-Method: PUT")


@pytest.mark.parametrize("start", [INSTALLED, PLAIN], ids=["httptools", "h11"])
def test_pod_takes_nothing_for_what_it_may_not_be(
    start: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"rules": POD_RULES}))
    came_of: Counter[str] = Counter()
    exceptions: list[str] = []
    with pod("--config", str(rules), policy=(), start=start, admin=False) as process:
        for case in cases("", root=False):
            if not set(KEY_FIELDS).isdisjoint(case.request.fields):
                continue
            request = replace(case.request, method=b"GET")
            reason = outcome(ask(process.port, request))
            preflight = replace(request, method=b"OPTIONS", fields=(*request.fields, *PREFLIGHT))
            answered = outcome(ask(process.port, preflight))
            came_of[reason] += 1
            # A preflight gets the same answer about its URL.
            expected = {"no_route": "204", "key_missing": "204"}.get(reason, reason)
            if not is_so(reason, request) or answered != expected:
                exceptions.append(f"{request}: {reason}, preflight {answered}")
        for path, host, expected_reason in (
            ("/v1/predict", b"api.example", "key_missing"),
            ("/v1", b"API.example.:8080", "key_missing"),
            ("/public/x", b"api.example", "no_route"),
            ("/any/..//thing", b"open.example", "no_route"),
            ("/admin/x", b"api.example", "no_rule"),
            ("/v1/predict", b"other.example", "no_rule"),
        ):
            assert outcome(ask(process.port, Request(path.encode(), (host,)))) == expected_reason
    say(capsys, f"pod: {came_of.total()} requests, and as many preflights", came_of)
    assert exceptions == []


def is_so(reason: str, request: Request) -> bool:
    """Tell whether `reason` is right for a request's path and host."""
    host = named(request.hosts[0].decode("latin-1")) if len(request.hosts) == 1 else ""
    target = request.target.decode("latin-1").partition("?")[0].partition("#")[0]
    path = unquote(re.sub("^[A-Za-z]+://[^/]*", "", target))
    if reason == "no_route" and host == "open.example":
        return True
    prefix = {"no_route": "/public", "key_missing": "/v1"}.get(reason)
    if prefix is None:
        return True  # refused, by the pod or by the server
    return host == "api.example" and is_plain(path) and f"{path}/".startswith(f"{prefix}/")


def test_page_is_what_the_run_yields() -> None:
    for each in SERVERS.values():
        need(each.module)
    written_pages.check(page.PAGE, page.filled(tables()))


def tables() -> dict[str, str]:
    runs = {name: run(name) for name in SERVERS}
    shown: dict[str, str] = {}
    for interface, apps in APPS.items():
        names = [name for name, each in SERVERS.items() if each.interface == interface]
        rows = [[app, *(runs[name].ran[app] for name in names)] for app in apps]
        shown[f"requests, {interface}"] = page.table(["app", *names], rows)
        paths = zip(page.SHOWN_TARGETS, *(runs[name].paths for name in names), strict=True)
        shown[f"paths, {interface}"] = page.table(
            ["target", *names], ([page.code(target), *cells] for target, *cells in paths)
        )
        hosts = zip(page.SHOWN_HOSTS, *(runs[name].hosts for name in names), strict=True)
        shown[f"hosts, {interface}"] = page.table(
            ["Host", *names], ([host, *cells] for (host, _), *cells in hosts)
        )
    columns = ("exempt", "no endpoint", "refused", "rejected")
    shown["totals"] = page.table(
        ["server", "without a valid key", "exceptions", *columns, "valid, served"],
        (
            [
                name,
                found.ran.total(),
                len(found.exceptions),
                *(found.came_of[column] for column in columns),
                found.served.total() - len(found.not_served),
            ]
            for name, found in runs.items()
        ),
    )
    return shown
