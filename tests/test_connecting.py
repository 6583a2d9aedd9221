"""A name with several addresses: they race as in browsers, and one limit covers them all."""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from meshcors import _cli as cli
from meshcors.testing import Wire
from tests.e2e.processes import free_port
from tests.raw_servers import raw_server, say

httpcore = pytest.importorskip("httpcore", reason="python -m pip install 'meshcors[cli]'")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="others have no 127.0.0.2")

OK = say("HTTP/1.1 200 OK\nAccess-Control-Allow-Origin: https://ui.example\nContent-Length: 0\n\n")
HOST = "many.example"
DEAD = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
# Long enough to be noticed: whoever waits for it fails.
LONG = "40"
Names = Callable[..., None]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Gives `HOST` its addresses."""
    look_up = socket.getaddrinfo

    def give(*addresses: str) -> None:
        def found(host: Any, *rest: Any, **options: Any) -> Any:
            hosts = addresses if host == HOST else (host,)
            return [each for at in hosts for each in look_up(at, *rest, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    return give


@contextmanager
def dead(port: int, addresses: tuple[str, ...] = DEAD) -> Iterator[None]:
    """Let the port of these addresses neither accept nor refuse anybody: their queues are full."""
    with ExitStack() as opened:
        for address in addresses:
            opened.enter_context(socket.create_server((address, port), backlog=0))
            while is_let_in(opened.enter_context(socket.socket()), (address, port)):
                pass
        yield


def is_let_in(client: socket.socket, place: tuple[str, int]) -> bool:
    client.settimeout(0.5)
    try:
        client.connect(place)
    except TimeoutError:
        return False
    return True


def doctor(capsys: pytest.CaptureFixture[str], port: int, *words: str) -> dict[str, Any]:
    url = f"http://{HOST}:{port}/v1"
    cli.run(["doctor", url, "--origin", "https://ui.example", "--format", "json", *words])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_dead_addresses_cost_no_limit(names: Names, capsys: pytest.CaptureFixture[str]) -> None:
    names(*DEAD, "127.0.0.1")
    with raw_server(OK) as server, dead(server.port):
        found = doctor(capsys, server.port, "--connect-timeout", LONG)
    assert {each["status"] for each in found["requests"]} == {200}


def test_an_address_that_refuses_is_no_reason_to_wait(
    names: Names, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshcors.testing._connecting._HEAD_START", float(LONG))
    names("127.0.0.2", "127.0.0.1")
    with raw_server(OK) as server:
        found = doctor(capsys, server.port, "--connect-timeout", LONG)
    assert {each["status"] for each in found["requests"]} == {200}


def test_one_limit_is_for_all_addresses(
    names: Names, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names(*DEAD)
    limits: list[float] = []
    connect = socket.create_connection

    def seen(address: Any, timeout: float, *rest: Any, **options: Any) -> socket.socket:
        limits.append(timeout)
        return connect(address, timeout, *rest, **options)

    port = free_port()
    with dead(port):
        monkeypatch.setattr(socket, "create_connection", seen)
        found = doctor(capsys, port, "--connect-timeout", "0.6")
    (request,) = found["requests"]
    assert request["error"] == f"no connection to {HOST}:{port} within 0.6 s"
    # what is left of it, which even for the first address is less
    assert limits
    assert max(limits) < 0.6


def test_what_the_first_address_says_is_told_if_all_refuse(
    names: Names, capsys: pytest.CaptureFixture[str]
) -> None:
    names("127.0.0.2", "127.0.0.3")
    port = free_port()
    (request,) = doctor(capsys, port)["requests"]
    assert request["error"] == f"cannot connect to {HOST}:{port}: connection refused"


def test_a_look_up_that_takes_long_has_the_limit_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = threading.Event()
    look_up = socket.getaddrinfo

    def wait(host: Any, *rest: Any, **options: Any) -> Any:
        if host == HOST:
            ended.wait()
        return look_up("127.0.0.1", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    try:
        found = doctor(capsys, 80, "--connect-timeout", "0.2")
    finally:
        ended.set()
    (finding,) = [each for each in found["findings"] if each["code"] == "dns_fault"]
    assert "no address found for many.example:80: the look-up took too long" in finding["message"]


def test_a_connection_that_comes_late_is_closed(names: Names) -> None:
    """The one that lost the race was open too: the server sees its end."""
    names("127.0.0.2", "127.0.0.1")
    with raw_server(OK) as server, ExitStack() as opened:
        slow = opened.enter_context(socket.create_server(("127.0.0.2", server.port), backlog=0))
        filler = opened.enter_context(socket.create_connection(slow.getsockname()))
        with Wire(connect_timeout=60) as wire:
            answer = wire.exchange("GET", f"http://{HOST}:{server.port}/", ())
        assert answer.failure == ""
        first, _ = slow.accept()
        opened.enter_context(first)
        assert first.getpeername() == filler.getsockname()
        late, _ = slow.accept()  # its SYN is sent again
        with late:
            late.settimeout(60)
            assert late.recv(1) == b""


def test_a_reset_before_the_handshake_leaves_nothing_open() -> None:
    from meshcors.testing._connecting import RacingBackend

    with socket.create_server(("127.0.0.1", 0)) as listener:
        before = set(Path("/proc/self/fd").iterdir())
        stream = RacingBackend().connect_tcp("127.0.0.1", listener.getsockname()[1], 20)
        accepted, _ = listener.accept()
        # closed with a reset
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        assert select.select([stream.get_extra_info("socket")], [], [], 20)[0]
        with pytest.raises(httpcore.ConnectError) as caught:
            stream.start_tls(ssl.create_default_context(), "api.example")
        # while the error, which refers to what was open, is still there
        assert caught.value is not None
        assert set(Path("/proc/self/fd").iterdir()) == before
