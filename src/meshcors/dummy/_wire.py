"""HTTP/1.1 as bytes (RFC 9112): what an answer is written as, and what a request's target names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import unquote

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE: Final = b"connection: close\r\n"
_ABSOLUTE: Final = re.compile("https?://([^/]*)(/.*)?", re.IGNORECASE | re.DOTALL)


class Wire(NamedTuple):
    """The bytes of an answer; further fields go between `status_line` and `fields`."""

    status_line: bytes
    fields: bytes
    body: bytes


def wire(status: int, fields: Iterable[tuple[str, str]], body: bytes = b"") -> Wire:
    """Return the bytes of an answer, whose `fields` already tell the length of its body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    # RFC 9112 4
    status_line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return Wire(status_line.encode(), f"{lines}\r\n".encode("latin-1"), body)


def refusal(status: int) -> Wire:
    """Return the answer to what cannot be read as a request, or is too large."""
    text = f"{HTTPStatus(status).phrase}\n"
    fields = [("content-type", "text/plain; charset=utf-8"), ("content-length", str(len(text)))]
    return wire(status, fields, text.encode())


def date_line() -> bytes:
    """Return the Date field of this second (RFC 9110 6.6.1)."""
    return f"date: {formatdate(usegmt=True)}\r\n".encode()


def read_target(target: bytes) -> tuple[str, bytes | None]:
    """Return the path that a request's target names, and its authority (RFC 9112 3.2).

    The path is decoded once, without the query. It does not begin with ``/`` where the target is no
    path, as in ``OPTIONS *``. Only the absolute form has an authority.
    """
    path, authority = target.decode("ascii"), None
    if "?" in path:
        path = path.partition("?")[0]
    if not path.startswith("/"):
        absolute = _ABSOLUTE.fullmatch(path)
        if absolute:
            authority, path = absolute[1].encode(), absolute[2] or "/"
    return unquote(path) if "%" in path else path, authority
