"""What observers and the logger get of each decision, by every adapter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

import meshcors.flask
import meshcors.starlette
from meshcors import (
    HeaderKey,
    MeshCORS,
    Policy,
    ReplaceablePolicy,
    Rule,
    RuleSet,
    create_app,
    create_wsgi_app,
    wsgi,
)
from meshcors.engine import Answer, PolicyEngine
from meshcors.observers import ObservedDecision, Observer, _logger
from meshcors.observers._rate import BURST, LogRate
from tests.drivers import serve_asgi, serve_wsgi
from tests.test_replaceable import asgi_app, wsgi_app
from tests.vectors import Call

UI = "https://ui.example"
STRANGER = "https://stranger.example"
POLICY = Policy(
    allow_origins=[UI],
    allow_methods=["PUT"],
    key=HeaderKey("model-api-key", ["the-secret"], exempt_paths=["/open"]),
)
RULES = RuleSet(
    [
        Rule(POLICY, hosts=["api.example", "b.example"], path_prefix="/v1"),
        Rule(POLICY, path_prefix="/v2"),
    ],
    uncovered="refuse",
)
Asking = Callable[[Call], Any]
Making = Callable[[Any, Observer], Asking]


def _starlette(init: bool, given: Any, observer: Observer) -> Asking:
    from starlette.applications import Starlette

    app = Starlette()
    app.router.default = asgi_app
    if init:
        meshcors.starlette.init_app(app, given, observer=observer)
    else:
        app.add_middleware(MeshCORS, policy=given, observer=observer)
    return partial(serve_asgi, app)


def _flask(given: Any, observer: Observer) -> Asking:
    from flask import Flask

    app = Flask("app")
    app.wsgi_app = wsgi_app  # type: ignore[method-assign]
    meshcors.flask.init_app(app, given, observer=observer)
    return partial(serve_wsgi, app)


def _engine(given: Any, observer: Observer) -> Asking:
    """As an adapter to another framework does; its app answers 200."""
    engine = PolicyEngine(given, observer=observer)

    def ask(asked: Call) -> Any:
        decision = engine.decide(asked.method, asked.path, asked.headers)
        if isinstance(decision, Answer):
            return SimpleNamespace(status=decision.status, fields=decision.headers)
        return SimpleNamespace(status=200, fields=decision and decision.merge(()))

    return ask


# Given a policy, or something in its place, and an observer, an app to ask.
ADAPTERS: dict[str, Making] = {
    "asgi": lambda given, it: partial(serve_asgi, MeshCORS(asgi_app, given, observer=it)),
    "starlette": partial(_starlette, False),
    "starlette-init_app": partial(_starlette, True),
    "create_app": lambda given, it: partial(serve_asgi, create_app(given, observer=it)),
    "create_app-service": lambda given, it: partial(
        serve_asgi, create_app(given, app=asgi_app, observer=it)
    ),
    "engine": _engine,
    "wsgi": lambda given, it: partial(serve_wsgi, wsgi.MeshCORS(wsgi_app, given, observer=it)),
    "flask": _flask,
    "create_wsgi_app": lambda given, it: partial(serve_wsgi, create_wsgi_app(given, observer=it)),
    "create_wsgi_app-service": lambda given, it: partial(
        serve_wsgi, create_wsgi_app(given, app=wsgi_app, observer=it)
    ),
}
each_adapter = pytest.mark.parametrize("make", ADAPTERS.values(), ids=ADAPTERS)


def call(method: str, path: str = "/v1/x", origin: str = UI, **headers: str) -> Call:
    fields = {"host": "api.example", "origin": origin, **headers}
    sent = tuple((name.replace("_", "-"), value) for name, value in fields.items() if value)
    return Call(method, path, sent)


def preflight(requested: str = "PUT", **more: str) -> Call:
    return call("OPTIONS", access_control_request_method=requested, **more)


KEY = {"model_api_key": "the-secret"}
# A call; kind, reason and status of the decision, and whether a page is refused.
CASES = [
    (preflight(), "preflight", "allowed", 204, False),
    (preflight("DELETE"), "preflight", "method_not_allowed", 204, True),
    (preflight(access_control_request_headers="x-a"), "preflight", "header_not_allowed", 204, True),
    (preflight(origin=STRANGER), "preflight", "origin_not_allowed", 403, True),
    (call("GET", **KEY), "real", "allowed", None, False),
    (call("OPTIONS", **KEY), "real", "allowed", None, False),
    (call("GET", origin="", **KEY), "real", "no_origin", None, False),
    (call("GET", origin=STRANGER, **KEY), "real", "origin_not_allowed", None, True),
    (call("GET"), "real", "key_missing", 401, True),
    (call("GET", model_api_key="a-guess"), "real", "key_unknown", 403, True),
]
TABLE = [pytest.param(*case, id=f"{case[1]}-{case[2]}-{case[0].method}") for case in CASES]


@each_adapter
@pytest.mark.parametrize(("asked", "kind", "reason", "status", "refused"), TABLE)
@pytest.mark.parametrize("rule", ["", "api.example/v1"], ids=["policy", "rules"])
def test_an_observer_is_told_of_each_decision(
    make: Making, asked: Call, kind: Any, reason: Any, status: int | None, refused: bool, rule: str
) -> None:
    told: list[ObservedDecision] = []
    # Also of what takes the policy's place.
    given = ReplaceablePolicy(POLICY)
    ask = make(given, told.append)
    given.replace(RULES if rule else POLICY)
    outcome = ask(asked)
    origin = dict(asked.headers).get("origin", "")
    assert told == [ObservedDecision(kind, reason, status, asked.method, "/v1/x", origin, rule)]
    assert told[0].refused is refused
    assert status is None or outcome.status == status


@each_adapter
@pytest.mark.parametrize("asked", [preflight(path="/v3"), call("GET", "/v3")])
def test_it_is_told_of_a_url_without_a_rule(make: Making, asked: Call) -> None:
    told: list[ObservedDecision] = []
    given = ReplaceablePolicy(RULES)
    outcome = make(given, told.append)(asked)
    (one,) = told
    kind = "real" if asked.method == "GET" else "preflight"
    assert (one.kind, one.reason, one.status, one.rule) == (kind, "no_rule", 404, "")
    assert one.refused
    assert outcome.status == 404


def test_it_is_told_where_the_app_answers_as_if_there_were_no_middleware() -> None:
    told: list[ObservedDecision] = []
    given = RuleSet(RULES.rules, uncovered="app")
    serve_asgi(MeshCORS(asgi_app, rules=given, observer=told.append), call("GET", "/v3"))
    serve_wsgi(wsgi.MeshCORS(wsgi_app, rules=given, observer=told.append), call("GET", "/v3"))
    assert told[0] == told[1]
    assert (told[0].reason, told[0].status, told[0].refused) == ("no_rule", None, False)


def test_rules_have_names_of_their_own() -> None:
    told: list[ObservedDecision] = []
    made = MeshCORS(asgi_app, rules=RULES, observer=told.append)
    for path, host in (("/v1", "b.example"), ("/v2/x", "b.example"), ("/v1//x", "api.example")):
        serve_asgi(made, call("GET", path, host=host))
    assert [each.rule for each in told] == ["api.example/v1", "*/v2", ""]


def handshake(origin: str, path: str = "/v1", **headers: str) -> Call:
    asked = call("GET", path, origin, **headers)
    return Call("GET", path, asked.headers, websocket=True, denial=True)


@pytest.mark.parametrize(
    ("asked", "reason", "status"),
    [
        (handshake(UI, **KEY), "allowed", None),
        (handshake("", **KEY), "no_origin", None),
        (handshake("http://api.example", **KEY), "allowed", None),
        (handshake(STRANGER, **KEY), "origin_not_allowed", 403),
        (handshake(UI), "key_missing", 401),
        (handshake(UI, "/v3"), "no_rule", None),
    ],
)
def test_it_is_told_of_handshakes(asked: Call, reason: str, status: int | None) -> None:
    told: list[ObservedDecision] = []

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})

    given = RuleSet(RULES.rules, uncovered="app")
    serve_asgi(MeshCORS(chat, rules=given, observer=told.append), asked)
    (one,) = told
    assert (one.kind, one.reason, one.status, one.method) == ("websocket", reason, status, "GET")
    assert one.rule == ("" if reason == "no_rule" else "api.example/v1")


# --- what clients choose


def test_every_text_is_bounded_and_breaks_no_line() -> None:
    told: list[ObservedDecision] = []
    for origin, path in (
        ("https://" + "a" * 300, "/" + "p" * 300),
        ("https://a\x1b[31m", "/a\nrefused: forged\u2028\x9b"),
        ("\x7f" * 300, "/" + "\x00" * 300),
    ):
        asked = Call("M" * 300, path, (("host", "h"), ("origin", origin), ("model-api-key", "x")))
        serve_asgi(MeshCORS(asgi_app, POLICY, observer=told.append), asked)
    for one in told:
        for text in (one.method, one.path, one.origin):
            assert len(text) <= 256
            assert text.isprintable()
    assert told[0].origin == "https://" + "a" * 245 + "..."
    assert told[1].path == r"/a\nrefused: forged\u2028\x9b"


# --- an observer that fails


@pytest.fixture(autouse=True)
def _rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with a whole burst."""
    monkeypatch.setattr(_logger, "_REFUSALS", LogRate())
    monkeypatch.setattr(_logger, "_FAILURES", LogRate())


