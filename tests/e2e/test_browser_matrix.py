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
from tests.e2e.browsers import ENGINES, await_console, launch
from tests.e2e.browsers.server import Received, message, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcors.browser import Request

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
PREFLIGHT_FIELDS = ("access-control-request-method", "access-control-request-headers", "origin")
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
        for request in self.received[case_id]:
            fields = dict(request.lines("accept", *PREFLIGHT_FIELDS))
            if request.method == "OPTIONS" and PREFLIGHT_FIELDS[0] in fields:
                assert fields["accept"] == "*/*"
                sent.append(
                    (
                        fields[PREFLIGHT_FIELDS[0]],
                        fields.get(PREFLIGHT_FIELDS[1], ""),
                        fields[PREFLIGHT_FIELDS[2]],
                    )
                )
        return sent


@pytest.fixture(scope="module", params=ENGINES)
def observed(request: pytest.FixtureRequest) -> Observed:
    cases: dict[str, Case] = {}
    cache_cases: dict[str, CacheCase] = {}

    def answer(received: Received) -> bytes | None:
        name, _, hop = received.target.strip("/").partition("?")[0].partition("/")
        if name in ("page", "sandbox"):
            policy = [("content-security-policy", "sandbox allow-scripts")] * (name == "sandbox")
            return message(200, [("content-type", "text/html"), *policy], b"<!doctype html>")
        is_preflight = received.lines(PREFLIGHT_FIELDS[0]) and received.method == "OPTIONS"
        if name in cache_cases:
            preflight = cache_cases[name].preflight
            return message(preflight.status, list(preflight.headers))
        if name not in cases:
            return message(204, [(ACAO, "*"), (ACAM, "PUT"), (ACMA, "600")])
        answers = cases[name].answers[int(hop or 0)]
        said = answers.preflight if is_preflight else answers.response
        return None if said is None else message(said.status, list(said.headers))

    with serving(answer, ports=3) as server:
        page, api, other = server.ports
        # two hosts, so that the page is not only another port of the API
        origins = {
            PAGE: f"http://localhost:{page}",
            API: f"http://127.0.0.1:{api}",
            OTHER: f"http://127.0.0.1:{other}",
        }
        cases.update({case.id: case.at(origins) for case in CASES})
        cache_cases.update({case.id: case.at(origins) for case in CACHE_CASES})
        outcomes: dict[str, str] = {}
        lines: list[str] = []
        with launch(request.param) as browser:
            for path, calls in _calls(cases, cache_cases).items():
                tab = browser.open(f"{origins[PAGE]}/{path}")
                if path == "page?cache":
                    first = {"url": f"{origins[API]}/first", "method": "PUT"}
                    tab.run(FETCH_ALL, [{"id": "first", "requests": [first] * 3}])
                outcomes |= tab.run(FETCH_ALL, calls)
                expected = [
                    play(cases[call["id"]])[0].messages.get(request.param)
                    for call in calls
                    if call["id"] in cases
                ]
                wanted = [m for m in expected if m and not m.endswith("…")]
                lines += await_console(tab, lambda seen, w=wanted: set(w) <= set(seen), 5)
                tab.close()
    received = defaultdict(list)
    for one in server.received:
        received[re.split("[/?]", one.target)[1]].append(one)
    console = defaultdict(list)
    for line in lines:
        # the case's id is the first segment of the URL's path
        for found in re.findall(r"[a-z]+://[^/]+/([A-Za-z0-9-]+)", line)[:1]:
            console[found].append(line)
    return Observed(request.param, moving(origins), cases, cache_cases, outcomes, received, console)


def _calls(
    cases: dict[str, Case], cache_cases: dict[str, CacheCase]
) -> dict[str, list[dict[str, Any]]]:
    """The calls of each page: those of an opaque origin are made from a sandboxed one.

    The cache is tried last and apart, after a call that does not count: Firefox does not always
    remember the preflight of a new page's first call.
    """
    calls: dict[str, list[dict[str, Any]]] = {"page": [], "sandbox": [], "page?cache": []}
    for case in cases.values():
        path = "sandbox" if case.request.origin == "null" else "page"
        calls[path].append({"id": case.id, "requests": [_init(case.request)]})
    for case in cache_cases.values():
        requests = [_init(case.first), _init(case.second)]
        calls["page?cache"].append({"id": case.id, "requests": requests})
    return calls


def _init(request: Request) -> dict[str, Any]:
    return {
        "url": request.url,
        "method": request.method,
        "headers": request.headers,
        "credentials": request.credentials,
    }


def _report(wrong: dict[str, Any]) -> str:
    return "\n".join(f"{case}: {details}" for case, details in wrong.items())


def test_the_verdicts_are_the_engines(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        departure = observed.departure(case.id).allowed
        allowed = play(case)[0].allowed if departure is None else departure
        outcome = observed.outcomes[case.id]
        # a call that only ran out of time is no verdict
        if (outcome == "allowed") is not allowed or "TimeoutError" in outcome:
            wrong[case.id] = (outcome, observed.console[case.id])
    assert not wrong, _report(wrong)


def test_the_preflights_are_the_engines(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        departure = observed.departure(case.id).preflights
        sent = observed.preflights(case.id)
        expected = play(case)[1]
        if departure is not None:
            expected = [(how, names, observed.move(origin)) for how, names, origin in departure]
        if any(answers.preflight is None for answers in case.answers):
            # a browser may ask again when the connection breaks
            sent = list(dict.fromkeys(sent))
        if sent != expected:
            wrong[case.id] = (sent, expected)
    assert not wrong, _report(wrong)


@pytest.mark.parametrize("observed", ["chromium"], indirect=True)
def test_chromium_prints_the_messages(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        verdict = play(case)[0]
        expected = verdict.messages["chromium"]
        lines = observed.console[case.id]
        printed = [line for line in lines if "has been blocked by CORS policy" in line]
        if verdict.code == "network_error":
            right = any(line.startswith(expected.removesuffix("…")) for line in lines)
        elif verdict.allowed or observed.departure(case.id).allowed:
            right = printed == []
        else:
            right = printed == [expected]
        if not right:
            wrong[case.id] = (lines, expected)
    assert not wrong, _report(wrong)


@pytest.mark.parametrize("observed", ["firefox"], indirect=True)
def test_firefox_prints_the_messages(observed: Observed) -> None:
    wrong = {}
    for case in observed.cases.values():
        departure = observed.departure(case.id)
        expected = play(case)[0].messages["firefox"]
        if departure.allowed:
            expected = ""
        elif departure.message is not None:
            prefix = expected.partition(" at http")[0]
            expected = f"{prefix} at {observed.move(departure.message)}"
        # the reason comes first; after a preflight, that the request did not succeed either
        first = next(iter(observed.console[case.id]), "")
        if first != expected:
            wrong[case.id] = (observed.console[case.id], expected)
    assert not wrong, _report(wrong)


def test_the_preflight_caches_are_the_engines(observed: Observed) -> None:
    wrong = {}
    for case in observed.cache_cases.values():
        departure = observed.departure(case.id).covered
        covered = case.covered if departure is None else departure
        sent = observed.preflights(case.id)
        if len(sent) != (1 if covered else 2) or observed.outcomes[case.id] == "TimeoutError":
            wrong[case.id] = (sent, observed.outcomes[case.id], covered)
    assert not wrong, _report(wrong)
