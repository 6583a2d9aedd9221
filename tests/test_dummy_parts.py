"""The pod's parts, each by itself: counters, logs, refusals, connections, protocols."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shlex
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, Never
from urllib.parse import unquote, urlsplit
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.server import ServerState

from meshcors import HeaderKey, Policy
from meshcors._decision.engine import Engine
from meshcors._decision.rule_engine import NO_RULE, compile_engine
from meshcors._policy.regex import Regex
from meshcors._policy.rules import Rule, RuleSet
from meshcors.asgi import Message, Scope
from meshcors.dummy._app import PodApp
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._connections import HEAD_SECONDS, Connections, IdleCloser
from meshcors.dummy._counters import (
    HISTOGRAM,
    LEFT_OUT,
    NANOSECONDS,
    PREFLIGHTS,
    REQUESTS,
    Counters,
)
from meshcors.dummy._logs import JsonFormatter, TextFormatter
from meshcors.dummy._protocol_h11 import BoundedH11Protocol
from meshcors.dummy._protocol_httptools import (
    BoundedHttptoolsProtocol,
    _finish,
    _StartedCoroutine,
)
from meshcors.dummy._refusals import BURST, KEPT, MAX_TEXT, RATE, Refusal, RefusalRelay, Refusals

UI = "https://ui.example"
KEY = "model-api-key"
POLICY = Policy(allow_origins=[UI], key=HeaderKey(KEY))
RULES = RuleSet([Rule(POLICY, hosts=["models.example"], path_prefix="/v1")])

ORIGIN = (b"origin", UI.encode())
POST = (b"access-control-request-method", b"POST")


def scope(
    method: str = "OPTIONS",
    path: str = "/",
    headers: Iterable[tuple[bytes, bytes]] = (ORIGIN, POST),
) -> Scope:
    return {"type": "http", "method": method, "path": path, "headers": list(headers)}


def answer(pod: PodApp, asked: Scope) -> list[Message]:
    """Run one request, without a task: the pod never waits."""
    messages = []

    async def send(message: Message) -> None:
        messages.append(message)

    running = pod(asked, None, send)
    with pytest.raises(StopIteration):
        running.send(None)
    return messages


@pytest.mark.parametrize(
    ("engine", "asked", "counted", "slot"),
    [
        pytest.param(Engine(POLICY), scope(), True, PREFLIGHTS["allowed"], id="allowed"),
        pytest.param(
            Engine(POLICY),
            scope(headers=[(b"origin", b"https://evil.example"), POST]),
            True,
            PREFLIGHTS["origin_not_allowed"],
            id="origin",
        ),
        pytest.param(
            Engine(POLICY),
            scope(headers=[ORIGIN, (b"access-control-request-method", b"PUT")]),
            True,
            PREFLIGHTS["method_not_allowed"],
            id="method",
        ),
        pytest.param(
            Engine(POLICY),
            scope(headers=[ORIGIN, POST, (b"access-control-request-headers", b"x-a")]),
            True,
            PREFLIGHTS["header_not_allowed"],
            id="header",
        ),
        pytest.param(
            Engine(POLICY), scope("GET"), False, REQUESTS["key_missing"], id="key missing"
        ),
        pytest.param(
            Engine(POLICY),
            scope("GET", headers=[(KEY.encode(), b"abc")]),
            False,
            REQUESTS["no_route"],
            id="no route",
        ),
        pytest.param(
            compile_engine(RULES, NO_RULE), scope(), True, PREFLIGHTS["no_rule"], id="uncovered"
        ),
        pytest.param(
            compile_engine(RULES, NO_RULE),
            scope(headers=[ORIGIN, (b"access-control-request-method", b" ")]),
            False,
            REQUESTS["no_rule"],
            id="uncovered, no preflight",
        ),
    ],
)
def test_answer_is_counted_once_by_its_reason(
    engine: Any, asked: Scope, counted: bool, slot: int
) -> None:
    numbers = Counters(1).row(0)
    refused = []
    answer(PodApp(engine, numbers, lambda *told: refused.append(told)), asked)
    assert numbers[slot] == 1
    assert sum(numbers[: len(PREFLIGHTS) + len(REQUESTS)]) == 1
    assert sum(numbers[HISTOGRAM:]) == (numbers[NANOSECONDS] > 0) == counted
    assert [reason for _, _, reason in refused] == [
        reason
        for slots in (PREFLIGHTS, REQUESTS)
        for reason, place in slots.items()
        if place == slot and reason != "allowed"
    ]


def test_draining_pod_closes_every_connection_with_its_answer() -> None:
    pod = PodApp(Engine(POLICY), Counters(1).row(0), lambda *_: None)
    close = (b"connection", b"close")
    assert close not in answer(pod, scope())[0]["headers"]
    pod.draining = True
    for asked in (scope(), scope("GET"), scope("GET", headers=[(KEY.encode(), b"abc")])):
        assert close in answer(pod, asked)[0]["headers"]


def test_rows_of_a_board_are_summed() -> None:
    counters = Counters(3)
    for number in range(3):
        counters.row(number)[PREFLIGHTS["allowed"]] += number + 1
        counters.row(number)[HISTOGRAM] += 10
    assert counters.total(PREFLIGHTS["allowed"]) == 6
    assert counters.totals(PREFLIGHTS)["origin_not_allowed"] == 0
    assert counters.total(HISTOGRAM) == 30


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_refusals_are_logged_at_a_rate_and_what_is_left_out_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, numbers = Clock(), Counters(1).row(0)
    refusals = Refusals(numbers, clock=clock)
    for _ in range(int(BURST) + 30):
        refusals(scope(), 403, "origin_not_allowed")
    assert len(caplog.records) == BURST
    assert numbers[LEFT_OUT] == 30
    caplog.clear()
    clock.now += 2 / RATE
    for _ in range(5):
        refusals(scope(), 403, "origin_not_allowed")
    first, *others = caplog.records
    assert (first.message, first.fields) == ("refusals left out of the log", {"count": 30})
    assert [record.message for record in others] == ["refused", "refused"]
    caplog.clear()
    refusals.log_left_out()
    refusals.log_left_out()
    assert [record.fields for record in caplog.records] == [{"count": 3}]


def test_only_the_last_refusals_are_kept() -> None:
    refusals = Refusals(Counters(1).row(0), clock=(clock := Clock()))
    for number in range(2 * KEPT):
        clock.now += 1
        refusals(scope(path=f"/{number}"), 403, "origin_not_allowed")
    assert [kind.path for kind in refusals.kept] == [f"/{n}" for n in range(KEPT, 2 * KEPT)]


def test_refusals_of_one_kind_are_counted_with_the_time_of_the_last() -> None:
    refusals = Refusals(Counters(1).row(0), clock=Clock())
    first = Refusal(
        403, "origin_not_allowed", "OPTIONS", "/", 1.0, "a.example", "https://b.example"
    )
    other = replace(first, origin="https://c.example", at=2.0)
    refusals.keep([first, other, replace(first, at=3.0, request_id="1", traceparent="2")])
    assert list(refusals.kept.items()) == [
        (replace(other, at=0.0), (1, 2.0)),
        (replace(first, at=0.0), (2, 3.0)),
    ]
    refusals(scope(), 403, "origin_not_allowed")
    *_, (count, at) = refusals.kept.values()
    assert count == 1
    assert 0 <= time.time() - at < 60


def test_what_is_remembered_of_a_request_is_bounded_and_never_its_key() -> None:
    long = b"x" * 100_000
    headers = [(name, long) for name in (b"origin", b"host", KEY.encode(), b"x-request-id")]
    refusal = Refusal.of(
        scope("M" * 1000, "/" * 1000, headers * 3), 403, "origin_not_allowed", frozenset()
    )
    assert all(len(text) <= MAX_TEXT for text in refusal.fields().values() if text != 403)
    assert KEY not in refusal.fields()


def test_split_lines_of_a_request_are_remembered_joined() -> None:
    name = b"access-control-request-headers"
    refusal = Refusal.of(
        scope(headers=[(name, b"x-a"), (name, b"x-b")]), 204, "header_not_allowed", frozenset()
    )
    assert refusal.requested_headers == "x-a,x-b"


def test_relay_carries_refusals_and_drops_what_nobody_fetches(
    request: pytest.FixtureRequest,
) -> None:
    relay = RefusalRelay()
    request.addfinalizer(relay.close)
    sent = Refusal(403, "origin_not_allowed", "OPTIONS", "/\x00é", 1.5, origin=UI)
    relay.send(sent)
    assert list(relay.receive()) == [sent]
    for _ in range(3000):
        relay.send(sent)  # more than the socket holds
    received = list(relay.receive())
    assert 0 < len(received) < 3000
    assert set(received) == {sent}


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("x", logging.WARNING, __file__, 1, "%s", (message,), None)
    made.fields = fields
    return made


@given(st.text(), st.text())
def test_no_text_of_a_request_forges_a_log_line(message: str, value: str) -> None:
    for formatter in (JsonFormatter(), TextFormatter()):
        line = formatter.format(record(message, origin=value))
        assert line.isprintable()
    assert json.loads(JsonFormatter().format(record(message, origin=value)))["origin"] == value


def test_text_lines_quote_what_could_be_mistaken() -> None:
    fields = {"origin": "a b=c", "path": "/x", "empty": "", "host": "b\u00fc cher"}
    line = TextFormatter().format(record("refused", **fields))
    assert line.endswith('WARNING refused origin="a b=c" path=/x empty="" host="b\u00fc cher"')


def test_json_lines_are_ascii() -> None:
    line = JsonFormatter().format(record("refused", path="/b\u00fccher"))
    assert line.isascii()
    assert json.loads(line)["path"] == "/b\u00fccher"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_traceback_of_a_fault_is_logged(formatter: logging.Formatter) -> None:
    made = record("failed")
    try:
        raise RuntimeError("why")
    except RuntimeError as error:
        made.exc_info = (type(error), error, error.__traceback__)
    assert "RuntimeError: why" in formatter.format(made)


class Connection:
    """What `IdleCloser` sees of uvicorn's httptools protocol."""

    def __init__(self) -> None:
        self.closed = False
        self.cycle = None
        self.scope = None
        self.aborted = False
        self.transport = SimpleNamespace(
            close=self.close, abort=self.abort, is_closing=lambda: self.closed
        )

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def begin(self) -> None:
        self.scope = {}

    def answer(self) -> None:
        self.begin()
        self.cycle = SimpleNamespace(scope=self.scope)


