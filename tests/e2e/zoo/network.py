"""What goes wrong before anything answers, or although all answers are right."""

from __future__ import annotations

import socket
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
        name="a page over https that calls http",
        config=_SERVED,
        call=Call(host="api.example", options=("--resolve", "api.example:{port}:127.0.0.1")),
        layer="meshcors",
        codes=codes("mixed_content"),
    ),
)


@contextmanager
def running(upstreams: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield a port for each set-up; one of them accepts connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield {
            "a port where nothing listens": free_port(),
            "a host that does not exist": 80,
            "a server that does not answer in time": silent.getsockname()[1],
            "a page over https that calls http": upstreams[_SERVED],
        }
