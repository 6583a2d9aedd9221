"""No stream of bytes crashes the pod's protocol, puts it out of step, or makes it grow.

In process, with a transport that only remembers, and against h11, which reads the same bytes
independently. `tests/e2e/test_pod_http_fuzz.py` does the same to a real pod.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from urllib.parse import unquote

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors.dummy._logs import LOGGER
from meshcors.dummy._port import FRAMING_FIELDS, Handler, Port, WireAnswer, wire
from meshcors.dummy._protocol import ClientConnection
from tests.http_streams import Sent, mutated, pieces, valid_stream
from tests.http_wire import read_answers
from tests.searching import examples

DATE = b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
# Mutated streams in each run of the tests; `nox -s load` tries many more.
STREAMS = 6_000
MOST_BODY = 16 * 1024

# The fields that the handler reads, and that are sent.
NAMES = frozenset({b"accept", b"origin", b"x-trailer", b"access-control-request-method", b"host"})


@dataclass(frozen=True)
class Read:
    """A request as a reader understood it."""

    method: str
    path: str
    fields: tuple[tuple[str, str], ...]
    body: str = ""

    @classmethod
    def of(
        cls, method: bytes, path: str, fields: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> Read:
        lines: dict[str, str] = {}
        for name, value in fields:
            if name in NAMES:
                text, key = value.strip(b" \t").decode("latin-1"), name.decode()
                # RFC 9110 5.3, and without the white space around commas
                lines[key] = f"{lines[key]},{text}" if key in lines else text
        joined = {name: ",".join(map(str.strip, text.split(","))) for name, text in lines.items()}
        return cls(method.decode(), path, tuple(sorted(joined.items())), body.decode("latin-1"))


class Transport(asyncio.Transport):
    """Remembers what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = False
        self.paused = False
        # Bytes that may wait for the client until the connection is paused; None for any.
        self.most: int | None = None
        self._waiting = 0

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def write(self, data: Any) -> None:
        assert not self.ended, "written after the end"
        self.written += data
        before, self._waiting = self._waiting, self._waiting + len(data)
        if self.most is not None and before <= self.most < self._waiting:
            self._protocol.pause_writing()

    def read_all(self) -> None:
        """Let the client read what waits for it."""
        assert self.most is not None
        if self._waiting > self.most:
            self._protocol.resume_writing()
        self._waiting = 0

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Pod:
    """A port whose handler answers with what it was asked, and remembers it."""

    def __init__(self, max_body: int = 0) -> None:
        self.read: list[Read] = []
        handler = Handler(self._answer, FRAMING_FIELDS | NAMES, max_body)
        self.later: list[Callable[[], None]] = []
        self.port = Port(lambda: handler, 4096, 8192, date=DATE)
        self.port.call_soon = self.later.append

    def _answer(
        self, method: str, path: str, fields: Mapping[bytes, bytes], body: bytes
    ) -> WireAnswer:
        read = Read.of(method.encode(), path, fields.items(), body)
        self.read.append(read)
        body = repr(read).encode()
        return wire(200, [("content-length", str(len(body)))], body)

    @contextmanager
    def connection(self) -> Iterator[tuple[ClientConnection, Transport]]:
        connection, transport = ClientConnection(self.port), Transport()
        transport.set_protocol(connection)
        connection.connection_made(transport)
        try:
            yield connection, transport
        finally:
            connection.connection_lost(None)

    def run(self) -> None:
        """Do what the event loop would do."""
        while self.later:
            self.later.pop(0)()

    def answers(self, parts: list[bytes]) -> bytes:
        """What is written, byte for byte, when `parts` arrive one after the other."""
        with self.connection() as (connection, transport):
            for part in parts:
                connection.data_received(part)
                self.run()
            return bytes(transport.written)


@contextmanager
def no_errors() -> Iterator[None]:
    """Nothing is logged: an exception in a callback would be."""
    logged: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(self.format(record))

    keeper = Keeper()
    LOGGER.addHandler(keeper)
    try:
        yield
    finally:
        LOGGER.removeHandler(keeper)
    assert logged == []


def each_alone(requests: list[Sent], max_body: int) -> bytes:
    """The answers to each request on a connection of its own, up to the one that closes."""
    answers = b""
    for each in requests:
        answers += Pod(max_body).answers([each.data])
        if each.closes and not (max_body and b"Expect" in each.data):
            break
    return answers


@pytest.mark.parametrize("max_body", [0, MOST_BODY], ids=["skips bodies", "reads bodies"])
@examples(150)
@given(seed=st.integers(0, 2**32))
def test_however_a_stream_is_cut_it_gets_the_answers_of_each_request_alone(
    max_body: int, seed: int
) -> None:
    random = Random(seed)
    requests = valid_stream(random)
    data = b"".join(each.data for each in requests)
    with no_errors():
        expected = each_alone(requests, max_body)
        pod = Pod(max_body)
        assert pod.answers([data]) == expected
        assert Pod(max_body).answers(pieces(random, data)) == expected
        bytewise = [data[at : at + 1] for at in range(len(data))]
        assert Pod(max_body).answers(bytewise) == expected
    methods = [each.method.encode() for each in pod.read]
    assert pod.read == read_by_h11(data, whole=max_body > 0)[: len(pod.read)]
    finals = [each.status for each in read_answers(expected, methods) if each.status >= 200]
    assert finals == [200] * len(pod.read)