def test_connection_that_says_nothing_is_closed_after_keep_alive() -> None:
    connection = Connection()
    close_idle = IdleCloser([connection], keep_alive=30)
    for now in (0, 10, 29):
        close_idle(now)
    assert not connection.closed
    close_idle(30)
    assert connection.closed


def test_connection_that_is_closed_and_does_not_go_is_cut_off() -> None:
    connection = Connection()
    close_idle = IdleCloser([connection], keep_alive=30)
    for now in (0, 30):
        close_idle(now)
    assert not connection.aborted
    close_idle(31)
    assert connection.aborted


def test_connection_that_asks_now_and_then_stays_open() -> None:
    connection = Connection()
    close_idle = IdleCloser([connection], keep_alive=30)
    for now in range(0, 300, 20):
        connection.answer()
        close_idle(now)
    assert not connection.closed


def test_head_that_does_not_end_is_closed_sooner() -> None:
    connection = Connection()
    close_idle = IdleCloser([connection], keep_alive=300)
    connection.answer()
    close_idle(0)
    close_idle(100)
    connection.begin()
    close_idle(101)
    close_idle(101 + HEAD_SECONDS - 1)
    assert not connection.closed
    close_idle(101 + HEAD_SECONDS)
    assert connection.closed


def test_heads_that_end_in_time_are_no_head_that_does_not_end() -> None:
    connection = Connection()
    close_idle = IdleCloser([connection], keep_alive=300)
    for now in range(100):
        connection.begin()
        close_idle(now)
        connection.answer()
    assert not connection.closed


