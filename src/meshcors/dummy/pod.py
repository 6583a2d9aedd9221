"""The pod's ASGI app: from the server straight to the engine, with a count on the way.

No router, no middleware. It decides nothing: what the engine answers is sent as it is, and what the
engine would let an app answer finds no service here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from meshcors.asgi import Receive, Scope, Send
from meshcors.engine import MAX_LIST_BYTES, NO_ROUTE, Answer, Proceed
from meshcors.headers import collect


class Decider(Protocol):
    """What the pod needs of an engine, of one policy or of several rules."""

    @property
    def reads(self) -> frozenset[bytes]:
        """The request fields, in lower case, that `decide` looks at."""
        ...

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed:
        """Decide a request; see `meshcors.engine.Engine.decide`."""
        ...


class Pod:
    """The ASGI app of the pod.

    `engine` may be replaced at any time: a request is decided by one engine as a whole. While
    `draining`, every answer closes its connection.
    """

    __slots__ = ("draining", "engine")

    def __init__(self, engine: Decider) -> None:
        self.engine = engine
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3.0)."""
        engine = self.engine
        fields = collect(scope["headers"], engine.reads, MAX_LIST_BYTES)
        decision = engine.decide(scope["method"], scope["path"], fields)
        if isinstance(decision, Answer):
            status, headers, body = decision.status, decision.raw_headers, decision.body
        else:
            status, body = NO_ROUTE.status, NO_ROUTE.body
            headers = tuple(decision.merge_raw(NO_ROUTE.raw_headers))
        if self.draining:
            headers = (*headers, (b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
