"""What goes wrong before anything answers, or although all answers are right."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.e2e.processes import free_port
from tests.e2e.zoo.set_up import Call, SetUp, codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The set-up of the Python apps that is served under another name.
_SERVED = "MeshCORS in FastAPI"

NETWORK = (
    SetUp(
        name="a port where nothing listens",
        config="",
        verdict="unknown",
        layer="unreachable",
        codes=codes("refused"),
    ),
    SetUp(
        name="a host that does not exist",
        config="",
        call=Call(scheme="https", host="api.invalid"),
        verdict="unknown",
        layer="unreachable",
        codes=codes("dns_fault"),
    ),
    SetUp(
        name="a server that does not answer in time",
        config="",
        call=Call(options=("--timeout", "0.3")),
        verdict="unknown",
        layer="unreachable",
        codes=codes("timeout"),
    ),
    SetUp(
        name="a server that hangs up",
        config="",
        verdict="unknown",
        layer="unreachable",
        codes=codes("broken_answer"),
    ),
    SetUp(
        name="a page over https that calls http",
        config=_SERVED,
        call=Call(host="api.example", options=("--resolve", "api.example:{port}:127.0.0.1")),
        layer="meshcors",
        codes=codes("mixed_content"),
    ),
)


class _HangsUp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(4096)


@contextmanager
def _hanging_up() -> Iterator[int]:
    with socketserver.TCPServer(("127.0.0.1", 0), _HangsUp) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running(upstreams: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield a port for each set-up; one of them accepts connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent, _hanging_up() as hanging_up:
        yield {
            "a port where nothing listens": free_port(),
            "a host that does not exist": 80,
            "a server that does not answer in time": silent.getsockname()[1],
            "a server that hangs up": hanging_up,
            "a page over https that calls http": upstreams[_SERVED],
        }
