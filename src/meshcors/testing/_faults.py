"""What went wrong on the network, as a kind and one line.

A line names the server and never what was sent: neither a header's value nor a query.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from meshcors._policy.wording import printable

FaultKind: TypeAlias = Literal[
    "", "dns", "refused", "tls", "timeout", "reset", "protocol", "cut_short"
]

_CLOSED: Final = ("disconnected", "StreamReset", "ConnectionTerminated", "closed connection")
_LONGEST: Final = 120


class NetworkFault(NamedTuple):
    """Why there is no whole answer."""

    kind: FaultKind
    line: str


def fault_before_answer(error: Exception, server: str, seconds: float) -> NetworkFault:
    """Return the fault for an exception of httpx before an answer arrived.

    `server` is what the line calls the server, and `seconds` is the limit that a timeout reached.
    """
    if isinstance(error, UnicodeError):
        return NetworkFault("dns", f"{server} is no name that can be looked up")
    if isinstance(error, ValueError):
        # its text has what the server sent
        return NetworkFault("protocol", f"{server} does not answer in HTTP")
    name = type(error).__name__
    if name == "ConnectTimeout":
        return NetworkFault("timeout", f"no connection to {server} within {seconds:g} s")
    if name.endswith("Timeout"):
        return NetworkFault("timeout", f"no answer from {server} within {seconds:g} s")
    if name == "LocalProtocolError" and any(
        type(each).__module__.startswith(("h2.", "hpack", "hyperframe")) for each in _causes(error)
    ):
        # httpx takes a server's faulty frames for faults of its own
        return NetworkFault("protocol", f"{server} breaks the rules of HTTP/2")
    if name == "LocalProtocolError":
        # its text has the value of the field
        return NetworkFault("protocol", "HTTP does not allow a field of this request")
    if name == "RemoteProtocolError":
        if any(text in str(error) for text in _CLOSED):
            return NetworkFault("reset", f"{server} closed the connection without an answer")
        # not cut here: whoever hides a secret in it needs the whole of it
        return NetworkFault("protocol", f"{server} does not answer in HTTP: {error}")
    return _of_connection(error, server)


def fault_within_answer(error: Exception, size: int) -> NetworkFault:
    """Return the fault for an exception of httpx after `size` bytes of an answer's body."""
    if type(error).__name__.endswith("Timeout"):
        return ended_late(size)
    return NetworkFault("cut_short", f"the answer ended early, after {size} bytes of its body")


def ended_late(size: int) -> NetworkFault:
    """Return the fault of an answer that was still open when the time was over."""
    return NetworkFault("timeout", f"the answer had not ended in time, after {size} bytes")


def _of_connection(error: Exception, server: str) -> NetworkFault:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            reason = cause.strerror or "unknown name"
            return NetworkFault("dns", f"no address found for {server}: {_sentence(reason)}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = _sentence(cause.verify_message)
            return NetworkFault("tls", f"the certificate of {server} is not accepted: {reason}")
        if isinstance(cause, ssl.SSLError):
            return NetworkFault("tls", f"no TLS with {server}: {_tls_reason(cause)}")
    # the innermost is the system's
    system = next((each for each in reversed(causes) if isinstance(each, OSError)), None)
    reason = _sentence(system.strerror or "") if system is not None else ""
    if type(error).__name__ == "ConnectError":
        return NetworkFault("refused", f"cannot connect to {server}: {reason or error}")
    return NetworkFault("reset", f"{server} ended the connection: {reason or 'no reason known'}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _tls_reason(error: ssl.SSLError) -> str:
    reason = (error.reason or "").replace("_", " ").lower()
    if "wrong version" in reason or "record layer" in reason or "http request" in reason:
        return "it may speak plain HTTP there"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "it closed the connection during the handshake"
    return reason or "the handshake failed"


def _sentence(text: str) -> str:
    """Return the system's words as they follow a colon."""
    text = printable(text, _LONGEST).rstrip(".")
    return text[:1].lower() + text[1:]