@examples(60)
@given(seed=st.integers(0, 2**32))
def test_a_client_that_reads_now_and_then_gets_the_same_answers(seed: int) -> None:
    random = Random(seed)
    requests = [each for _ in range(20) for each in valid_stream(random) if not each.closes]
    data = b"".join(each.data for each in requests)

    def slowly() -> bytes:
        pod = Pod()
        with pod.connection() as (connection, transport):
            transport.most = random.choice((1, 500, 5000))
            for part in [*pieces(random, data), b""]:
                if part:
                    connection.data_received(part)
                    if random.random() < 0.3:
                        # An event loop may hand over what it has read, paused or not.
                        continue
                while transport.paused and not transport.ended:
                    transport.read_all()
                    pod.run()
            return bytes(transport.written)

    with no_errors():
        assert slowly() == Pod().answers([data])


# --- malformed


def attack(pod: Pod, random: Random) -> tuple[bytes, bytes, list[Read]]:
    """Send a mutated stream in pieces, then a valid request; return it, and what came back."""
    data = mutated(random, b"".join(each.data for each in valid_stream(random, closing=False)))
    pod.read.clear()
    with pod.connection() as (connection, transport):
        for part in pieces(random, data):
            connection.data_received(part)
            pod.run()
        read = list(pod.read)
        if transport.ended:
            before = bytes(transport.written)
            connection.data_received(SENTINEL)
            pod.run()
            assert transport.written == before, "answered after the end"
            assert pod.read == read, "read after the end"
        connection.eof_received()
        return data, bytes(transport.written), read


SENTINEL = (
    b"OPTIONS /sentinel HTTP/1.1\r\nHost: api.example\r\nOrigin: https://%d.example\r\n"
    b"Access-Control-Request-Method: POST\r\n\r\n"
)


def check_streams(seeds: range, max_body: int) -> tuple[int, int]:
    """Attack with a stream for each seed; return how many requests were read, and refused."""
    pod, other = Pod(max_body), Pod(max_body)
    read_in_all = refused = 0
    with no_errors(), other.connection() as (sentinel, answered):
        for seed in seeds:
            try:
                data, written, read = attack(pod, Random(seed))
                methods = [each.method.encode() for each in read]
                answers = [each for each in read_answers(written, methods) if each.status >= 200]
                statuses = [each.status for each in answers]
                # A refusal is the last answer, and announces the end.
                count = len(read)
                assert statuses[:count] == [200] * count
                assert len(statuses) <= count + 1
                for answer in answers[count:]:
                    assert answer.status in (400, 413, 431, 501)
                    assert answer.field("connection") == "close"
                reference = read_by_h11(data, whole=max_body > 0)
                assert read == reference[:count], f"h11 reads {reference}"
                read_in_all += count
                refused += len(statuses) - count
                answered.written.clear()
                sentinel.data_received(SENTINEL % seed)
                other.run()
                assert b"https://%d.example" % seed in answered.written
                assert len(read_answers(bytes(answered.written))) == 1
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}\n{data!r}\n{written!r}") from None
    assert not pod.port.connections
    return read_in_all, refused


def read_by_h11(data: bytes, *, whole: bool) -> list[Read]:
    """The requests that h11 reads in `data`, each by a reader of its own: heads, or whole ones."""
    found: list[Read] = []
    # h11 skips no empty lines before a request (RFC 9112 2.2), and takes one space only.
    while data := data.lstrip(b"\r\n"):
        data = re.sub(rb"\A([A-Z]+) +(\S+) +(HTTP/1\.[01]\r\n)", rb"\1 \2 \3", data)
        reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        reader.receive_data(data)
        try:
            head = reader.next_event()
            if not isinstance(head, h11.Request):
                return found
            request = Read.of(head.method, path_of(head.target), head.headers, b"")
            if not whole:
                found.append(request)
            body = b""
            while isinstance(event := reader.next_event(), h11.Data):
                body += event.data
            if not isinstance(event, h11.EndOfMessage):
                return found
            if whole:
                found.append(replace(request, body=body.decode("latin-1")))
        except h11.RemoteProtocolError:
            return found
        if reader.their_state is h11.MUST_CLOSE:
            return found
        data = reader.trailing_data[0]
    return found


def path_of(target: bytes) -> str:
    return unquote(target.partition(b"?")[0].decode("ascii"))


@pytest.mark.parametrize("max_body", [0, MOST_BODY], ids=["skips bodies", "reads bodies"])
def test_mutated_streams_never_put_it_out_of_step(max_body: int) -> None:
    read, refused = check_streams(range(STREAMS // 2), max_body)
    # The faults are faults, and leave something to read.
    assert read > STREAMS // 4
    assert refused > STREAMS // 10


@pytest.mark.load
def test_many_more_mutated_streams() -> None:
    for max_body in (0, MOST_BODY):
        check_streams(range(STREAMS, 12 * STREAMS), max_body)


def test_mutated_streams_leave_nothing_behind() -> None:
    check_streams(range(300), 0)
    before = kept()
    check_streams(range(300, 1300), 0)
    # A stream that left a single block behind would leave a thousand.
    assert kept() - before < 300
    assert not [each for each in gc.get_objects() if type(each) is ClientConnection]


def kept() -> int:
    gc.collect()
    return sys.getallocatedblocks()
