"""The pod's answers: the engine's decision for each request, counted.

No decision of its own. Where the engine would let an app answer, the answer is 404 ``no_route``:
the pod has no service behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from time import perf_counter_ns
from typing import Protocol, TypeAlias

from meshcors._decision.answers import NO_ROUTE, Answer, Proceed
from meshcors._decision.engine import CACHED_ORIGINS
from meshcors.dummy._counters import HISTOGRAM, NANOSECONDS, PREFLIGHTS, REQUESTS
from meshcors.dummy._handler import FRAMING_FIELDS, Handler
from meshcors.dummy._refusals import REFUSAL_FIELDS
from meshcors.dummy._wire import Wire, wire

# Called with a request's method, path and fields, and the status and reason of its answer.
OnAnswer: TypeAlias = Callable[[str, str, Mapping[bytes, bytes], int, str], None]


class PodEngine(Protocol):
    """What the pod needs from an engine, whether of one policy or of several rules."""

    @property
    def reads(self) -> frozenset[bytes]:
        """The request fields, in lower case, that `decide` looks at."""
        ...

    def decide(self, method: str, path: str, fields: Mapping[bytes, bytes]) -> Answer | Proceed:
        """Decide a request; see `meshcors._decision.engine.Engine.decide`."""
        ...


def pod_handler(
    engine: PodEngine,
    row: memoryview,
    on_refusal: OnAnswer,
    on_answer: OnAnswer | None = None,
) -> Handler:
    """Return the handler of the pod's port.

    `row` is a row of `meshcors.dummy._counters.Counters`. `on_refusal` is called after every answer
    but an allowed preflight's, `on_answer`, if given, after every answer.
    """
    decide = engine.decide

    def answer(method: str, path: str, fields: Mapping[bytes, bytes], body: bytes) -> Wire:
        began = perf_counter_ns()
        decision = decide(method, path, fields)
        decided = decision if isinstance(decision, Answer) else _no_route(decision)
        reason = decided.reason
        slot = PREFLIGHTS.get(reason)
        if slot is None or (reason in REQUESTS and not _is_preflight(method, fields)):
            row[REQUESTS[reason]] += 1
        else:
            row[slot] += 1
            took = perf_counter_ns() - began
            row[NANOSECONDS] += took
            row[HISTOGRAM + took.bit_length()] += 1
        if reason != "allowed":
            on_refusal(method, path, fields, decided.status, reason)
        if on_answer is not None:
            on_answer(method, path, fields, decided.status, reason)
        return _wire(decided)

    return Handler(answer, engine.reads | REFUSAL_FIELDS | FRAMING_FIELDS)


@lru_cache(CACHED_ORIGINS)
def _wire(answer: Answer) -> Wire:
    return wire(answer.status, answer.headers, answer.body)


@lru_cache
def _no_route(proceed: Proceed) -> Answer:
    """Return ``no_route`` with the CORS fields of a real request, so that the page can read it."""
    fields = tuple(proceed.merge(NO_ROUTE.headers))
    return Answer(NO_ROUTE.status, NO_ROUTE.reason, fields, NO_ROUTE.body)


def _is_preflight(method: str, fields: Mapping[bytes, bytes]) -> bool:
    """Tell how to count a request that no rule covers: no engine has decided what it is."""
    names = {name for name, value in fields.items() if value.strip()}
    return method == "OPTIONS" and {b"origin", b"access-control-request-method"} <= names
