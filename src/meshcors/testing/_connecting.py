"""Connects to a name as browsers do: its addresses race, and one limit covers them all.

An address has a quarter of a second before the next one is tried beside it (RFC 8305, "Happy
Eyeballs"), and the first that answers is used. The limit covers the look-up of the name too.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain, zip_longest
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Final, TypeAlias, TypeVar

import httpcore
import httpx

from meshcors.mesh._documents.checks import is_ip

# Seconds between the starts of two attempts (RFC 8305, section 5).
_HEAD_START: Final = 0.25
_Found = TypeVar("_Found")
_Results: TypeAlias = "SimpleQueue[_Found | Exception]"


class RacingTransport(httpx.BaseTransport):
    """Sends the requests of httpx with httpcore, without a proxy; no connection is kept.

    httpx's own transport, which does the same, has no option for httpcore's backend.
    """

    def __init__(self, tls: ssl.SSLContext, *, http2: bool) -> None:
        self._connections = httpcore.ConnectionPool(
            ssl_context=tls,
            # a connection's name in the handshake is that of its first request
            max_keepalive_connections=0,
            http2=http2,
            network_backend=RacingBackend(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return its answer; raises `httpx.TransportError`."""
        url = request.url
        sent = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _errors_of_httpx():
            answer = self._connections.handle_request(sent)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _errors_of_httpx():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


@contextmanager
def _errors_of_httpx() -> Generator[None]:
    """Raise httpcore's errors as those of httpx, which have the same names."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "httpcore":
            raise
        kind = getattr(httpx, type(error).__name__, httpx.TransportError)
        raise kind(str(error)) from error


class RacingBackend(httpcore.NetworkBackend):
    """Opens connections for httpcore."""

    def __init__(self) -> None:
        self._one = httpcore.SyncBackend()
        # the address of each host that has answered is tried first
        self._answered: dict[str, str] = {}

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to the first of the host's addresses that answers.

        Raises `httpcore.ConnectTimeout`, `httpcore.ConnectError` (from a `socket.gaierror` if no
        address was found in time), or `UnicodeError` where the host is no name.
        """
        del local_address, socket_options  # this transport sets neither
        end = monotonic() + (timeout or 0.0)

        def connect(address: str) -> httpcore.NetworkStream:
            left = max(end - monotonic(), 0.01)
            return _Stream(self._one.connect_tcp(address, port, left, None, ()))

        addresses = _addresses(host, port, end)
        if len(addresses) == 1:
            return connect(addresses[0])
        addresses.sort(key=lambda each: each != self._answered.get(host))
        found = _first_of([partial(connect, each) for each in addresses], end)
        with suppress(OSError):  # closed already
            self._answered[host] = str(found.get_extra_info("server_addr")[0])
        return found


class _Stream(httpcore.NetworkStream):
    """A connection whose handshake leaves no socket open, however the other side ends it."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Return the connection over TLS; raises `httpcore.ConnectError`."""
        try:
            # of a connection that is reset by now, Python's ssl would leave the socket open
            self.get_extra_info("socket").getpeername()
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(error) from error
        return self._stream.start_tls(ssl_context, server_hostname, timeout)


def _addresses(host: str, port: int, end: float) -> list[str]:
    """Return the addresses of a host, those of the two families in turn (RFC 8305, section 4)."""
    if is_ip(host):
        return [host]
    results: _Results[list[Any]] = SimpleQueue()
    # nothing else ends a look-up that takes long
    _start(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), results)
    try:
        found = results.get(timeout=max(end - monotonic(), 0.0))
    except Empty:
        found = socket.gaierror(socket.EAI_AGAIN, "the look-up took too long")
    if isinstance(found, Exception):
        try:
            raise found
        except OSError as error:
            # httpcore drops the cause of what it passes on, and keeps the context
            raise httpcore.ConnectError(error) from error
    families: dict[int, list[str]] = {}
    for family, *_, address in found:
        families.setdefault(family, []).append(str(address[0]))
    in_turn = chain.from_iterable(zip_longest(*families.values()))
    return list(dict.fromkeys(each for each in in_turn if each is not None))


def _first_of(
    attempts: Sequence[Callable[[], httpcore.NetworkStream]], end: float
) -> httpcore.NetworkStream:
    """Return the first connection; raise what the first attempt to fail says if all of them fail.

    An attempt that fails does not keep the next one waiting.
    """
    results: _Results[httpcore.NetworkStream] = SimpleQueue()
    left = list(attempts)
    failed: list[Exception] = []
    while len(failed) < len(attempts):
        if left:
            _start(left.pop(0), results)
        wait = min(_HEAD_START, end - monotonic()) if left else end - monotonic()
        try:
            found = results.get(timeout=max(wait, 0.0))
        except Empty:
            if monotonic() < end:
                continue
            break
        if not isinstance(found, Exception):
            running = len(attempts) - len(left) - len(failed) - 1
            _close_later(results, running)
            return found
        failed.append(found)
    running = len(attempts) - len(left) - len(failed)
    _close_later(results, running)
    if running or left or not failed:
        raise httpcore.ConnectTimeout
    raise failed[0]


def _start(work: Callable[[], _Found], results: _Results[_Found]) -> None:
    """Do `work` beside; what it returns or raises is put into `results`."""

    def run() -> None:
        try:
            results.put(work())
        except Exception as error:  # raised by whoever waits
            results.put(error)

    threading.Thread(target=run, daemon=True).start()


def _close_later(results: _Results[httpcore.NetworkStream], running: int) -> None:
    """Close what attempts that are still `running` connect to."""

    def close() -> None:
        for _ in range(running):
            found = results.get()
            if not isinstance(found, Exception):
                with suppress(OSError):
                    found.close()

    if running:
        threading.Thread(target=close, daemon=True).start()