@each_adapter
def test_an_observer_that_fails_breaks_no_request(
    make: Making, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(decision: ObservedDecision) -> None:
        raise ZeroDivisionError("the observer's own")

    quiet, loud = make(POLICY, lambda decision: None), make(POLICY, fail)
    for asked, *_ in CASES:
        expected, outcome = quiet(asked), loud(asked)
        assert (outcome.status, outcome.fields) == (expected.status, expected.fields)
    failures = [each for each in caplog.records if each.levelname == "ERROR"]
    assert [each.getMessage() for each in failures] == ["an observer failed"] * len(CASES)
    assert all(each.name == "meshcors" and each.exc_info for each in failures)


def test_failures_are_logged_at_a_bounded_rate(caplog: pytest.LogCaptureFixture) -> None:
    def fail(decision: ObservedDecision) -> None:
        raise ZeroDivisionError

    made = wsgi.MeshCORS(wsgi_app, POLICY, observer=fail)
    for _ in range(int(BURST) * 3):
        serve_wsgi(made, call("GET", **KEY))
    assert BURST <= len(caplog.records) < BURST * 2


async def _awaited(decision: ObservedDecision) -> None:
    raise AssertionError("never called")


class _Awaited:
    async def __call__(self, decision: ObservedDecision) -> None:
        raise AssertionError("never called")


@pytest.mark.parametrize(
    ("observer", "said"),
    [
        (_awaited, "it is called, not awaited: pass a plain function"),
        (_Awaited(), "it is called, not awaited: pass a plain function"),
        ("print", "str cannot be called: pass a function"),
    ],
)
def test_what_cannot_be_called_is_refused_at_once(observer: Any, said: str) -> None:
    for made in (MeshCORS, wsgi.MeshCORS):
        with pytest.raises(TypeError, match=f"observer: {said}"):
            made(asgi_app if made is MeshCORS else wsgi_app, POLICY, observer=observer)  # type: ignore[arg-type]


# --- the logger


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "meshcors")
    return lambda: [each.getMessage() for each in caplog.records if each.name == "meshcors"]


