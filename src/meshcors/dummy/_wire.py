"""HTTP/1.1 as bytes (RFC 9112): what answers are written as, and what a target names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from time import gmtime, strftime
from typing import Final, NamedTuple
from urllib.parse import unquote

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE: Final = b"connection: close\r\n"
_ABSOLUTE: Final = re.compile("https?://([^/?]*)(.*)", re.IGNORECASE)


class WireAnswer(NamedTuple):
    """The bytes of an answer: its first line, what comes after, and that without the body.

    Further fields go after the first line.
    """

    begin: bytes
    end: bytes
    bodiless: bytes


def wire(status: int, fields: Iterable[tuple[str, str]], body: bytes = b"") -> WireAnswer:
    """Return the bytes of an answer, whose `fields` already tell the length of its body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    # RFC 9112 4
    status_line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    bodiless = f"{lines}\r\n".encode("latin-1")
    return WireAnswer(status_line.encode(), bodiless + body, bodiless)


def refusal(status: int) -> WireAnswer:
    """Return the answer to what cannot be read as a request, or is too large."""
    text = f"{HTTPStatus(status).phrase}\n"
    fields = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(text)))]
    return wire(status, fields, text.encode())


def date_line() -> bytes:
    """Return the Date field of this second (RFC 9110 6.6.1)."""
    return strftime("date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime()).encode()


def read_target(target: str) -> tuple[str, bytes | None]:
    """Return the path of a request's target, and the authority of one in absolute form.

    The path is decoded once, without the query (RFC 9112 3.2). It does not begin with ``/`` where
    the target is no path, as in ``OPTIONS *``.
    """
    authority = None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute:
        authority, target = absolute[1].encode(), absolute[2]
    return unquote(target.partition("?")[0]) or "/", authority
