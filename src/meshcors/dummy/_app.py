"""The pod's ASGI app: the engine's answer to each request, sent as it is and counted.

No router, no middleware, and no decision of its own. Where the engine would let an app answer, the
answer is 404 ``no_route``: the pod has no service behind it.
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

# Called with the request's scope and the answer's status and reason.
OnAnswer: TypeAlias = Callable[[Scope, int, str], None]

_CLOSE: Final = (b"connection", b"close")


class PodEngine(Protocol):
    """What the pod needs from an engine, whether of one policy or of several rules."""

    @property
    def reads(self) -> frozenset[bytes]:
        """The request fields, in lower case, that `decide` looks at."""
        ...

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed:
        """Decide a request; see `meshcors._decision.engine.Engine.decide`."""
        ...


class PodApp:
    """The ASGI app of the pod.

    `engine` may be replaced at any time: each request is decided by one engine as a whole. `row` is
    a row of `meshcors.dummy._counters.Counters`. `on_refusal` is called after every answer but an
    allowed preflight's, `on_answer`, if given, after every answer. While `draining`, every answer
    closes its connection.
    """

    __slots__ = ("draining", "engine", "on_answer", "on_refusal", "row")

    def __init__(
        self,
        engine: PodEngine,
        row: memoryview,
        on_refusal: OnAnswer,
        on_answer: OnAnswer | None = None,
    ) -> None:
        self.engine = engine
        self.row = row
        self.on_refusal = on_refusal
        self.on_answer = on_answer
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

        row = self.row
        if reason in REQUESTS and not (reason in PREFLIGHTS and _is_preflight(scope)):
            row[REQUESTS[reason]] += 1
        else:
            row[PREFLIGHTS[reason]] += 1
            took = perf_counter_ns() - began
            row[NANOSECONDS] += took
            row[HISTOGRAM + took.bit_length()] += 1
        if reason != "allowed":
            self.on_refusal(scope, status, reason)
        if self.on_answer is not None:
            self.on_answer(scope, status, reason)


def _is_preflight(scope: Scope) -> bool:
    """Tell how to count a request that no rule covers: no engine has decided what it is."""
    names = {name for name, value in scope["headers"] if value.strip()}
    return scope["method"] == "OPTIONS" and {b"origin", b"access-control-request-method"} <= names
