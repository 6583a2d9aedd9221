"""uvicorn's httptools protocol with the pod's bounds, for an app that never waits.

uvicorn starts a task and sets a timer for each request. A ready-made answer needs neither: here the
app runs at once, and becomes a task only if it has to wait.

Of uvicorn's `HttpToolsProtocol` these parts are not public: ``pipeline``, ``cycle``, ``scope``,
``flow``, ``tasks``, ``headers``, ``_start_asgi_task``, the parser's callbacks, and the attributes
of `RequestResponseCycle`. tests/test_hooks.py fails when one is gone.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from meshcors.dummy._protocol_bounds import MAX_FIELD_LINES, BoundedProtocol


class BoundedHttptoolsProtocol(BoundedProtocol, HttpToolsProtocol):
    """One connection of the pod."""

    # The last request whose app had to wait.
    _waiting: RequestResponseCycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop unanswered requests; uvicorn itself would do so for the last one only."""
        if self._waiting is not None:
            self._waiting.disconnected = True
        self.pipeline.clear()
        super().connection_lost(exc)

    # Field lines of a head and its trailers are counted at the end of each, and until then after
    # every slice, not one by one.

    def on_headers_complete(self) -> None:
        """Accept a head, unless it has too many field lines."""
        self._bound_lines()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Accept the end of a request, unless it has too many trailers."""
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
        """Discard a part of a body, which does not count as overhead."""
        self.body_bytes += len(body)
        super().on_body(body)

    def is_behind(self) -> bool:
        """Tell whether parsed requests wait for the answer to an earlier one."""
        return bool(self.pipeline)

    def may_refuse(self) -> bool:
        """Tell whether the request being read is the next to be answered, and not yet begun."""
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            return cycle is None or cycle.response_complete
        return not cycle.response_started and not self.pipeline

    def on_response_complete(self) -> None:
        """Continue with the next request, if it has arrived already.

        No timer is set for an idle connection: `IdleCloser` finds it.
        """
        if self.transport.is_closing():
            return
        self.connections.move_to_end(self)
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            # As a task: any number may wait, and each call would be nested in the one before.
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
        self._add_task(cycle, _finish(_StartedCoroutine(running, awaited)))

    def _add_task(self, cycle: RequestResponseCycle, running: Coroutine[Any, Any, None]) -> None:
        self._waiting = cycle
        task = self.loop.create_task(running)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)


class _StartedCoroutine:
    """The rest of a coroutine that has been started and waits for `awaited`."""

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


async def _finish(started: _StartedCoroutine) -> None:
    await started
