"""The pod's life: it listens, answers, drains when told to stop, and ends.

The first SIGTERM begins the drain: answers go on and close their connections, so that clients move
to another pod. The second one, or SIGINT, ends it at once. The HTTP server is uvicorn.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from uvicorn.config import Config
from uvicorn.server import Server

from meshcors.asgi import ASGIApp
from meshcors.dummy.pod import Pod

# In-flight answers are ready-made: what is not sent by now has a client that does not read.
_LAST_ANSWERS_SECONDS = 1


class PodServer(Server):
    """uvicorn's server, for a process that handles its signals itself.

    `when_serving` is called once the sockets are being listened on.
    """

    def __init__(self, app: ASGIApp, when_serving: Callable[[], None]) -> None:
        super().__init__(
            Config(
                app,
                http="httptools" if find_spec("httptools") else "h11",
                ws="none",
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
            )
        )
        self._when_serving = when_serving

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn's own way raises them again at the end."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets=sockets)
        self._when_serving()


def run(
    pod: Pod, sockets: list[socket.socket], drain: float, when_serving: Callable[[], None]
) -> None:
    """Serve `pod` on `sockets` until a signal ends it; `drain` is in seconds."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(pod, sockets, drain, when_serving))


async def _serve(
    pod: Pod, sockets: list[socket.socket], drain: float, when_serving: Callable[[], None]
) -> None:
    loop = asyncio.get_running_loop()
    server = PodServer(pod, when_serving)

    def stop() -> None:
        server.should_exit = True

    def begin_drain() -> None:
        if pod.draining:
            stop()
        else:
            pod.draining = True
            loop.call_later(drain, stop)

    loop.add_signal_handler(signal.SIGTERM, begin_drain)
    loop.add_signal_handler(signal.SIGINT, stop)
    await server.serve(sockets)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ModuleNotFoundError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
