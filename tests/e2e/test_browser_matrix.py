"""The model of the browser against real ones: every row of tests/browser_cases.py, in each engine.

Each engine runs the whole table once, a few calls at a time, against a server that answers what
the rows say. Then its verdicts, its preflights and its console are compared with the model's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from meshcors._doctor.console import read_console
from meshcors.browser import judge_preflight
from tests.browser_cases import (
    ACAM,
    ACAO,
    ACMA,
    API,
    CACHE_CASES,
    CASES,
    OTHER,
    PAGE,
    CacheCase,
    Case,
    moving,
    play,
)
from tests.browser_departures import DEPARTURES, Departure
from tests.e2e.browsers import CONSOLES, ENGINES, await_console, launch
from tests.e2e.browsers.server import Answering, Received, message, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshcors.browser import Request
    from tests.e2e.browsers import Browser

# A few calls at a time: more than a browser has connections would only wait for each other. A call
# is one request or several in a row; the last one's outcome is that of the call.
FETCH_ALL = """async (calls) => {
    const outcomes = {};
    const worker = async () => {
        for (let call; (call = calls.shift()); ) {
            for (const {url, ...init} of call.requests) {
                try {
                    const answer = await fetch(url, {...init, signal: AbortSignal.timeout(9000)});
                    await answer.text();
                    outcomes[call.id] = "allowed";
                } catch (error) {
                    outcomes[call.id] = String(error);
                }
            }
        }
    };
    await Promise.all(Array.from({length: 6}, worker));
    return outcomes;
}"""
ACRM, ACRH = "access-control-request-method", "access-control-request-headers"
NOTHING = Departure("")


@dataclass(frozen=True)
class Observed:
    """What one engine did: by case, its outcome, the requests it sent, its console's lines."""

    engine: str
    move: Callable[[str], str]
    cases: dict[str, Case]
    cache_cases: dict[str, CacheCase]
    outcomes: dict[str, str]
    received: dict[str, list[Received]]
    console: dict[str, list[str]]

    def departure(self, case_id: str) -> Departure:
        return DEPARTURES.get((case_id, self.engine), NOTHING)

    def preflights(self, case_id: str) -> list[tuple[str, str, str]]:
        """Method, names and origin of each preflight sent, in order."""
        sent = []
        for request in filter(_is_preflight, self.received[case_id]):
            fields = dict(request.headers)
            assert fields["accept"] == "*/*"
            assert {name for name in fields if name.startswith("access-control-")} <= {ACRM, ACRH}
            sent.append((fields[ACRM], fields.get(ACRH, ""), fields["origin"]))
        return sent

    def requests(self, case_id: str) -> list[tuple[str, str | None]]:
        """Method and origin of each request that is no preflight, in order."""
        received = (one for one in self.received[case_id] if not _is_preflight(one))
        return [(request.method, dict(request.headers).get("origin")) for request in received]


@pytest.fixture(scope="module", params=ENGINES)
def observed(request: pytest.FixtureRequest) -> Observed:
    engine: str = request.param
    cases: dict[str, Case] = {}
    cache_cases: dict[str, CacheCase] = {}
    with serving(_answering(cases, cache_cases), ports=3) as server:
        page, api, other = server.ports
        # two hosts, so that the page is not only another port of the API
        origins = {
            PAGE: f"http://localhost:{page}",
            API: f"http://127.0.0.1:{api}",
            OTHER: f"http://127.0.0.1:{other}",
        }
        move = moving(origins)
        cases.update({case.id: case.at(origins) for case in CASES})
        cache_cases.update({case.id: case.at(origins) for case in CACHE_CASES})
        lines = {_console_line(engine, case, move) for case in cases.values()}
        with launch(engine) as browser:
            outcomes, console = _fetch_all(browser, origins, cases, cache_cases, lines)
    received = defaultdict(list)
    for one in server.received:
        received[re.split("[/?]", one.target)[1]].append(one)
    return Observed(engine, move, cases, cache_cases, outcomes, received, console)