@each_adapter
def test_refusals_are_logged(
    make: Making, lines: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    ask = make(POLICY, lambda decision: None)
    for asked, *_ in CASES:
        ask(asked)
    assert lines() == [
        f'refused: {reason}: {kind} "{asked.method}" "/v1/x" from "{dict(asked.headers)["origin"]}"'
        for asked, kind, reason, _, refused in CASES
        if refused
    ]
    assert {each.levelname for each in caplog.records} == {"INFO"}
    assert "the-secret" not in caplog.text
    assert "a-guess" not in caplog.text
    fields: Any = caplog.records[-1]
    assert fields.fields["reason"] == "key_unknown"


def test_a_refused_handshake_is_logged(lines: Callable[[], list[str]]) -> None:
    asked = handshake(STRANGER, **KEY)
    serve_asgi(MeshCORS(asgi_app, POLICY), asked)
    PolicyEngine(POLICY).decide_websocket(asked.path, asked.headers)
    line = f'refused: origin_not_allowed: websocket "GET" "/v1" from "{STRANGER}"'
    assert lines() == [line, line]
    PolicyEngine(POLICY).decide_websocket("/v1", handshake(UI, **KEY).headers)
    assert len(lines()) == 2


def test_nothing_is_logged_above_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "meshcors")
    for asked, *_ in CASES:
        serve_asgi(MeshCORS(asgi_app, POLICY), asked)
        serve_wsgi(wsgi.MeshCORS(wsgi_app, POLICY), asked)
    serve_asgi(MeshCORS(asgi_app, POLICY), handshake(STRANGER, **KEY))
    assert caplog.records == []


