"""The doctor's report as text: the verdict, the way request by request, the findings with fixes."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from meshcors._doctor.consultation import OF_OTHER_ORIGINS, OF_THE_PAGE
from meshcors._doctor.diagnosis import UNFOLLOWED
from meshcors._doctor.layer_names import LAYER_NAMES
from meshcors.mesh._explain.text import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshcors._doctor.consultation import Consultation, RequestName, TriedRequest
    from meshcors._doctor.diagnosis import Diagnosis
    from meshcors._doctor.findings import DoctorFinding
    from meshcors._doctor.layer_names import Layer
    from meshcors.mesh._explain.text import Emphasis

_CONSOLES: Final = {"chromium": "Chromium", "firefox": "Firefox", "safari": "Safari"}
_TITLES: Final[dict[RequestName, str]] = {
    "preflight": "The preflight",
    "call": "The call",
    "redirect_preflight": "The preflight of the redirect",
    "redirect_call": "The call after the redirect",
    "wrong_key": "With a wrong {key}",
    "no_key": "Without {key}",
    "no_origin": "Without an Origin",
    "stranger": "For a stranger, {origin}",
    "null_origin": "For the origin null",
    "look_alike": "For a look-alike, {origin}",
    "look_alike_prefix": "For a look-alike, {origin}",
    "look_alike_dot": "For a look-alike, {origin}",
    "subdomain": "For a subdomain, {origin}",
}
_SEVERITIES: Final = {"error": "Error", "warning": "Warning", "note": "Note"}
# What a browser decides, whoever answers.
_NO_LAYERS: Final = frozenset({"mixed_content", "private_network", "proxy_not_used"})
_COLORS: Final[dict[str, Emphasis]] = {"error": "blocked", "warning": "depends", "note": ""}


def report_lines(diagnosis: Diagnosis) -> Iterator[Line]:
    """Yield the text, line by line."""
    consultation = diagnosis.consultation
    request = consultation.request
    cookies = ", with credentials" if request.credentials == "include" else ""
    url = consultation.quote.own_url(request.url)
    yield Line(f"A page of {request.origin} calls {request.method} {url}{cookies}")
    yield Line("")
    yield from _verdict(diagnosis)
    yield Line("")
    yield from _way(consultation)
    for finding in diagnosis.findings:
        yield Line("")
        yield from _finding(finding)


def _verdict(diagnosis: Diagnosis) -> Iterator[Line]:
    works = [_CONSOLES[engine] for engine, each in diagnosis.engines.items() if each.works]
    blocked = [_CONSOLES[engine] for engine, each in diagnosis.engines.items() if not each.works]
    if diagnosis.verdict == "unknown":
        codes = {each.code for each in diagnosis.findings}
        lost = "there was no answer" if codes.isdisjoint(UNFOLLOWED) else "it is redirected too far"
        yield Line(f"Cannot tell whether it works: {lost}.", "depends")
    elif diagnosis.verdict == "works":
        yield Line(f"It works in {_joined(works)}{_error_read(diagnosis.consultation)}.", "allowed")
    elif works:
        yield Line(f"It works in {_joined(works)}, but not in {_joined(blocked, 'or')}.", "blocked")
    else:
        yield Line(f"It does not work in {_joined(blocked, 'or')}.", "blocked")
    if diagnosis.consultation.request.is_same_origin:
        yield Line("It is the page's own origin, to which CORS does not apply.")
    why = next((each for each in diagnosis.findings if each.severity == "error"), None)
    if why is not None:
        yield Line(f"Why: {why.message}")
    for engine, each in diagnosis.engines.items():
        for number, line in enumerate(each.console.splitlines()):
            title = f"{_CONSOLES[engine]}: "
            yield Line(f"  {title if number == 0 else ' ' * len(title)}{line}")
    yield from _kept(diagnosis)


def _kept(diagnosis: Diagnosis) -> Iterator[Line]:
    """Yield how long each engine keeps the answer to a preflight that passes."""
    kept = {engine: each.max_age for engine, each in diagnosis.engines.items()}
    ages = set(kept.values())
    if ages == {None}:
        return
    if len(ages) == 1:
        yield Line(f"Browsers keep the answer to the preflight for {ages.pop()} s.")
    else:
        each = (f"{_CONSOLES[engine]} {age or 0} s" for engine, age in kept.items())
        yield Line(f"Browsers keep the answer to the preflight: {', '.join(each)}.")


def _error_read(consultation: Consultation) -> str:
    """Return what the page reads if it is an error: for CORS that works too."""
    answer = consultation.answer
    status = answer.response.status if answer and answer.response else 0
    return f": the page can read the answer, which is an error, {status}" if status >= 400 else ""


def _way(consultation: Consultation) -> Iterator[Line]:
    """Yield the requests; other origins that get the same answer share their lines."""

    def key(numbered: tuple[int, TriedRequest]) -> object:
        number, tried = numbered
        if tried.name not in OF_OTHER_ORIGINS or tried.exchange is None:
            return number
        return consultation.layer(tried).layer, tried.exchange.method, _answer(tried)

    for _, run in groupby(enumerate(consultation.tried, 1), key):
        alike = list(run)
        number, tried = alike[0]
        label = f"{number}" if len(alike) == 1 else f"{number} to {alike[-1][0]}"
        title = _TITLES[tried.name].format(key=consultation.key, origin=tried.request.origin)
        if len(alike) > 1:
            origins = ", ".join(each.request.origin for _, each in alike)
            title = f"For other origins ({origins})"
        yield from _request(consultation, f"{label}. {title}", tried)


def _answer(tried: TriedRequest) -> tuple[int | None, bool]:
    return None if tried.response is None else tried.response.status, tried.grants_origin


def _joined(names: Sequence[str], word: str = "and") -> str:
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else "".join(names)


def _request(consultation: Consultation, title: str, tried: TriedRequest) -> Iterator[Line]:
    exchange = tried.exchange
    if exchange is None:
        yield Line(f"{title}: {tried.request.method}, not sent: {tried.why_not}.")
        return
    if exchange.response is None:
        failure = consultation.quote.failure(exchange)
        yield Line(f"{title}: {exchange.method}, no answer: {failure}.")
        return
    answered = consultation.layer(tried)
    who = f"{exchange.response.status} from {LAYER_NAMES[answered.layer]}"
    asked = "" if consultation.is_sent_by_browsers(tried) else ", which no browser sends now"
    yield Line(f"{title}: {exchange.method}{asked}, {who}{_outcome(tried)}.")
    if tried.name in OF_THE_PAGE or answered.layer != _layer_of_the_page(consultation, tried):
        yield Line(f"     {'; '.join((*answered.evidence, exchange.http_version))}")


def _outcome(tried: TriedRequest) -> str:
    if tried.name in OF_THE_PAGE or tried.name == "no_origin":
        return ""
    if tried.name in ("wrong_key", "no_key"):
        return ", which the page can read" if tried.grants_origin else ", which no page can read"
    return ": allowed" if tried.grants_origin else ": refused"


def _layer_of_the_page(consultation: Consultation, tried: TriedRequest) -> Layer | None:
    """Return who answered the page's own request of that kind; its evidence is shown there."""
    is_preflight = tried.exchange is not None and tried.exchange.method == "OPTIONS"
    like = consultation.find("preflight" if is_preflight else "call")
    return None if like is None else consultation.layer(like).layer


def _finding(finding: DoctorFinding) -> Iterator[Line]:
    is_nobodys = finding.code in _NO_LAYERS or finding.layer == "unreachable"
    layer = "" if is_nobodys else f" ({LAYER_NAMES[finding.layer]})"
    title = f"{_SEVERITIES[finding.severity]}: {finding.code}{layer}"
    yield Line(title, _COLORS[finding.severity])
    yield Line(f"  {finding.message}")
    for number, line in enumerate(finding.fix.splitlines()):
        shown = line[1:-1] if line.startswith("`") and line.count("`") == 2 else line
        yield Line(f"{'  Fix: ' if number == 0 else '       '}{shown}")