async def _interrupted(log: list[str | bool], gate: asyncio.Event) -> None:
    log.append("begun")
    try:
        log.append(await gate.wait())
        await asyncio.sleep(0)
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        log.append("cancelled")
        raise


def test_coroutine_that_has_to_wait_goes_on_as_a_task() -> None:
    async def scenario() -> None:
        log, gate = [], asyncio.Event()
        running = _interrupted(log, gate)
        task = asyncio.ensure_future(_finish(_StartedCoroutine(running, running.send(None))))
        await asyncio.sleep(0)
        assert log == ["begun"]
        gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert log == ["begun", True]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["begun", True, "cancelled"]

    asyncio.run(scenario())


def test_error_in_such_a_coroutine_is_the_tasks() -> None:
    async def fails() -> Never:
        await asyncio.sleep(0)
        raise RuntimeError("why")

    async def scenario() -> None:
        running = fails()
        with pytest.raises(RuntimeError, match="why"):
            await _finish(_StartedCoroutine(running, running.send(None)))

    asyncio.run(scenario())


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.reads = True
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


async def connected(protocol_class: type[Any], app: Any) -> tuple[Any, Transport]:
    config = Config(app, ws="none", lifespan="off", interface="asgi3", log_config=None)
    config.load()
    state = ServerState()
    state.connections = Connections()
    protocol, transport = protocol_class(config, state, {}), Transport()
    protocol.connection_made(transport)
    return protocol, transport


