"""A page's call as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshcors.mesh._analysis.call_cause import refusing_policy
from meshcors.mesh._explain.values import shown_target

if TYPE_CHECKING:
    from meshcors.mesh import Mismatch
    from meshcors.mesh._analysis.page_call import TracedExchange
    from meshcors.mesh._explain.text import CallReport
    from meshcors.mesh._explain.values import ShownValues


def as_data(report: CallReport) -> dict[str, object]:
    """Return a report as plain data; ``docs/explain.md`` lists its keys."""
    page_call, cause = report.page_call, report.cause
    decisive = page_call.decisive
    return {
        "verdict": page_call.outcome,
        "code": decisive.verdict.code,
        "step": decisive.step,
        "field": decisive.verdict.field,
        "messages": dict(decisive.verdict.messages),
        "cause": None
        if cause is None
        else {
            "code": cause.code,
            "text": cause.text,
            "place": None if cause.place is None else str(cause.place),
        },
        "hint": list(report.hint),
        "assumed": report.assumed or None,
        "steps": [_exchange(report.values, exchange) for exchange in page_call.exchanges],
    }


def _exchange(values: ShownValues, exchange: TracedExchange) -> dict[str, object]:
    sent, answer = exchange.sent, exchange.answer
    refusing = refusing_policy(answer)
    return {
        "step": exchange.step,
        "verdict": exchange.outcome,
        "code": exchange.verdict.code,
        "request": {
            "method": sent.method,
            "host": sent.host,
            "path": shown_target(sent.path),
            "headers": [[name, values.header(name, value)] for name, value in sent.headers],
        },
        "tried": [
            {
                "rule": tried.rule,
                "place": str(tried.place),
                "matched": tried.matched,
                "mismatches": [_mismatch(values, mismatch) for mismatch in tried.mismatches],
            }
            for tried in answer.trail
        ],
        "guards": [
            {
                "kind": guard.kind,
                "name": guard.name,
                "place": str(guard.place),
                "effect": guard.effect,
                "reason": guard.reason,
                "at": guard.at or None,
            }
            for guard in exchange.guards
        ],
        "not_certain": [str(doubt) for doubt in exchange.answer.doubts],
        "refusing_policy": None if refusing is None else str(refusing.place),
        "answer": _answer(values, exchange),
    }


def _answer(values: ShownValues, exchange: TracedExchange) -> dict[str, Any]:
    answer = exchange.answer
    if exchange.denial is not None:
        denied = {"kind": "denied", "rule": answer.rule, "destination": None, "status": 403}
        return {**denied, "headers": []}
    return {
        "kind": answer.kind,
        "rule": answer.rule,
        "destination": answer.destination,
        "status": answer.status,
        "headers": [[name, values.answer_header(name, value)] for name, value in answer.headers],
    }


def _mismatch(values: ShownValues, mismatch: Mismatch) -> dict[str, object]:
    expected, actual = values.mismatch(mismatch)
    return {"field": mismatch.field, "expected": expected, "actual": actual}
