"""A page's call as text: each step, each rule that was tried, the verdict, the fix.

The value of a header that may carry a key is not printed, neither the call's nor a rule's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors.mesh._analysis.page_call import Exchange, PageCall
    from meshcors.mesh._routing.gateway import GatewayAnswer, TriedRule
    from meshcors.mesh._routing.matching import Mismatch

_PUBLIC: Final = frozenset({*SAFELISTED_REQUEST_HEADERS, "host", "origin"})
_HIDDEN: Final = "…"
_QUOTED: Final = re.compile('".*"', re.DOTALL)
# A condition on a string, by its kind, as it follows "must".
_CONDITIONS: Final = {
    "exact": "be exactly",
    "prefix": "begin with",
    "regex": "match the regex",
    "present": "be present",
}
_CONSOLES: Final = {"chromium": "Chromium", "firefox": "Firefox"}


def narrate(page_call: PageCall, hint: Iterable[str]) -> Iterator[str]:
    """Yield the text, line by line; ``hint`` is the fix."""
    call = page_call.call
    cookies = ", with credentials" if call.credentials == "include" else ""
    yield f"A page of {call.origin} calls {call.method} {call.url}{cookies}"
    yield ""
    preflight = page_call.preflight
    if preflight is None:
        why = (
            "it calls its own origin" if call.is_same_origin else "its method and headers need none"
        )
        yield f"1. The browser sends no preflight: {why}."
        yield ""
        yield "2. It sends the request."
    else:
        yield "1. The browser first sends a preflight: header names without their values."
        yield from _exchange_lines(preflight)
        yield ""
        if preflight.outcome == "blocked":
            yield "2. The browser never sends the request. From curl it would be:"
        else:
            yield "2. Then it sends the request."
    sent = preflight is None or preflight.outcome != "blocked"
    yield from _exchange_lines(page_call.request, judged=sent)
    yield ""
    yield from _end(page_call)
    for number, line in enumerate(hint):
        yield f"{'Fix: ' if number == 0 else '     '}{line}"


def _exchange_lines(exchange: Exchange, *, judged: bool = True) -> Iterator[str]:
    sent = exchange.sent
    yield f"     {sent.method} {sent.path}"
    yield f"     host: {sent.host}"
    for name, value in sent.headers:
        yield f"     {name}: {shown_value(name, value)}"
    for tried in exchange.answer.trail:
        yield f"   {_tried(tried)}"
    yield f"   {_who_answers(exchange.answer)}"
    for name, value in exchange.answer.headers:
        yield f"     {name}: {value}"
    if judged and exchange.outcome == "allowed":
        yield "   The browser accepts it."


def _tried(tried: TriedRule) -> str:
    if tried.matched:
        return f"{tried.rule} ({tried.place}) matches."
    reasons = "; ".join(_reason(mismatch) for mismatch in tried.mismatches)
    return f"{tried.rule} ({tried.place}) does not match: {reasons}."


def _reason(mismatch: Mismatch) -> str:
    expected, actual = shown_mismatch(mismatch)
    negated = expected.startswith("not ")
    kind, _, value = expected.removeprefix("not ").partition(" ")
    wanted = f"must {'not ' if negated else ''}{_CONDITIONS[kind]} {value}".rstrip()
    return f"{mismatch.field} {wanted}, but is {', '.join(actual) or 'absent'}"


def shown_mismatch(mismatch: Mismatch) -> tuple[str, list[str]]:
    """Return the expected and the actual values; those that may be a key's are hidden."""
    group, _, name = mismatch.field.partition(".")
    expected = mismatch.expected
    if group in {"headers", "withoutHeaders"} and not _is_public(name):
        expected = _QUOTED.sub(f'"{_HIDDEN}"', expected)
    return expected, [shown_value(name, value) if name else value for value in mismatch.actual]


def shown_value(name: str, value: str) -> str:
    """Return a header's value, hidden unless only browsers set it: it may be a key's."""
    return value if _is_public(name) else _HIDDEN


def _is_public(name: str) -> bool:
    return name in _PUBLIC or name.startswith("access-control-")


def _who_answers(answer: GatewayAnswer) -> str:
    if answer.kind == "no_route":
        return "No rule matches: the gateway answers 404, without CORS headers."
    if answer.kind == "forward":
        return f"It goes to {answer.destination}, which answers it."
    if answer.kind == "unknown":
        return "The rule's delegate takes it, which is not in the given files."
    who = {
        "cors": "The gateway answers it by the rule's corsPolicy",
        "direct_response": "The rule's directResponse answers it, and no corsPolicy applies",
        "redirect": "The rule redirects it, and no corsPolicy applies",
    }[answer.kind]
    return f"{who}: {answer.status}."


def _end(page_call: PageCall) -> Iterator[str]:
    exchange = page_call.decisive
    if page_call.outcome == "allowed":
        yield "The script may read the answer."
        return
    asked = "the preflight" if exchange.step == "preflight" else "the request"
    if page_call.outcome == "depends":
        who = exchange.answer.destination or "the delegate"
        yield f"It depends on what {who} answers to {asked}."
        yield "Without CORS headers in that answer, the browser blocks the call:"
    else:
        yield f"The browser blocks the call: {exchange.verdict.code}, in the answer to {asked}."
    for engine, text in exchange.verdict.messages.items():
        yield f"  {_CONSOLES[engine]}: {text}"
