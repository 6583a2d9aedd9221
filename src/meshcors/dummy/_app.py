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
from meshcors._decision.preflight import is_preflight
from meshcors._decision.rule_engine import RuleEngine
from meshcors._policy.bounded_cache import BoundedCache
from meshcors.dummy._counters import HISTOGRAM, NANOSECONDS, PREFLIGHTS, REQUESTS, Numbers
from meshcors.dummy._port import FRAMING_FIELDS, Handler, WireAnswer, wire
from meshcors.dummy._refusals import REFUSAL_FIELDS, Answered

# Bytes of an answer's fields; the answers of an engine that may be repeated are as long.
_MAX_KEPT: Final = 4096
# The slots of requests follow those of preflights.
_UNCOVERED: Final = PREFLIGHTS["no_rule"]
_REQUESTS_FROM: Final = len(PREFLIGHTS)

PodEngine: TypeAlias = Engine | RuleEngine[Answer]
OnAnswer: TypeAlias = Callable[[*Answered], None]


def pod_handler(
    engine: PodEngine,
    row: Numbers,
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
        answer, status, reason, slot = written[decide(method, path, fields)]
        if slot == _UNCOVERED and not is_preflight(method, fields):
            slot = REQUESTS["no_rule"]
        row[slot] += 1
        if slot < _REQUESTS_FROM:
            took = perf_counter_ns() - began
            row[NANOSECONDS] += took
            row[HISTOGRAM + took.bit_length()] += 1
        if reason != "allowed":
            on_refusal(method, path, fields, status, reason)
        if on_answer is not None:
            on_answer(method, path, fields, status, reason)
        return answer

    return Handler(handle, engine.reads | REFUSAL_FIELDS | FRAMING_FIELDS)


def _write(decision: Answer | Proceed) -> tuple[WireAnswer, int, str, int]:
    """Return what is written, its status, reason, slot; ``no_route`` where an app would answer."""
    if isinstance(decision, Proceed):
        fields = tuple(decision.merge(NO_ROUTE.headers))
        decision = Answer(NO_ROUTE.status, NO_ROUTE.reason, fields, NO_ROUTE.body)
    status, reason = decision.status, decision.reason
    slot = (REQUESTS | PREFLIGHTS)[reason]
    return wire(status, decision.headers, decision.body), status, reason, slot


def _is_short(decision: Answer | Proceed) -> bool:
    """Tell whether an answer may be kept: a long one repeats what a client asked for."""
    return isinstance(decision, Proceed) or sum(len(v) for _, v in decision.headers) <= _MAX_KEPT