def test_requests_that_wait_are_answered_in_turn_and_kept_as_bytes() -> None:
    async def scenario() -> tuple[int, bool]:
        pod = PodApp(Engine(POLICY), Counters(1).row(0), lambda *_: None)
        protocol, transport = await connected(BoundedHttptoolsProtocol, pod)
        one = b"OPTIONS / HTTP/1.1\r\nOrigin: %s\r\nAccess-Control-Request-Method: POST\r\n\r\n"
        protocol.pause_writing()
        protocol.data_received(one % UI.encode() * 5000)
        assert transport.written == b""
        # As objects, requests take about thirty times their bytes.
        assert len(protocol.pipeline) < 100
        protocol.resume_writing()
        for _ in range(20_000):
            assert len(protocol.pipeline) < 100
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        return transport.written.count(b"HTTP/1.1 204 "), transport.reads

    assert asyncio.run(scenario()) == (5000, True)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what was sent, once the whole request has arrived."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["more_body"]
    said = b"%s %s %d %d;" % (scope["method"].encode(), scope["raw_path"], len(body), crc32(body))
    length = (b"content-length", b"%d" % len(said))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": said})


def pipelined(path: int, body: bytes) -> bytes:
    return b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (
        path,
        len(body),
        body,
    )


STREAM = b"".join(
    (
        b"GET /0 HTTP/1.1\r\nHost: x\r\n\r\n",
        pipelined(1, b"a" * 5000 + pipelined(11, b"aa") * 9),
        pipelined(2, b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n" * 200),
        b"POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\naaaaa\r\n5\r\nbbbbb\r\n0\r\nX-Trailer: a\r\n\r\n",
        pipelined(4, b""),
        b"GET /5 HTTP/1.1\r\nHost: x\r\n\r\n",
        pipelined(6, b"b" * 300),
    )
)


@pytest.mark.parametrize("protocol_class", [BoundedHttptoolsProtocol, BoundedH11Protocol])
def test_head_that_is_too_large_is_answered_431_by_both(protocol_class: type[Any]) -> None:
    async def scenario() -> tuple[bytearray, bool]:
        protocol, transport = await connected(protocol_class, echo)
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 80 * 1024)
        return transport.written, transport.closed

    written, closed = asyncio.run(scenario())
    assert written.startswith(b"HTTP/1.1 431 ")
    assert written.count(b"HTTP/1.1 ") == 1
    assert closed


def echoes(protocol_class: type[Any], parts: Iterable[tuple[int, bytes]]) -> list[bytes]:
    """The answers, when each part arrives a number of loop turns after the part before."""

    async def scenario() -> list[bytes]:
        protocol, transport = await connected(protocol_class, echo)
        for turns, part in parts:
            for _ in range(turns):
                await asyncio.sleep(0)
            left = 1000
            while not transport.reads and left:
                left -= 1
                await asyncio.sleep(0)
            assert transport.reads
            protocol.data_received(part)
        for _ in range(100):
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        return re.findall(rb"\w+ /\d+ \d+ \d+;", transport.written)

    return asyncio.run(scenario())


