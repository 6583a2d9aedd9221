"""The same raw requests to every stack, and what a browser would make of the answers.

A cell holds the status and what is wrong with it: a status other than the stack's own, no grant,
two grants, no Vary. An answer that nobody may read must have no field of CORS at all.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

from tests.stacks.stack import CALLS, Call, Stack

UI = "https://ui.example"
STRANGER = "https://stranger.example"
KEY = "model-api-key"
RIGHT, WRONG = "xyz", "guess"
TIMEOUT = 20.0
# The cells that the call that works yields.
OF_THE_POLICY = (
    *("preflight", "stranger's preflight", "works"),
    *("wrong key", "no key", "stranger"),
)

Headers: TypeAlias = list[tuple[str, str]]


@dataclass
class Answer:
    """An answer with names in lower case; `spread` is the time between its pieces, in seconds."""

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    spread: float = 0.0

    def every(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]

    def items(self, name: str) -> set[str]:
        """The elements of a list field, in lower case."""
        return {each.strip().lower() for value in self.every(name) for each in value.split(",")}


@dataclass
class Cell:
    """What was answered to one request, and what is wrong with it."""

    status: int
    wrong: list[str] = field(default_factory=list)


def ask(
    port: int, method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes | None = None
) -> Answer:
    """Send one request on a connection of its own; no answer is status 0."""
    sent = {"host": f"127.0.0.1:{port}", "connection": "close", **dict(headers)}
    if body is not None:
        sent["content-length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
        # A server that refuses a large body may close before it has read it.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
            connection.sendall(body or b"")
        return _read(connection, upgraded="upgrade" in sent)


def _read(connection: socket.socket, *, upgraded: bool) -> Answer:
    read, began, last = b"", 0.0, 0.0
    with suppress(ConnectionResetError, TimeoutError):
        while piece := connection.recv(65536):
            read += piece
            # When the body's first and last pieces came.
            if read.partition(b"\r\n\r\n")[2]:
                last = time.monotonic()
                began = began or last
            if upgraded and b"\r\n\r\n" in read and read.startswith(b"HTTP/1.1 101"):
                break
    head, _, body = read.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1."):
        return Answer()
    parts = (line.partition(":") for line in lines)
    headers = [(name.lower(), value.strip()) for name, _, value in parts]
    return Answer(int(first.split()[1]), headers, body, last - began)


# --- judging -------------------------------------------------------------------------------------


def readable(answer: Answer, status: int) -> Cell:
    """An answer that the page's script must be able to read."""
    cell = Cell(answer.status)
    if answer.status != status:
        cell.wrong.append(f"not {status}")
    grants = answer.every("access-control-allow-origin")
    if grants != [UI]:
        cell.wrong.append(f"grants {', '.join(grants)}" if grants else "no CORS fields")
    elif "origin" not in answer.items("vary"):
        cell.wrong.append("no Vary")
    return cell


def closed(answer: Answer, status: int) -> Cell:
    """An answer that says nothing to a stranger's page."""
    cell = Cell(answer.status)
    if answer.status != status:
        cell.wrong.append(f"not {status}")
    if given := sorted({name for name, _ in answer.headers if name.startswith("access-control-")}):
        cell.wrong.append(f"has {', '.join(given)}")
    return cell


# --- the requests --------------------------------------------------------------------------------


def cells(stack: Stack, port: int) -> dict[str, dict[str, Any]]:
    """Ask a running stack everything: each cell by its name."""
    works = stack.calls["works"]
    assert isinstance(works, Call), "without a call that works nothing is proved"
    found = dict(_of_the_policy(works, port))
    for name in CALLS[1:]:
        call = stack.calls[name]
        if isinstance(call, Call):
            call = _with_taken(call, works, port)
            with _under_way(call, port):
                found[name] = _OF_CALLS.get(name, _plain)(call, port)
    return {name: asdict(cell) for name, cell in found.items()}


