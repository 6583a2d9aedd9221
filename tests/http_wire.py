"""Raw bytes over a connection, and a strict reading of what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.http_table import Case

# Seconds for an answer that is expected. Nothing is slow here: it only bounds a failing test.
_PATIENCE = 5.0
# Seconds without an answer after which a server counts as waiting.
_SILENCE = 0.5
_PROBE = b"GET /v1/probe HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n"
# The status of an answer of HTTP/0.9, which is a body alone.
_HEADLESS = 9
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [ -~\t]*\r\n")
_FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t\x80-\xff]*?)[ \t]*\r\n")


class MalformedAnswerError(AssertionError):
    """What a server sent is not a sequence of answers (RFC 9112)."""


@dataclass(frozen=True)
class Answer:
    """An answer; names of fields are in lower case."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def field(self, name: str) -> str | None:
        """The value of a field that comes at most once."""
        found = [value for each, value in self.fields if each == name]
        if len(found) > 1:
            raise MalformedAnswerError(f"{name} comes twice: {found}")
        return found[0] if found else None


def read_answers(received: bytes, methods: Iterable[bytes] = ()) -> list[Answer]:
    """Read answers to requests with these methods; those that are missing are like GET's."""
    answers: list[Answer] = []
    asked = iter(methods)
    at = 0
    while at < len(received):
        answer, at = _read_answer(received, at, asked)
        answers.append(answer)
    return answers


def _read_answer(received: bytes, at: int, asked: Iterator[bytes]) -> tuple[Answer, int]:
    begin = _STATUS_LINE.match(received, at)
    if begin is None and received.startswith(b"<html>"):
        return Answer(_HEADLESS, (), received), len(received)
    if begin is None:
        raise MalformedAnswerError(f"no status line: {received[at : at + 80]!r}")
    status, at = int(begin[1]), begin.end()
    fields = []
    while line := _FIELD_LINE.match(received, at):
        fields.append((line[1].decode().lower(), line[2].decode("latin-1")))
        at = line.end()
    if received[at : at + 2] != b"\r\n":
        raise MalformedAnswerError(f"no end of a head: {received[at : at + 80]!r}")
    head = Answer(status, tuple(fields), b"")
    method = next(asked, b"GET") if status >= 200 else b""
    body, end = _read_body(received, at + 2, head, method)
    return Answer(status, head.fields, body), end


def _read_body(received: bytes, at: int, head: Answer, method: bytes) -> tuple[bytes, int]:
    """Read the body of an answer (RFC 9112 6.3), and return where it ends."""
    length, coding = head.field("content-length"), head.field("transfer-encoding")
    if head.status < 200 or head.status == 204:
        if length or coding:
            raise MalformedAnswerError(f"{head.status} with the length of a body")
        return b"", at
    if method == b"HEAD":
        return b"", at
    if coding == "chunked" and length is None:
        chunks, end = [], at
        while size := re.compile(rb"([0-9a-f]{1,8})\r\n").match(received, end):
            begin, end = size.end(), size.end() + int(size[1], 16)
            chunks.append(received[begin:end])
            if received[end : end + 2] != b"\r\n":
                break
            end += 2
            if begin == end - 2:
                return b"".join(chunks), end
        raise MalformedAnswerError(f"a malformed chunk: {received[at:]!r}")
    if coding is None and length is None and head.field("connection") == "close":
        return received[at:], len(received)
    if coding is not None or length is None or not re.fullmatch("[0-9]+", length):
        raise MalformedAnswerError(f"lengths {length!r} and {coding!r}")
    end = at + int(length)
    if end > len(received):
        raise MalformedAnswerError(f"a body of {len(received) - at} bytes, not {length}")
    return received[at:end], end


@dataclass(frozen=True)
class Exchange:
    """What came back for a case: its answers, and what became of the connection."""

    answers: tuple[Answer, ...]
    end: str

    def __str__(self) -> str:
        statuses = [
            "headless" if each.status == _HEADLESS else str(each.status) for each in self.answers
        ]
        return " ".join([*statuses, self.end])


def exchange_all(port: int, cases: Iterable[Case], server: str) -> dict[str, Exchange]:
    """Send every case over a connection of its own, all at the same time."""

    async def all_of_them() -> dict[str, Exchange]:
        listed = list(cases)
        found = await asyncio.gather(
            *(_exchange(port, each, each.answers.get(server, "")) for each in listed)
        )
        return {case.name: each for case, each in zip(listed, found, strict=True)}

    return asyncio.run(all_of_them())


async def _exchange(port: int, case: Case, expected: str) -> Exchange:
    client = await Client.connected(port)
    try:
        client.send(case.sent, ends=case.ends)
        *statuses, end = expected.split() or [""]
        count = len(statuses) if end == "open" and not case.ends else None
        client.methods = methods(case.sent)
        await client.wait(_PATIENCE if end in ("open", "close") else _SILENCE, count)
        if client.closed.is_set():
            return client.so_far("close")
        before = len(client.statuses())
        client.send(_PROBE)
        await client.wait(_SILENCE if end == "waits" else _PATIENCE)
        is_open = client.closed.is_set() and client.statuses()[before:] == [404]
        return client.so_far("open" if is_open else "waits", before)
    finally:
        client.transport.abort()


class Client(asyncio.Protocol):
    """A connection that keeps what it received, be it reset afterwards or not."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.received = b""
        self.methods: list[bytes] = []
        self.closed = asyncio.Event()
        self._changed = asyncio.Event()

    @classmethod
    async def connected(cls, port: int) -> Client:
        """Connect to a port of this machine."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, "127.0.0.1", port)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._changed.set()

    def eof_received(self) -> None:
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            # A write has failed; what had arrived by then is still to be read.
            number = self.transport.get_extra_info("socket").fileno()
            left = socket.fromfd(number, socket.AF_INET, socket.SOCK_STREAM)
            with left, contextlib.suppress(OSError):
                while data := left.recv(65536):
                    self.received += data
        self._end()

    def _end(self) -> None:
        self.closed.set()
        self._changed.set()

    def send(self, data: bytes, *, ends: bool = False) -> None:
        """Send `data`, and this side's end if it `ends`; the server may have closed meanwhile."""
        if not self.transport.is_closing():
            self.transport.write(data)
            if ends:
                with contextlib.suppress(OSError):
                    self.transport.write_eof()

    async def wait(self, patience: float, count: int | None = None) -> None:
        """Wait until the server closes, or has sent so many answers, but no longer than that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not (self.closed.is_set() or len(self.statuses()) == count):
                    self._changed.clear()
                    await self._changed.wait()

    def statuses(self) -> list[int]:
        """The answers so far; none while one of them is incomplete."""
        try:
            return [each.status for each in read_answers(self.received, self.methods)]
        except MalformedAnswerError:
            return []

    def so_far(self, end: str, count: int | None = None) -> Exchange:
        answers = read_answers(self.received, self.methods)
        return Exchange(tuple(answers[:count]), end)


def methods(sent: bytes) -> list[bytes]:
    """The methods of what is sent, as far as requests are well-formed."""
    return re.findall(rb"(?:\A|\n)([A-Z]+) /\S* HTTP/1\.1\r\n", sent)
