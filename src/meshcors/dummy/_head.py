"""What a request's head means (RFC 9112): what follows it, and the path and host it asks for.

httptools has read it. What it lets pass, but other programs read in another way, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from meshcors._decision.fields import join_lines
from meshcors._decision.preflight import MAX_LIST_BYTES

_ABSOLUTE: Final = re.compile("https?://([^/?]*)(.*)", re.IGNORECASE)


class RefusedError(Exception):
    """Ends the parsing of a request, which is answered with `status`."""

    def __init__(self, status: int) -> None:
        self.status = status


class Framing(NamedTuple):
    """What follows a head.

    `closes` is whether that is in doubt, so that nothing more may be read. With `waits`, the client
    sends the body once it is asked to (RFC 9110 10.1.1).
    """

    closes: bool
    waits: bool


def framing(parser: Any, fields: Mapping[bytes, bytes], *, reads_body: bool) -> Framing:
    """Return what follows a head that httptools' `parser` has just read.

    `reads_body` is whether a body is read, or discarded. Raises `RefusedError`.
    """
    version = parser.get_http_version()
    coding = fields.get(b"transfer-encoding")
    has_body = coding is not None or fields.get(b"content-length", b"0").strip(b"0 ") != b""
    if version == "1.1":
        if b"host" not in fields:
            raise RefusedError(400)  # RFC 9112 3.2
    elif version != "1.0" or coding is not None:
        raise RefusedError(400)  # RFC 9112 2.3, 6.1
    if coding is not None and coding.strip(b" ").lower() != b"chunked":
        raise RefusedError(501)  # RFC 9112 6.1
    # httptools takes the body of an upgrade for the new protocol.
    skipped = parser.should_upgrade() and has_body
    if reads_body and skipped:
        raise RefusedError(400)
    # A client that asks first may or may not send the body after an answer.
    asks = has_body and b"expect" in fields
    closes = version == "1.0" or skipped or (asks and not reads_body)
    return Framing(closes, asks and reads_body and version == "1.1")


def read_target(target: str, fields: dict[bytes, bytes]) -> str:
    """Return the path of a target of any form, decoded once, without the query (RFC 9112 3.2).

    It does not begin with ``/`` where the target is no path, as in ``OPTIONS *``. The authority of
    an absolute target is taken into the Host of `fields`. Raises `RefusedError`.
    """
    if "#" in target:
        raise RefusedError(400)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute:
        authority, target = absolute[1].encode(), absolute[2]
        # RFC 9112 3.2.2 has the Host field ignored. If it differs, some programs read one and some
        # the other: then the host is ambiguous.
        host = fields.setdefault(b"host", authority)
        if host.strip().lower() != authority.lower():
            fields[b"host"] = join_lines(host, authority, MAX_LIST_BYTES)
    return unquote(target.partition("?")[0]) or "/"
