"""The pod's answers: the engine's decision for each request, counted.

It makes no decision of its own. Where the engine would let an app answer, the answer is 404
``no_route``: the pod has no service behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import Final, TypeAlias

from meshcors._decision.answers import NO_ROUTE, Answer, Proceed
from meshcors._decision.engine import CACHED_ORIGINS, Engine
from meshcors._decision.rule_engine import RuleEngine
from meshcors._policy.bounded_cache import BoundedCache
from meshcors.dummy._counters import HISTOGRAM, NANOSECONDS, PREFLIGHTS, REQUESTS
from meshcors.dummy._port import FRAMING_FIELDS, Handler
from meshcors.dummy._refusals import REFUSAL_FIELDS
from meshcors.dummy._wire import WireAnswer, wire

# Bytes of an answer's fields; the answers of an engine that may be repeated are as long.
_MAX_KEPT: Final = 4096

PodEngine: TypeAlias = Engine | RuleEngine[Answer]
# Called with a request's method, path and fields, and the status and reason of its answer.
OnAnswer: TypeAlias = Callable[[str, str, Mapping[bytes, bytes], int, str], None]


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
    written = BoundedCache(_write, CACHED_ORIGINS, is_kept=_is_short)

    def handle(method: str, path: str, fields: Mapping[bytes, bytes], body: bytes) -> WireAnswer:
        began = perf_counter_ns()
        answer, status, reason = written[decide(method, path, fields)]
        slot = PREFLIGHTS.get(reason)
        if slot is None or (reason in REQUESTS and not _is_preflight(method, fields)):
            row[REQUESTS[reason]] += 1
        else:
            row[slot] += 1
            took = perf_counter_ns() - began
            row[NANOSECONDS] += took
            row[HISTOGRAM + took.bit_length()] += 1
        if reason != "allowed":
            on_refusal(method, path, fields, status, reason)
        if on_answer is not None:
            on_answer(method, path, fields, status, reason)
        return answer

    return Handler(handle, engine.reads | REFUSAL_FIELDS | FRAMING_FIELDS)


def _write(decision: Answer | Proceed) -> tuple[WireAnswer, int, str]:
    """Return what is written, its status and its reason; ``no_route`` where an app would answer."""
    if isinstance(decision, Proceed):
        fields = tuple(decision.merge(NO_ROUTE.headers))
        decision = Answer(NO_ROUTE.status, NO_ROUTE.reason, fields, NO_ROUTE.body)
    return wire(decision.status, decision.headers, decision.body), decision.status, decision.reason


def _is_short(decision: Answer | Proceed) -> bool:
    """Tell whether an answer may be kept: a long one repeats what a client asked for."""
    return isinstance(decision, Proceed) or sum(len(v) for _, v in decision.headers) <= _MAX_KEPT


def _is_preflight(method: str, fields: Mapping[bytes, bytes]) -> bool:
    """Tell whether a request that no rule covers is a preflight: no engine has decided that."""
    names = {name for name, value in fields.items() if value.strip()}
    return method == "OPTIONS" and {b"origin", b"access-control-request-method"} <= names
