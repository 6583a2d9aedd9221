"""What answers the requests of a port: a function of a request, which never waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from meshcors.dummy._wire import Wire

# The request fields that the protocol reads itself.
FRAMING_FIELDS: Final = frozenset(
    b"host connection proxy-connection expect content-length transfer-encoding".split()
)


# Called with a request's method, its path, decoded once, its fields and its body.
Handle: TypeAlias = Callable[[str, str, Mapping[bytes, bytes], bytes], Wire]


class Handler(NamedTuple):
    """What answers the requests of a port.

    `reads` are the fields that it is given, in lower case, `FRAMING_FIELDS` among them; several
    lines of one are joined with a comma. `max_body` is how many bytes of body it reads.
    """

    handle: Handle
    reads: frozenset[bytes]
    max_body: int = 0
