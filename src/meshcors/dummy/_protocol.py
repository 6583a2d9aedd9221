"""uvicorn's httptools protocol, bounded, for an app that never waits.

uvicorn starts a task and sets a timer for each request, which a ready-made answer has no need of:
here the app runs at once, and becomes a task only if it has to wait.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from meshcors.dummy._bounded import MAX_FIELD_LINES, Bounded


class PodProtocol(Bounded, HttpToolsProtocol):
    """One connection of the pod."""

    # The last one that had to wait.
    _waiting: RequestResponseCycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what is not answered; uvicorn itself would tell the last request only."""
        if self._waiting is not None:
            self._waiting.disconnected = True
        self.pipeline.clear()
        super().connection_lost(exc)

    # The field lines of a head and its trailers are counted where either ends and, while they do
    # not, after each slice: that costs nothing for each line.

    def on_headers_complete(self) -> None:
        """Take a head, unless it has too many field lines."""
        self._bound_lines()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take the end of a request, unless its trailers are too many."""
        self._bound_lines()
        super().on_message_complete()

    def _bound_lines(self) -> None:
        if len(self.headers) > MAX_FIELD_LINES:
            self.too_large = True
            raise ValueError("too many field lines")

    def _parse(self, data: bytes) -> None:
        super()._parse(data)
        if self.headers and len(self.headers) > MAX_FIELD_LINES:
            self.too_large = True
            del self.headers[MAX_FIELD_LINES:]
            if not self.transport.is_closing():
                self.send_400_response("")

    def on_body(self, body: bytes) -> None:
        """Let a part of a request's body go; it does not count as overhead."""
        self.body_bytes += len(body)
        super().on_body(body)

    def is_behind(self) -> bool:
        """Tell whether requests have come that wait for the answer to one before."""
        return bool(self.pipeline)

    def may_refuse(self) -> bool:
        """Tell whether the answer to what is being read is the next, and has not begun."""
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            return cycle is None or cycle.response_complete
        return not cycle.response_started and not self.pipeline

    def on_response_complete(self) -> None:
        """Go on with the next request, if it is here already.

        No timer is set for a connection that falls silent: `meshcors.dummy._idle` looks after it.
        """
        if self.transport.is_closing():
            return
        self.connections.move_to_end(self)
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            # Not from here: any number of them may wait, and each would stand on the one before.
            self._add_task(cycle, cycle.run_asgi(app))
        if self._held or self.flow.read_paused:
            self.go_on()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self.transport.is_closing():
            return
        running = cycle.run_asgi(app)
        try:
            awaited = running.send(None)
        except StopIteration:
            return
        self._add_task(cycle, _finish(_Begun(running, awaited)))

    def _add_task(self, cycle: RequestResponseCycle, running: Coroutine[Any, Any, None]) -> None:
        self._waiting = cycle
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