@pytest.mark.parametrize("protocol_class", [BoundedHttptoolsProtocol, BoundedH11Protocol])
@given(
    st.sets(st.integers(1, len(STREAM) - 1), max_size=8).map(sorted),
    st.lists(st.integers(0, 5), min_size=9, max_size=9),
)
def test_pipelined_requests_are_answered_alike_however_they_are_split(
    protocol_class: type[Any], cuts: list[int], turns: list[int]
) -> None:
    ends = [0, *cuts, len(STREAM)]
    parts = [STREAM[start:end] for start, end in pairwise(ends)]
    whole = echoes(protocol_class, [(0, STREAM)])
    assert [answer.split()[1] for answer in whole] == [b"/%d" % number for number in range(7)]
    assert echoes(protocol_class, zip(turns, parts, strict=False)) == whole


def test_configurations_that_answer_alike_share_a_fingerprint() -> None:
    made = Configuration.of
    assert made(POLICY).fingerprint == made(Policy(allow_origins=[UI], key=POLICY.key)).fingerprint
    assert made(POLICY).fingerprint != made(RULES).fingerprint
    # The pod refuses what no rule covers in any case.
    assert made(RULES).fingerprint == made(RuleSet(RULES.rules, uncovered="app")).fingerprint
    assert json.loads(made(RULES).json)["rules"][0]["pathPrefix"] == "/v1"


def tried(source: Policy | RuleSet, origin: str = "") -> Any:
    """The answer to the curl line that the pod logs; `origin` takes the place of ORIGIN."""
    configuration = Configuration.of(source)
    *_, line = configuration.introduction("http://localhost:8080")
    said, _, command = line.partition(": ")
    assert ("ORIGIN" in said) == bool(origin)
    curl, *options = shlex.split(command.replace("Origin: ORIGIN", f"Origin: {origin}"))
    assert (curl, options[:3]) == ("curl", ["-i", "-X", "OPTIONS"])
    url = urlsplit(options[3])
    assert url.netloc == "localhost:8080"
    pairs = [field.split(": ", 1) for field in options[5::2]]
    fields = {b"host": url.netloc.encode()}
    fields |= {name.lower().encode(): value.encode() for name, value in pairs}
    return configuration.engine.decide("OPTIONS", unquote(url.path), fields)


@pytest.mark.parametrize(
    "origins",
    [
        [UI],
        ["*"],
        ["http://localhost:*"],
        ["http://[::1]:*"],
        ["https://*.ui.example"],
        ["https://*.ui.example:8443"],
        ["https://*.ui.example:*"],
        ["https://*.ui.example", UI],
        [Regex(r"https://[a-z]+\.ui\.example"), "https://*.ui.example:*"],
    ],
    ids=str,
)
@pytest.mark.parametrize("hosts", [None, ["models.example"], ["*.models.example", "[::1]"]])
@pytest.mark.parametrize("prefix", ["/", "/v1", "/v1/o'neill & söhne;[x]"])
def test_what_the_pod_says_to_try_is_allowed(
    origins: list[str | Regex], hosts: list[str] | None, prefix: str
) -> None:
    policy = Policy(allow_origins=origins, key=HeaderKey(KEY))
    answered = tried(RuleSet([Rule(policy, hosts=hosts, path_prefix=prefix)]))
    assert (answered.status, answered.reason) == (204, "allowed")


def test_what_the_pod_says_to_try_leaves_a_place_where_only_a_regex_allows() -> None:
    policy = Policy(allow_origins=[Regex(r"https://[a-z]+\.ui\.example")])
    assert tried(policy, "https://a.ui.example").reason == "allowed"
    assert tried(policy, "https://ui.example").reason == "origin_not_allowed"


def test_rule_is_described_with_where_it_holds() -> None:
    policy = Policy(
        allow_origins=[UI], allow_methods=["PUT"], allow_headers=["x-a"], allow_credentials=True
    )
    rule = Rule(policy, hosts=["a.example", "*.b.example"], path_prefix="/v1")
    where = "a.example, *.b.example/v1"
    what = f"origins {UI}; methods GET, HEAD, POST, PUT; headers x-a; with credentials"
    first, _ = Configuration.of(RuleSet([rule])).introduction("http://localhost:8080")
    assert first == f"{where}: allows {what}"
