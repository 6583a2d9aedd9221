"""uvicorn's httptools protocol, with a bound on a request's head, for an app that never waits.

llhttp itself takes heads of any size. And uvicorn starts a task and sets a timer for each request,
which a ready-made answer has no need of: here the app runs at once, and becomes a task only if it
has to wait.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

# As much as h11 takes, which a plain install runs on.
MAX_HEAD_BYTES: Final = 64 * 1024
_SLICE: Final = MAX_HEAD_BYTES // 2
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class PodProtocol(HttpToolsProtocol):
    """One connection of the pod."""

    # The scope of a request whose head has begun but not ended, and what has come of it since.
    _unfinished: object = None
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take what has come; a head that grows beyond its bound is answered 431."""
        if len(data) > _SLICE:
            for start in range(0, len(data), _SLICE):
                if not self.transport.is_closing():
                    self.data_received(data[start : start + _SLICE])
            return
        super().data_received(data)
        # Both are None at first.
        scope: Any = self.scope
        cycle: Any = self.cycle
        if scope is None or (cycle is not None and cycle.scope is scope):
            return
        if self._unfinished is not scope:
            # What of `data` belongs to this head is not known; it is at most a slice.
            self._unfinished = scope
            self._head_bytes = 0
        else:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES - _SLICE and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_response_complete(self) -> None:
        """Go on with the next request, if it is here already.

        No timer is set for a connection that falls silent: `meshcors.dummy.idle` looks after it.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            # Not from here: any number of them may wait, and each would stand on the one before.
            self._add_task(cycle.run_asgi(app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.transport.is_closing():
            return
        running = cycle.run_asgi(app)
        try:
            awaited = running.send(None)
        except StopIteration:
            return
        self._add_task(_finish(_Begun(running, awaited)))

    def _add_task(self, running: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(running)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)


class _Begun:
    """What is left of a coroutine that has begun and waits for `awaited`."""

    def __init__(self, running: Coroutine[Any, Any, None], awaited: object) -> None:
        self._running = running
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        while True:
            try:
                value = yield self._awaited
            except BaseException as error:
                step = partial(self._running.throw, error)
            else:
                step = partial(self._running.send, value)
            try:
                self._awaited = step()
            except StopIteration:
                return


async def _finish(begun: _Begun) -> None:
    await begun
