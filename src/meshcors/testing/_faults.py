"""What went wrong on the network, as a kind and one line.

A line names the server and never what was sent: neither a header's value nor a query.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from meshcors._policy.wording import printable

FaultKind: TypeAlias = Literal[
    "", "dns", "refused", "tls", "timeout", "closed", "reset", "protocol", "cut_short"
]

RequestStep: TypeAlias = Literal["connect", "tls", "answer"]

_LATE: Final[dict[RequestStep, str]] = {
    "connect": "no connection to {server} within {seconds}",
    "tls": "{server} does not answer the TLS handshake within {seconds}: it may speak plain HTTP",
    "answer": "no answer from {server} within {seconds}",
}
_HUNG_UP: Final = "it closed the connection during the handshake"
_CLOSED: Final[dict[str, FaultKind]] = {
    "disconnected": "closed",
    "closed connection": "closed",
    "StreamReset": "reset",
    "ConnectionTerminated": "reset",
}
_LONGEST: Final = 120


class NetworkFault(NamedTuple):
    """Why there is no whole answer."""

    kind: FaultKind
    line: str


def fault_of_time(step: RequestStep, server: str, seconds: float) -> NetworkFault:
    """Return the fault of a request that was at `step` when its seconds were over."""
    return NetworkFault("timeout", _LATE[step].format(server=server, seconds=f"{seconds:g} s"))


def fault_before_answer(error: Exception, server: str, step: RequestStep) -> NetworkFault:
    """Return the fault for an exception of httpx before an answer arrived, but for a timeout.

    `server` is what the line calls the server; the request was at `step`.
    """
    if isinstance(error, UnicodeError):
        return NetworkFault("dns", f"{server} is no name that can be looked up")
    if isinstance(error, ValueError):
        # its text has what the server sent
        return NetworkFault("protocol", f"{server} does not answer in HTTP")
    name = type(error).__name__
    if name == "LocalProtocolError" and any(
        type(each).__module__.startswith(("h2.", "hpack", "hyperframe")) for each in _causes(error)
    ):
        # httpx takes a server's faulty frames for faults of its own
        return NetworkFault("protocol", f"{server} breaks the rules of HTTP/2")
    if name == "LocalProtocolError":
        # its text has the value of the field
        return NetworkFault("protocol", "HTTP does not allow a field of this request")
    if name == "RemoteProtocolError":
        for text, kind in _CLOSED.items():
            if text in str(error):
                return NetworkFault(kind, f"{server} closed the connection without an answer")
        # not cut here: whoever hides a secret in it needs the whole of it
        return NetworkFault("protocol", f"{server} does not answer in HTTP: {_said(str(error))}")
    return _of_connection(error, server, step)


# What h11 says of an answer, and what people read.
_WORDS: Final = (
    ("Receive buffer too long", "the head of the answer is too long"),
    # it does not begin with a letter
    ("illegal request line", "it may speak TLS, or HTTP/2 without TLS, which no browser does"),
    ("_SWITCH_UPGRADE", "it switches to another protocol, which nobody asked for"),
    ("InformationalResponse status_code", "its status is none of HTTP's"),
)
# Python's spelling of what the server sent
_BYTES: Final = re.compile(r"bytearray\(b(['\"])(.*)\1\)", re.DOTALL)


def _said(text: str) -> str:
    """Return what an exception says of an answer, in words for people."""
    words = next((known for found, known in _WORDS if found in text), text)
    return _BYTES.sub(r"\2", words)


def fault_within_answer(error: Exception, size: int) -> NetworkFault:
    """Return the fault for an exception of httpx after `size` bytes of an answer's body."""
    if type(error).__name__.endswith("Timeout"):
        return ended_late(size)
    return NetworkFault("cut_short", f"the answer ended early, after {size} bytes of its body")


def ended_late(size: int) -> NetworkFault:
    """Return the fault of an answer that was still open when the time was over."""
    return NetworkFault("timeout", f"the answer had not ended in time, after {size} bytes")


def _of_connection(error: Exception, server: str, step: RequestStep) -> NetworkFault:
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
    is_connecting = type(error).__name__ == "ConnectError"
    if is_connecting and step == "tls":
        return NetworkFault("tls", f"no TLS with {server}: {_HUNG_UP}")
    if is_connecting and not isinstance(system, ConnectionResetError):
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
        return _HUNG_UP
    return reason or "the handshake failed"


def _sentence(text: str) -> str:
    """Return the system's words as they follow a colon."""
    text = printable(text, _LONGEST).rstrip(".")
    return text[:1].lower() + text[1:]
