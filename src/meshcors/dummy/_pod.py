"""The pod's ASGI app: from the server straight to the engine, with a count on the way.

No router, no middleware. It decides nothing: what the engine answers is sent as it is, and what the
engine would let an app answer finds no service here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import Final, Protocol, TypeAlias

from meshcors._decision.answers import NO_ROUTE, Answer, Proceed
from meshcors._decision.fields import collect
from meshcors._decision.preflight import MAX_LIST_BYTES
from meshcors.asgi import Receive, Scope, Send
from meshcors.dummy._counters import HISTOGRAM, NANOSECONDS, PREFLIGHTS, REQUESTS

# Told of an answer: the request's scope, the answer's status and reason.
Witness: TypeAlias = Callable[[Scope, int, str], None]

_CLOSE: Final = (b"connection", b"close")


class Decider(Protocol):
    """What the pod needs of an engine, be it of one policy or of several rules."""

    @property
    def reads(self) -> frozenset[bytes]:
        """The request fields, in lower case, that `decide` looks at."""
        ...

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed:
        """Decide a request; see `meshcors._decision.engine.Engine.decide`."""
        ...


class Pod:
    """The ASGI app of the pod.

    `engine` may be replaced at any time: a request is decided by one engine as a whole. `numbers`
    is a row of a `meshcors.dummy._counters.Board`. `refused` is told of every answer that is no
    good news, `answered` of all of them, where it is not None. While `draining`, every answer
    closes its connection.
    """

    __slots__ = ("answered", "draining", "engine", "numbers", "refused")

    def __init__(
        self,
        engine: Decider,
        numbers: memoryview,
        refused: Witness,
        answered: Witness | None = None,
    ) -> None:
        self.engine = engine
        self.numbers = numbers
        self.refused = refused
        self.answered = answered
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3.0); its body is not read."""
        began = perf_counter_ns()
        engine = self.engine
        fields = collect(scope["headers"], engine.reads, MAX_LIST_BYTES)
        decision = engine.decide(scope["method"], scope["path"], fields)
        if isinstance(decision, Answer):
            status, reason = decision.status, decision.reason
            headers, body = decision.raw_headers, decision.body
        else:
            status, reason = NO_ROUTE.status, NO_ROUTE.reason
            headers, body = tuple(decision.merge_raw(NO_ROUTE.raw_headers)), NO_ROUTE.body
        if self.draining:
            headers = (*headers, _CLOSE)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

        numbers = self.numbers
        if reason in REQUESTS and not (reason in PREFLIGHTS and _is_preflight(scope)):
            numbers[REQUESTS[reason]] += 1
        else:
            numbers[PREFLIGHTS[reason]] += 1
            took = perf_counter_ns() - began
            numbers[NANOSECONDS] += took
            numbers[HISTOGRAM + took.bit_length()] += 1
        if reason != "allowed":
            self.refused(scope, status, reason)
        if self.answered is not None:
            self.answered(scope, status, reason)


def _is_preflight(scope: Scope) -> bool:
    """Tell how a request is counted that no rule covers: nobody has decided what it is."""
    names = {name for name, value in scope["headers"] if value.strip()}
    return scope["method"] == "OPTIONS" and {b"origin", b"access-control-request-method"} <= names
