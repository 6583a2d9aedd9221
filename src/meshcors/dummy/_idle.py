"""Connections that bring no request: found by a look at all of them now and then, then closed.

The look costs nothing on the way of a request: it compares what a connection is at with what it was
at when it was last looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

# Between two looks, in seconds.
INTERVAL: Final = 1.0
# A head that takes longer is held open, not sent: Envoy and browsers send it in one piece.
HEAD_SECONDS: Final = 10.0


class Sweep:
    """Closes connections that wait longer for a whole request than `keep_alive` seconds.

    And those whose request's head has begun but does not end within `HEAD_SECONDS`. `connections`
    is uvicorn's set of its protocols, of either implementation.
    """

    def __init__(self, connections: Iterable[Any], keep_alive: float) -> None:
        self._connections = connections
        self._keep_alive = keep_alive
        # By connection: its last request, whether the next one's head has begun, and since when.
        self._seen: dict[Any, tuple[object, bool, float]] = {}

    def __call__(self, now: float) -> None:
        """Look at all connections; `now` is in seconds, of any clock that never goes back."""
        seen: dict[Any, tuple[object, bool, float]] = {}
        for connection in list(self._connections):
            last, in_head = connection.cycle, _in_head(connection)
            limit = min(self._keep_alive, HEAD_SECONDS) if in_head else self._keep_alive
            last_before, in_head_before, since = self._seen.get(connection, (last, in_head, now))
            if last is not last_before or in_head != in_head_before:
                since = now
            transport = connection.transport
            if transport.is_closing():
                # It has had a second, and does not read its last answer.
                transport.abort()
            elif now - since >= limit:
                transport.close()
            else:
                seen[connection] = (last, in_head, since)
        self._seen = seen


def _in_head(connection: Any) -> bool:
    """Tell whether a part of a request's head has come, and the rest has not."""
    if hasattr(connection, "conn"):
        # h11: bytes that are no whole request yet
        return bool(connection.conn.trailing_data[0])
    cycle = connection.cycle
    return connection.scope is not None and (cycle is None or cycle.scope is not connection.scope)
