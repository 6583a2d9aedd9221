"""Commands, answers and events as JSON over one WebSocket: DevTools protocol and WebDriver BiDi."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

from tests.e2e.browsers import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from websockets.sync.client import ClientConnection


class Wire:
    """One connection; every event that arrives is given to ``on_event``."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        self.on_event: Callable[[dict[str, Any]], None] = lambda _event: None

    def call(self, method: str, timeout: float = 60.0, **params: Any) -> dict[str, Any]:
        """Send a command and return its answer; a refused one raises ``AssertionError``."""
        return self.send({"method": method, "params": params}, timeout)

    def send(self, message: dict[str, Any], timeout: float = 60.0) -> dict[str, Any]:
        """Send ``message``, a command without its id, and return the answer."""
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, **message}))
        deadline = time.monotonic() + timeout
        while True:
            answer = json.loads(self._connection.recv(timeout=max(0, deadline - time.monotonic())))
            if answer.get("id") != number:
                self.on_event(answer)
            elif "result" in answer:
                result: dict[str, Any] = answer["result"]
                return result
            else:
                raise AssertionError(f"{message['method']}: {answer}")

    def post(self, method: str, **params: Any) -> None:
        """Send a command whose answer `take` will give as an event, like any other message."""
        message = {"id": next(self._ids), "method": method, "params": params}
        self._connection.send(json.dumps(message))

    def take(self, deadline: float) -> None:
        """Process the next message; ``TimeoutError`` if there is none until ``deadline``."""
        left = max(0, deadline - time.monotonic())
        self.on_event(json.loads(self._connection.recv(timeout=left)))

    def drain(self) -> None:
        """Process the events that have arrived."""
        with contextlib.suppress(TimeoutError):
            while True:
                self.on_event(json.loads(self._connection.recv(timeout=0)))


@contextlib.contextmanager
def connected(url: str) -> Iterator[Wire]:
    """Connect to ``url`` (``ws://127.0.0.1:...``)."""
    try:
        # the test part is optional on a user's machine
        from websockets.sync.client import connect
    except ModuleNotFoundError:
        missing("websockets", "pip install websockets")
    with connect(url, max_size=None, proxy=None, ping_interval=None) as connection:
        yield Wire(connection)