def _answering(cases: dict[str, Case], cache_cases: dict[str, CacheCase]) -> Answering:
    def answer(request: Received) -> bytes | None:
        name, _, hop = request.target.strip("/").partition("?")[0].partition("/")
        if name in ("page", "sandbox"):
            policy = [("content-security-policy", "sandbox allow-scripts")] * (name == "sandbox")
            return message(200, [("content-type", "text/html"), *policy], b"<!doctype html>")
        if name in cache_cases:
            preflight = cache_cases[name].preflight
            return message(preflight.status, list(preflight.headers))
        if name not in cases:
            return message(204, [(ACAO, "*"), (ACAM, "PUT"), (ACMA, "600")])
        answers = cases[name].answers[int(hop or 0)]
        said = answers.preflight if _is_preflight(request) else answers.response
        return None if said is None else message(said.status, list(said.headers))

    return answer


def _is_preflight(request: Received) -> bool:
    return request.method == "OPTIONS" and bool(request.lines(ACRM))


def _fetch_all(
    browser: Browser,
    origins: Mapping[str, str],
    cases: Mapping[str, Case],
    cache_cases: Mapping[str, CacheCase],
    lines: set[str],
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Make all calls, and return their outcomes and the console's lines by case.

    Those of an opaque origin are made from a sandboxed page. The cache is tried last, after a call
    that does not count: Firefox remembers none of its first answers that have a max-age.
    """
    calls: dict[str, list[dict[str, Any]]] = {"page": [], "sandbox": [], "page?cache": []}
    for case in cases.values():
        path = "sandbox" if case.request.origin == "null" else "page"
        calls[path].append({"id": case.id, "requests": [_init(case.request)]})
    for cached in cache_cases.values():
        requests = [_init(cached.first), _init(cached.second)]
        calls["page?cache"].append({"id": cached.id, "requests": requests})
    outcomes: dict[str, str] = {}
    console: dict[str, list[str]] = defaultdict(list)
    for path, wanted in calls.items():
        tab = browser.open(f"{origins[PAGE]}/{path}")
        if path == "page?cache":
            first = {"url": f"{origins[API]}/first", "method": "PUT"}
            tab.run(FETCH_ALL, [{"id": "first", "requests": [first] * 3}])
        outcomes |= tab.run(FETCH_ALL, wanted)
        expected = {line for line in lines if {_case_of(line)} & {call["id"] for call in wanted}}
        for line in await_console(tab, lambda seen, all_=expected: all_ <= set(seen)):
            console[_case_of(line)].append(line)
        tab.close()
    return outcomes, console


def _init(request: Request) -> dict[str, Any]:
    return {
        "url": request.url,
        "method": request.method,
        "headers": request.headers,
        "credentials": request.credentials,
    }


def _case_of(line: str) -> str:
    """The case that a line of the console is about: the first segment of its first URL's path."""
    found = re.search(r"[a-z]+://[^/]+/([A-Za-z0-9-]+)", line)
    return found[1] if found else ""


def _console_line(engine: str, case: Case, move: Callable[[str], str]) -> str:
    """The line that ``engine`` must print for a case; empty if none, or if it names no URL."""
    departure = DEPARTURES.get((case.id, engine), NOTHING)
    line = play(case).verdict.messages[CONSOLES[engine]]
    if departure.allowed or line.endswith("…"):
        return ""
    if departure.message is not None:
        return f"{line.partition(' at http')[0]} at {move(departure.message)}"
    return line


def _report(wrong: Mapping[str, object]) -> str:
    return "\n".join(f"{case}: {details}" for case, details in wrong.items())


def test_the_verdicts_are_the_engines(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        departure = observed.departure(case.id).allowed
        allowed = play(case).verdict.allowed if departure is None else departure
        outcome = observed.outcomes[case.id]
        # a call that only ran out of time is no verdict
        if (outcome == "allowed") is not allowed or "TimeoutError" in outcome:
            wrong[case.id] = (outcome, observed.console[case.id])
    assert not wrong, _report(wrong)


def test_the_preflights_are_the_engines(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        departure = observed.departure(case.id).preflights
        sent, expected = observed.preflights(case.id), play(case).preflights
        if departure is not None:
            expected = [(how, names, observed.move(origin)) for how, names, origin in departure]
        if any(answers.preflight is None for answers in case.answers):
            # a browser may ask again when the connection breaks
            sent = list(dict.fromkeys(sent))
        if sent != expected:
            wrong[case.id] = (sent, expected)
    assert not wrong, _report(wrong)


def test_the_requests_are_the_engines(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        sent, expected = observed.requests(case.id), play(case).requests
        if observed.departure(case.id).allowed:
            expected = [(case.request.method, case.request.origin)]
        if any(answers.response is None for answers in case.answers):
            sent = list(dict.fromkeys(sent))
        # where CORS has no say, an Origin may be there or not
        said = [
            (how, origin) for (how, origin), (_, must) in zip(sent, expected, strict=False) if must
        ]
        if len(sent) != len(expected) or said != [one for one in expected if one[1]]:
            wrong[case.id] = (sent, expected)
    assert not wrong, _report(wrong)


@pytest.mark.parametrize("observed", ["chromium"], indirect=True)
def test_chromium_prints_the_messages(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        verdict = play(case).verdict
        expected = _console_line("chromium", case, observed.move)
        lines = observed.console[case.id]
        if verdict.code == "network_error":
            prefix = verdict.messages["chromium"].removesuffix("…")
            right = any(line.startswith(prefix) for line in lines)
        else:
            printed = [line for line in lines if "has been blocked by CORS policy" in line]
            right = printed == ([expected] if expected else [])
        if not right:
            wrong[case.id] = (lines, expected)
    assert not wrong, _report(wrong)


@pytest.mark.parametrize("observed", ["firefox"], indirect=True)
def test_firefox_prints_the_messages(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        expected = _console_line("firefox", case, observed.move)
        # the reason comes first; after a preflight, that the request did not succeed either
        first = next(iter(observed.console[case.id]), "")
        if first != expected:
            wrong[case.id] = (observed.console[case.id], expected)
    assert not wrong, _report(wrong)


@pytest.mark.parametrize("observed", ["webkit"], indirect=True)
def test_safari_prints_the_messages(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        verdict = play(case).verdict
        expected = _console_line("webkit", case, observed.move)
        lines = observed.console[case.id]
        if verdict.code == "network_error":
            prefix = verdict.messages["safari"].removesuffix("…")
            right = any(line.startswith(prefix) for line in lines)
        else:
            printed = [line for line in lines if "due to access control checks" in line]
            right = printed == ([expected] if expected else [])
        if not right:
            wrong[case.id] = (lines, expected)
    assert not wrong, _report(wrong)


def test_what_the_engines_print_is_recognised(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        expected = _console_line(observed.engine, case, observed.move)
        lines = observed.console[case.id]
        messages = read_console("\n".join(lines))
        # an error that the page may read is the same line in two engines
        right = all(each.engine in (CONSOLES[observed.engine], "") for each in messages)
        if expected:
            right &= bool(messages and messages[0].url and messages[0].url in expected)
        if not right:
            wrong[case.id] = (lines, messages)
    assert not wrong, _report(wrong)


def test_the_preflight_caches_are_the_engines(observed: Observed) -> None:
    wrong = {}
    for case in observed.cache_cases.values():
        departure = observed.departure(case.id).covered
        covered = case.covered if departure is None else departure
        sent, outcome = observed.preflights(case.id), observed.outcomes[case.id]
        allowed = covered or judge_preflight(case.second, case.preflight).allowed
        if len(sent) != (1 if covered else 2) or (outcome == "allowed") is not allowed:
            wrong[case.id] = (sent, outcome, covered)
    assert not wrong, _report(wrong)
