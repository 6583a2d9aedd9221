"""A page's call as text: each step, each rule that was tried, the verdict, the cause, the fix."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from meshcors.mesh._analysis.call_cause import allowed_by, refusing_policy
from meshcors.mesh._explain.values import shown_target
from meshcors.mesh._routing.gateway import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors._policy.place import Place
    from meshcors.mesh import Mismatch
    from meshcors.mesh._analysis.cause import Cause
    from meshcors.mesh._analysis.guards import GuardVerdict
    from meshcors.mesh._analysis.page_call import TracedCall, TracedExchange
    from meshcors.mesh._explain.values import ShownValues
    from meshcors.mesh._routing.gateway import GatewayAnswer, TriedRule

# What a line is, beside text: what decided the call, or one of the verdicts.
Emphasis: TypeAlias = Literal["", "deciding", "allowed", "blocked", "depends"]

# As many rules in a row that fail alike are listed one by one.
_LISTED_ALIKE: Final = 3
# A condition on a string, by its kind, as it follows "must".
_CONDITIONS: Final = {
    "exact": "be exactly",
    "prefix": "begin with",
    "regex": "match the regex",
    "present": "be present",
    "range": "be a whole number of",
}
_CONSOLES: Final = {"chromium": "Chromium", "firefox": "Firefox", "safari": "Safari"}
_GUARD_EFFECTS: Final = {
    "denies": "denies it, with a 403 without CORS headers",
    "may_deny": "may deny it, without CORS headers",
    "passes": "lets it pass",
}


class Line(NamedTuple):
    """One line of the report."""

    text: str
    emphasis: Emphasis = ""


@dataclass(frozen=True, slots=True)
class CallReport:
    """What a report tells: the call, its cause, what to do, and the pod's assumed command."""

    page_call: TracedCall
    cause: Cause | None
    hint: tuple[str, ...]
    values: ShownValues
    assumed: str = ""


def narrate(report: CallReport) -> Iterator[Line]:
    """Yield the text, line by line."""
    page_call = report.page_call
    call, preflight = page_call.call, page_call.preflight
    cookies = ", with credentials" if call.credentials == "include" else ""
    yield Line(f"A page of {call.origin} calls {call.method} {call.url}{cookies}")
    yield Line("")
    if preflight is None:
        why = (
            "it calls its own origin" if call.is_same_origin else "its method and headers need none"
        )
        yield Line(f"1. The browser sends no preflight: {why}.")
        yield Line("")
        yield Line("2. It sends the request.")
    else:
        yield Line("1. The browser first sends a preflight: header names without their values.")
        yield from _exchange_lines(report, preflight)
        yield Line("")
        if preflight.outcome == "blocked":
            yield Line("2. The browser never sends the request. From curl it would be:")
        else:
            yield Line("2. Then it sends the request.")
    sent = preflight is None or preflight.outcome != "blocked"
    yield from _exchange_lines(report, page_call.request, judged=sent)
    yield Line("")
    if report.values.has_numbers:
        yield Line(
            "Header values are hidden. Within one header, the same number stands for the same"
            " value."
        )
        yield Line("")
    yield from _end(report)


def _exchange_lines(
    report: CallReport, exchange: TracedExchange, *, judged: bool = True
) -> Iterator[Line]:
    sent, answer = exchange.sent, exchange.answer
    yield Line(f"     {sent.method} {shown_target(sent.path)}")
    yield Line(f"     host: {sent.host}")
    for name, value in sent.headers:
        yield Line(f"     {name}: {report.values.header(name, value)}")
    for line in _tried_lines(report, exchange):
        yield Line(f"   {line.text}", line.emphasis)
    for guard in exchange.guards:
        yield Line(f"   {_guard(guard)}", "deciding" if guard is exchange.denial else "")
    if exchange.denial is not None:
        return
    yield Line(f"   {_who_answers(answer)}")
    for name, value in answer.headers:
        yield Line(f"     {name}: {report.values.answer_header(name, value)}")
    for doubt in answer.doubts:
        yield Line(f"   Not certain: {doubt}.", "deciding")
    refusing = refusing_policy(answer)
    if refusing is not None:
        origin, allowed = sent.value("origin"), allowed_by(refusing)
        is_decisive = exchange is report.page_call.decisive and exchange.outcome != "allowed"
        yield Line(
            f"   Its corsPolicy ({refusing.place}) does not allow {origin}: it allows {allowed}.",
            "deciding" if is_decisive else "",
        )
    if judged and exchange.outcome == "allowed":
        yield Line("   The browser accepts it.")


def _tried_lines(report: CallReport, exchange: TracedExchange) -> Iterator[Line]:
    """Yield a line for each rule that was tried; many in a row that fail alike share one."""
    page_call, cause = report.page_call, report.cause
    is_decisive = exchange is page_call.decisive and exchange.outcome != "allowed"
    labels = _labels(exchange.answer)

    def key(tried: TriedRule) -> tuple[object, ...]:
        if tried.matched or (cause is not None and tried.place == cause.place):
            return ("alone", tried.place)
        return tuple((each.field, _kind(each.expected), each.actual) for each in tried.mismatches)

    for shape, run in groupby(exchange.answer.trail, key):
        alike = list(run)
        if len(alike) > _LISTED_ALIKE and shape[0] != "alone":
            yield Line(_alike(report, alike, labels))
            continue
        for tried in alike:
            decides = tried.matched and is_decisive
            decides |= cause is not None and tried.place == cause.place
            yield Line(_tried(report, tried, labels), "deciding" if decides else "")


