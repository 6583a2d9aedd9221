"""The pod's parts, each by itself: counters, logs, refusals, connections, protocols."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shlex
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any, Never
from urllib.parse import unquote, urlsplit
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import HeaderKey, Policy
from meshcors._decision.engine import Engine
from meshcors._decision.observation import MAX_TEXT
from meshcors._decision.rule_engine import NO_RULE, compile_engine
from meshcors._policy.regex import Regex
from meshcors._policy.rules import Rule, RuleSet
from meshcors.dummy._app import pod_handler
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import (
    HISTOGRAM,
    LEFT_OUT,
    NANOSECONDS,
    PREFLIGHTS,
    REQUESTS,
    Counters,
)
from meshcors.dummy._logs import JsonFormatter, TextFormatter
from meshcors.dummy._port import FRAMING_FIELDS, Handler, Port, wire
from meshcors.dummy._protocol import HEAD_SECONDS, ClientConnection
from meshcors.dummy._refusals import KEPT, Refusal, RefusalRelay, Refusals
from meshcors.observers._rate import BURST, RATE

UI = "https://ui.example"
KEY = "model-api-key"
POLICY = Policy(allow_origins=[UI], key=HeaderKey(KEY))
RULES = RuleSet([Rule(POLICY, hosts=["models.example"], path_prefix="/v1")])

ORIGIN = (b"origin", UI.encode())
POST = (b"access-control-request-method", b"POST")


Asked = tuple[str, str, dict[bytes, bytes]]


def asked_for(
    method: str = "OPTIONS",
    path: str = "/",
    fields: Iterable[tuple[bytes, bytes]] = (ORIGIN, POST),
) -> Asked:
    """A request as a handler is given it, without its body."""
    return method, path, dict(fields)


@pytest.mark.parametrize(
    ("engine", "asked", "counted", "slot"),
    [
        pytest.param(Engine(POLICY), asked_for(), True, PREFLIGHTS["allowed"], id="allowed"),
        pytest.param(
            Engine(POLICY),
            asked_for(fields=[(b"origin", b"https://evil.example"), POST]),
            True,
            PREFLIGHTS["origin_not_allowed"],
            id="origin",
        ),
        pytest.param(
            Engine(POLICY),
            asked_for(fields=[ORIGIN, (b"access-control-request-method", b"PUT")]),
            True,
            PREFLIGHTS["method_not_allowed"],
            id="method",
        ),
        pytest.param(
            Engine(POLICY),
            asked_for(fields=[ORIGIN, POST, (b"access-control-request-headers", b"x-a")]),
            True,
            PREFLIGHTS["header_not_allowed"],
            id="header",
        ),
        pytest.param(
            Engine(POLICY), asked_for("GET"), False, REQUESTS["key_missing"], id="key missing"
        ),
        pytest.param(
            Engine(POLICY),
            asked_for("GET", fields=[(KEY.encode(), b"abc")]),
            False,
            REQUESTS["no_route"],
            id="no route",
        ),
        pytest.param(
            compile_engine(RULES, NO_RULE), asked_for(), True, PREFLIGHTS["no_rule"], id="uncovered"
        ),
        pytest.param(
            compile_engine(RULES, NO_RULE),
            asked_for(fields=[ORIGIN, (b"access-control-request-method", b" ")]),
            False,
            REQUESTS["no_rule"],
            id="uncovered, no preflight",
        ),
    ],
)
def test_answer_is_counted_once_by_its_reason(
    engine: Any, asked: Asked, counted: bool, slot: int
) -> None:
    numbers = Counters(1).row(0)
    refused = []
    pod_handler(engine, numbers, lambda *told: refused.append(told)).handle(*asked, b"")
    assert numbers[slot] == 1
    assert sum(numbers[: len(PREFLIGHTS) + len(REQUESTS)]) == 1
    assert sum(numbers[HISTOGRAM:]) == (numbers[NANOSECONDS] > 0) == counted
    assert [reason for *_, reason in refused] == [
        reason
        for slots in (PREFLIGHTS, REQUESTS)
        for reason, place in slots.items()
        if place == slot and reason != "allowed"
    ]


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
    clock, counters = Clock(), Counters(1)
    numbers = counters.row(0)
    refusals = Refusals(counters, 0, clock=clock)
    for _ in range(int(BURST) + 30):
        refusals(*asked_for(), 403, "origin_not_allowed")
    assert len(caplog.records) == BURST
    assert numbers[LEFT_OUT] == 30
    caplog.clear()
    clock.now += 2 / RATE
    for _ in range(5):
        refusals(*asked_for(), 403, "origin_not_allowed")
    first, *others = caplog.records
    assert (first.message, first.fields) == ("refusals left out of the log", {"count": 30})
    assert [record.message for record in others] == ["refused", "refused"]
    caplog.clear()
    refusals.log_left_out()
    refusals.log_left_out()
    assert [record.fields for record in caplog.records] == [{"count": 3}]


def test_only_the_last_refusals_are_kept() -> None:
    refusals = Refusals(Counters(1), 0, clock=(clock := Clock()))
    for number in range(2 * KEPT):
        clock.now += 1
        refusals(*asked_for(path=f"/{number}"), 403, "origin_not_allowed")
    assert [kind.path for kind in refusals.kept] == [f"/{n}" for n in range(KEPT, 2 * KEPT)]


def test_refusals_of_one_kind_are_counted_with_the_time_of_the_last() -> None:
    refusals = Refusals(Counters(1), 0, clock=Clock())
    first = Refusal(403, "origin_not_allowed", "OPTIONS", "/", "a.example", "https://b.example")
    other = replace(first, origin="https://c.example")
    refusals.keep([first, other, replace(first, request_id="1", traceparent="2")])
    assert [(kind, count) for kind, (count, _) in refusals.kept.items()] == [(other, 1), (first, 2)]
    (_, before), (_, last) = refusals.kept.values()
    assert 0 <= time.time() - last < 60
    assert before <= last


def test_what_is_remembered_of_a_request_is_bounded_and_never_its_key() -> None:
    long = b"x" * 100_000
    fields = [(name, long) for name in (b"origin", b"host", KEY.encode(), b"x-request-id")]
    refusal = Refusal.of(*asked_for("M" * 1000, "/" * 1000, fields), 403, "origin_not_allowed")
    assert all(len(text) <= MAX_TEXT for text in refusal.fields().values() if text != 403)
    assert KEY not in refusal.fields()


def test_relay_carries_refusals_and_drops_what_nobody_fetches(
    request: pytest.FixtureRequest,
) -> None:
    relay = RefusalRelay()
    request.addfinalizer(relay.close)
    sent = Refusal(403, "origin_not_allowed", "OPTIONS", "/\x00é", origin=UI)
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


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.reads = True
        self.closed = self.ended = self.aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Talk:
    """A connection to a handler, and a clock that a test sets."""

    def __init__(self, handler: Handler) -> None:
        self.later: list[Callable[[], None]] = []
        self.port = Port(lambda: handler, 4096, 65536)
        self.port.call_soon = self.later.append
        self.transport = Transport()
        self.connection = ClientConnection(self.port)
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> bytes:
        """Send bytes, and return what has been written since the last call."""
        self.connection.data_received(data)
        self.run()
        written = bytes(self.transport.written)
        self.transport.written.clear()
        return written

    def run(self) -> None:
        """Do what the event loop would do."""
        while self.later:
            self.later.pop(0)()

    def at(self, now: float, keep_alive: float = 30) -> bool:
        """Look at the connection at this time; tell whether it is closed."""
        self.port.now = now
        self.connection.close_if_overdue(keep_alive)
        return self.transport.closed


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
OK = wire(200, [("content-length", "0")])
CONSTANT = Handler(lambda *_: OK, FRAMING_FIELDS)


def test_connection_that_says_nothing_is_closed_after_keep_alive() -> None:
    talk = Talk(CONSTANT)
    assert not talk.at(30)
    assert talk.at(31)


def test_connection_that_is_closed_and_does_not_go_is_cut_off() -> None:
    talk = Talk(CONSTANT)
    assert talk.at(31)
    talk.at(33)
    assert not talk.transport.aborted
    talk.at(34)
    assert talk.transport.aborted


def test_connection_that_asks_now_and_then_stays_open() -> None:
    talk = Talk(CONSTANT)
    for now in range(0, 300, 20):
        talk.send(HEAD + b"\r\n")
        assert not talk.at(now)


@pytest.mark.parametrize("begun", [b"\r\n", b"G", HEAD])
def test_head_that_does_not_end_is_closed_sooner(begun: bytes) -> None:
    talk = Talk(CONSTANT)
    talk.send(HEAD + b"\r\n")
    assert not talk.at(100, keep_alive=300)
    talk.send(begun)
    for second in range(int(HEAD_SECONDS) + 1):
        assert not talk.at(100 + second, keep_alive=300)
        talk.send(begun[:0])
    assert talk.at(101 + HEAD_SECONDS, keep_alive=300)


def test_heads_that_end_in_time_are_no_head_that_does_not_end() -> None:
    talk = Talk(CONSTANT)
    for now in range(100):
        talk.send(HEAD)
        assert not talk.at(now, keep_alive=300)
        talk.send(b"\r\n")


def test_requests_that_end_within_the_next_head_keep_a_connection_open() -> None:
    talk, other = Talk(CONSTANT), Talk(CONSTANT)
    talk.port.connections[other.connection] = None
    talk.send(HEAD)
    for now in range(100):
        assert talk.send(b"\r\n" + HEAD).count(b"HTTP/1.1 200 ") == 1
        assert not talk.at(now, keep_alive=20)
        # The longest idle one is the first to go.
        assert next(iter(talk.port.connections)) is other.connection


def test_draining_port_closes_every_connection_with_its_answer() -> None:
    talk = Talk(CONSTANT)
    assert b"connection" not in talk.send(HEAD + b"\r\n")
    talk.port.draining = True
    assert b"\r\nconnection: close\r\n" in talk.send(HEAD + b"\r\n")
    assert talk.transport.ended


def test_requests_wait_as_bytes_while_the_client_does_not_read() -> None:
    talk = Talk(CONSTANT)
    one = HEAD + b"\r\n"
    talk.connection.pause_writing()
    assert not talk.transport.reads
    assert talk.send(one * 5000) == b""
    assert talk.send(one) == b""
    talk.connection.resume_writing()
    talk.run()
    assert talk.transport.written.count(b"HTTP/1.1 200 ") == 5001
    assert talk.transport.reads


def test_last_requests_of_a_client_that_has_closed_its_end_are_answered() -> None:
    talk = Talk(CONSTANT)
    assert not talk.connection.eof_received()
    talk.connection.pause_writing()
    talk.send(HEAD + b"\r\n")
    assert talk.connection.eof_received()
    talk.connection.resume_writing()
    talk.run()
    assert talk.transport.written.startswith(b"HTTP/1.1 200 ")
    assert talk.transport.closed


def test_others_have_their_turn_between_the_parts_of_what_one_sends() -> None:
    talk = Talk(CONSTANT)
    talk.port.at_once = talk.port.a_turn = 32
    talk.connection.data_received((HEAD + b"\r\n") * 1000)
    assert not talk.transport.reads
    for _ in range(20):
        before = talk.transport.written.count(b"HTTP/1.1 200 ")
        talk.later.pop(0)()
        assert talk.transport.written.count(b"HTTP/1.1 200 ") <= before + 2
    talk.run()
    assert talk.transport.written.count(b"HTTP/1.1 200 ") == 1000


def test_fault_of_a_handler_is_a_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fails(*_: object) -> Never:
        raise RuntimeError("why")

    talk = Talk(Handler(fails, FRAMING_FIELDS))
    assert talk.send(HEAD + b"\r\n").startswith(b"HTTP/1.1 500 ")
    assert caplog.records[0].exc_info[0] is RuntimeError
    assert talk.send(HEAD + b"\r\n") == b""


def test_fault_of_the_port_is_no_fault_of_the_client(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> Never:
        raise RuntimeError("why")

    talk = Talk(CONSTANT)
    talk.port.current = fails
    assert talk.send(HEAD + b"\r\n").startswith(b"HTTP/1.1 500 ")
    assert caplog.records[0].exc_info[0] is RuntimeError


def test_request_is_answered_by_the_handler_of_its_beginning() -> None:
    talk = Talk(Handler(lambda *_: OK, FRAMING_FIELDS | {b"x-a"}))
    talk.send(HEAD)
    talk.port.current = lambda: Handler(lambda *_: wire(204, []), FRAMING_FIELDS)
    assert talk.send(b"X-A: a\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert talk.send(HEAD + b"\r\n").startswith(b"HTTP/1.1 204 ")


def test_refused_client_may_finish_but_not_for_ever() -> None:
    talk = Talk(CONSTANT)
    assert talk.send(HEAD + b"X-A: " + b"a" * 80 * 1024).startswith(b"HTTP/1.1 431 ")
    assert talk.transport.ended
    assert not talk.transport.closed
    for _ in range(300):
        assert talk.send(b"a" * 4096) == b""
    assert talk.transport.aborted


def test_fields_are_given_by_lower_case_name_joined_and_without_trailers() -> None:
    seen = []

    def keep(*given: Any) -> Any:
        seen.append(given)
        return OK

    stream = (
        b"POST /a%20b?c HTTP/1.1\r\nHOST: x\r\nX-A: 1\r\nx-a: 2\r\nX-B: b\r\n"
        b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-a: 3\r\n\r\n"
    )
    framing = {b"host": b"x", b"transfer-encoding": b"chunked"}
    for body in (b"", b"abc"):
        Talk(Handler(keep, FRAMING_FIELDS | {b"x-a"}, len(body))).send(stream)
        assert seen.pop() == ("POST", "/a b", {b"x-a": b"1,2", **framing}, body)


def test_answers_that_repeat_what_a_client_asked_for_are_not_kept() -> None:
    policy = Policy(
        allow_origins=[UI], allow_methods=["*"], allow_headers=["*"], allow_credentials=True
    )
    handler = pod_handler(Engine(policy), Counters(1).row(0), lambda *_: None)
    names = b",".join(b"x-%d-%s" % (n, b"a" * 60) for n in range(60))
    asked = asked_for(fields=(ORIGIN, POST, (b"access-control-request-headers", names)))
    assert handler.handle(*asked, b"") is not handler.handle(*asked, b"")
    short = asked_for()
    assert handler.handle(*short, b"") is handler.handle(*short, b"")


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"/v1", "/v1", b"a.example"),
        (b"/v1?a=/b%20", "/v1", b"a.example"),
        (b"/a%2Fb%25", "/a/b%", b"a.example"),
        (b"//a/b", "//a/b", b"a.example"),
        (b"*", "*", b"a.example"),
        (b"http://a.example", "/", b"a.example"),
        (b"http://A.example/b?c", "/b", b"a.example"),
        (b"HTTPS://a.example?b/c", "/", b"a.example"),
        # Ambiguous: a comma is in no host.
        (b"http://b.example/%20", "/ ", b"a.example,b.example"),
        (b"http://a.example:1//b", "//b", b"a.example,a.example:1"),
        (b"http://u@a.example/", "/", b"a.example,u@a.example"),
        (b"ftp://a.example/b", "ftp://a.example/b", b"a.example"),
    ],
)
def test_target_names_a_path_and_a_host(target: bytes, path: str, host: bytes) -> None:
    seen = []
    talk = Talk(Handler(lambda *got: (seen.append(got), OK)[1], FRAMING_FIELDS))
    talk.send(b"GET " + target + b" HTTP/1.1\r\nHost: a.example\r\n\r\n")
    assert seen == [("GET", path, {b"host": host}, b"")]


def echo(method: str, path: str, fields: Any, body: bytes) -> Any:
    """Answers with what was sent, once the whole request has arrived."""
    said = b"%s %s %d %d;" % (method.encode(), path.encode(), len(body), crc32(body))
    return wire(200, [("content-length", str(len(said)))], said)


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
        b"GET /4 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        pipelined(5, b""),
        b"GET /6 HTTP/1.1\r\nHost: x\r\n\r\n",
        pipelined(7, b"b" * 300),
    )
)


@pytest.mark.parametrize("max_body", [0, 16_384])
@given(cuts=st.sets(st.integers(1, len(STREAM) - 1), max_size=8).map(sorted))
def test_pipelined_requests_are_answered_alike_however_they_are_split(
    max_body: int, cuts: list[int]
) -> None:
    handler = Handler(echo, FRAMING_FIELDS, max_body)
    whole = Talk(handler).send(STREAM)
    assert re.findall(rb" /(\d)", whole) == [b"%d" % number for number in range(8)]
    talk = Talk(handler)
    assert b"".join(talk.send(STREAM[a:b]) for a, b in pairwise([0, *cuts, len(STREAM)])) == whole


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