def test_lines_are_bounded_in_number_and_those_left_out_are_counted(
    lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(_logger, "_REFUSALS", LogRate(lambda: now[0]))
    made = wsgi.MeshCORS(wsgi_app, POLICY)
    for _ in range(int(BURST) + 7):
        serve_wsgi(made, call("GET"))
    assert len(lines()) == BURST
    now[0] = 1.0
    serve_wsgi(made, call("GET"))
    assert lines()[int(BURST)] == "7 refusals were left out of the log"
    assert len(lines()) == BURST + 2
    serve_wsgi(made, call("GET"))
    assert len(lines()) == BURST + 3


def test_a_line_cannot_be_forged(lines: Callable[[], list[str]]) -> None:
    origin = 'https://a" from "https://ui.example'
    serve_asgi(MeshCORS(asgi_app, POLICY), call("GET", '/" from "x\n\x1b', origin, **KEY))
    (line,) = lines()
    assert line.isprintable()
    assert line.endswith(r'''"/\" from \"x\\n\\x1b" from "https://a\" from \"https://ui.example"''')


# --- traces


def test_the_decision_is_on_the_current_span() -> None:
    trace = pytest.importorskip("opentelemetry.trace")
    from meshcors.observers.opentelemetry import annotate_span

    class Recorded(trace.NonRecordingSpan):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(trace.INVALID_SPAN_CONTEXT)
            self.attributes: dict[str, str] = {}

        def is_recording(self) -> bool:
            return True

        def set_attributes(self, attributes: Any) -> None:
            self.attributes |= attributes

    for ask in (
        ADAPTERS["asgi"](ReplaceablePolicy(RULES), annotate_span),
        ADAPTERS["wsgi"](ReplaceablePolicy(RULES), annotate_span),
    ):
        span = Recorded()
        with trace.use_span(span):
            ask(call("GET"))
        assert span.attributes == {
            "meshcors.kind": "real",
            "meshcors.reason": "key_missing",
            "meshcors.rule": "api.example/v1",
            "meshcors.origin": UI,
        }
        span = Recorded()
        with trace.use_span(span):
            ask(call("GET", "/v3", ""))
        assert span.attributes == {"meshcors.kind": "real", "meshcors.reason": "no_rule"}
        # Without a span that is recorded, nothing happens.
        assert ask(call("GET")).status == 401