def _labels(answer: GatewayAnswer) -> dict[Place, str]:
    """Return how each rule of the host is called, by its place: with its own name if it has one."""
    routes = answer.virtual_host.routes if answer.virtual_host else ()
    running = "RouteConfiguration"  # where the name is all there is
    return {
        each.place: f'{each.rule} "{each.source.name}" ({each.place})'
        for each in routes
        if each.source.name and each.document.kind != running
    }


def _tried(report: CallReport, tried: TriedRule, labels: Mapping[Place, str]) -> str:
    label = labels.get(tried.place, f"{tried.rule} ({tried.place})")
    if tried.matched:
        return f"{label} matches."
    reasons = "; ".join(_reason(report, mismatch) for mismatch in tried.mismatches)
    matches = "does not match" if tried.is_certain else "may match"
    return f"{label} {matches}: {reasons}."


def _alike(report: CallReport, alike: list[TriedRule], labels: Mapping[Place, str]) -> str:
    """Return the line for several rules that fail the same conditions, whatever values they ask."""
    reasons = [
        _reason(report, each[0], varied=len({one.expected for one in each}) > 1)
        for each in zip(*(tried.mismatches for tried in alike), strict=True)
    ]
    first, last = (
        labels.get(each.place, f"{each.rule} ({each.place})") for each in (alike[0], alike[-1])
    )
    return f"{first} to {last}, {len(alike)} rules, do not match: {'; '.join(reasons)}."


def _reason(report: CallReport, mismatch: Mismatch, *, varied: bool = False) -> str:
    expected, actual = report.values.mismatch(mismatch)
    kind = _kind(expected)
    if kind == UNKNOWN:
        return f"{mismatch.field} {expected.removeprefix(f'{kind} ')}"
    negated, value = kind.startswith("not "), expected.removeprefix(kind).strip()
    if varied:
        value = "another value" if actual else "a certain value"
    condition = _CONDITIONS[kind.removeprefix("not ")]
    wanted = f"must {'not ' if negated else ''}{condition} {value}".rstrip()
    return f"{mismatch.field} {wanted}, but is {', '.join(actual) or 'absent'}"


def _kind(expected: str) -> str:
    """Return the kind of a condition in words: ``exact``, ``not prefix``."""
    head, _, rest = expected.partition(" ")
    return f"not {rest.partition(' ')[0]}" if head == "not" else head


def _guard(guard: GuardVerdict) -> str:
    effect = f"may deny it at {guard.at}" if guard.at else _GUARD_EFFECTS[guard.effect]
    return f"{guard.kind} {guard.name} ({guard.place}) {effect}: {guard.reason}."


def _who_answers(answer: GatewayAnswer) -> str:
    if answer.kind == "no_route":
        return "No rule matches: the gateway answers 404, without CORS headers."
    if answer.kind == "forward":
        return f"It goes to {answer.destination}, which answers it."
    if answer.kind == "unknown":
        if answer.doubts:
            return "This file does not say who answers it."
        return "The rule's delegate takes it, which is not in the given files."
    who = {
        "cors": "The gateway answers it by the rule's corsPolicy",
        "direct_response": "The rule's directResponse answers it, and no corsPolicy applies",
        "redirect": "The rule redirects it, and no corsPolicy applies",
    }[answer.kind]
    return f"{who}: {answer.status}."


def _end(report: CallReport) -> Iterator[Line]:
    page_call = report.page_call
    exchange = page_call.decisive
    if page_call.outcome == "allowed":
        yield Line("The script may read the answer.", "allowed")
    else:
        asked = "the preflight" if exchange.step == "preflight" else "the request"
        if page_call.outcome == "depends":
            on = f"what {exchange.answer.destination or 'the delegate'} answers to {asked}"
            if exchange.answer.doubts:
                on = f"what is not certain about {asked}"
            yield Line(f"It depends on {on}.", "depends")
            yield Line("Without CORS headers in that answer, the browser blocks the call:")
        else:
            code = exchange.verdict.code
            blocked = f"The browser blocks the call: {code}, in the answer to {asked}."
            yield Line(blocked, "blocked")
        for engine, text in exchange.verdict.messages.items():
            # Safari prints two lines
            shown = text.replace("\n", "\n    ")
            yield from map(Line, f"  {_CONSOLES[engine]}: {shown}".splitlines())
    if report.assumed:
        yield Line(f"Assumed: the pod runs with {report.assumed}")
    if report.cause is not None:
        yield Line(f"Why: {report.cause.text}.")
    for number, line in enumerate(report.hint):
        yield Line(f"{'Fix: ' if number == 0 else '     '}{line}")