def _of_the_policy(works: Call, port: int) -> Iterable[tuple[str, Cell]]:
    """Yield what the policy alone decides, and the call that it is about."""
    names = ",".join(sorted({"content-type", KEY, *works.headers}))
    asked = {
        "access-control-request-method": works.method,
        "access-control-request-headers": names,
    }
    answer = ask(port, "OPTIONS", works.path, {**asked, "origin": UI}.items())
    preflight = readable(answer, 204)
    missing = set(names.split(",")) - answer.items("access-control-allow-headers")
    preflight.wrong += [f"{name} not allowed" for name in sorted(missing)]
    yield "preflight", preflight
    answer = ask(port, "OPTIONS", works.path, {**asked, "origin": STRANGER}.items())
    yield "stranger's preflight", closed(answer, 403)
    yield "works", _plain(works, port)
    yield "wrong key", readable(send(works, port, key=WRONG), 403)
    yield "no key", readable(send(works, port, key=""), 401)
    yield "stranger", closed(send(works, port, origin=STRANGER), works.to_stranger or works.status)


def _with_taken(call: Call, works: Call, port: int) -> Call:
    """Return the call with what it takes from the answer to the one that works."""
    if not call.takes:
        return call
    answer = send(works, port)
    lines = "".join(f"{name}: {value}\n" for name, value in answer.headers)
    found = re.search(call.takes, f"{lines}\n{answer.body.decode()}")
    taken = found[1] if found else "nothing"
    headers = {name: value.replace("{taken}", taken) for name, value in call.headers.items()}
    return replace(call, path=call.path.replace("{taken}", taken), headers=headers)


@contextmanager
def _under_way(call: Call, port: int) -> Iterator[None]:
    """Have as many of the same calls under way as the call wants beside it."""
    threads = [threading.Thread(target=send, args=(call, port)) for _ in range(call.beside)]
    for thread in threads:
        thread.start()
    if threads:
        time.sleep(0.5)
    try:
        yield
    finally:
        for thread in threads:
            thread.join(TIMEOUT)


def send(call: Call, port: int, *, origin: str = UI, key: str = RIGHT) -> Answer:
    """Send a call as the page does, with the right key unless told otherwise."""
    headers = {"origin": origin, **call.headers}
    if key:
        headers[KEY] = key
    if call.body is not None:
        headers["content-type"] = call.type
    return ask(port, call.method, call.path, headers.items(), call.body)


def _plain(call: Call, port: int) -> Cell:
    answer = send(call, port)
    cell = readable(answer, call.status)
    exposed = answer.items("access-control-expose-headers")
    for name in call.exposes:
        if name not in exposed or not answer.every(name):
            cell.wrong.append(f"{name} not readable")
    return cell


def _stream(call: Call, port: int) -> Cell:
    """A stream whose pieces arrive one after another, as they were sent."""
    answer = send(call, port)
    cell = readable(answer, call.status)
    if answer.spread < 0.2:
        cell.wrong.append("all at once")
    return cell


def _health(call: Call, port: int) -> Cell:
    """A probe has no key, and no Origin either; a page may read it all the same."""
    cell = readable(send(call, port, key=""), call.status)
    probe = ask(port, call.method, call.path, ())
    if probe.status != call.status:
        cell.wrong.append(f"a probe gets {probe.status}")
    return cell


def _websocket(call: Call, port: int) -> Cell:
    """The page's handshake is taken; a stranger's is not, nor one without a key."""
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    handshake = Call(call.path, method="GET", headers={**call.headers, **upgrade})
    cell = Cell(send(handshake, port).status)
    if cell.status != 101:
        cell.wrong.append("not 101")
    for who, sent in (("a stranger", {"origin": STRANGER}), ("no key", {"key": ""})):
        if send(handshake, port, **sent).status == 101:
            cell.wrong.append(f"{who} gets 101")
    return cell


_OF_CALLS: dict[str, Callable[[Call, int], Cell]] = {
    "stream": _stream,
    "health": _health,
    "websocket": _websocket,
}
