"""uvicorn's h11 protocol with the pod's bounds: for a plain install, without httptools.

Of uvicorn's `H11Protocol` these parts are not public: ``conn``, ``cycle``, ``on_response_complete``
and ``send_400_response``. tests/test_hooks.py fails when one is gone.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from meshcors.dummy._protocol_bounds import MAX_FIELD_LINES, MAX_HEAD_BYTES, BoundedProtocol

_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class BoundedH11Protocol(BoundedProtocol, H11Protocol):
    """One connection of the pod."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.conn = _BoundedConnection(self)

    def is_behind(self) -> bool:
        """Tell whether parsed requests wait for the answer to an earlier one."""
        return self.conn.their_state is h11.DONE

    def on_response_complete(self) -> None:
        """Continue with the next request, if it has arrived already."""
        if not self.transport.is_closing():
            self.connections.move_to_end(self)
        super().on_response_complete()
        self.go_on()

    def may_refuse(self) -> bool:
        """Tell whether the request being read is the next to be answered, and not yet begun."""
        return self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def send_400_response(self, msg: str) -> None:
        """Refuse a malformed head; after a valid one, close with the answer to that one."""
        if self.cycle is None or self.cycle.response_complete:
            super().send_400_response(msg)
        else:
            self.cycle.keep_alive = False


class _BoundedConnection(h11.Connection):
    """Counts a protocol's bytes of body, and the field lines of heads, complete or not."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self._protocol = protocol
        # The field lines of the last head.
        self._lines = 0

    def next_event(self) -> Any:
        try:
            event = super().next_event()
            self._count(event)
        except h11.RemoteProtocolError as error:
            self._protocol.too_large = error.error_status_hint == _TOO_LARGE
            raise
        return event

    def _count(self, event: Any) -> None:
        if isinstance(event, h11.Data):
            self._protocol.body_bytes += len(event.data)
            return
        lines = 0
        if isinstance(event, h11.Request):
            self._lines = lines = len(event.headers)
        elif isinstance(event, h11.EndOfMessage):
            lines = self._lines + len(event.headers)
        elif event is h11.NEED_DATA:
            # Of an incomplete head, with its request line, or of incomplete trailers.
            begun = self.trailing_data[0].count(b"\n")
            lines = begun - 1 if self.their_state is h11.IDLE else self._lines + begun
        if lines > MAX_FIELD_LINES:
            raise h11.RemoteProtocolError("too many field lines", _TOO_LARGE)
