"""The header fields of requests and responses: collected, merged, in the form of ASGI or WSGI.

Names are compared in lower case. ASGI carries fields as `bytes`, WSGI as `str`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from meshcors._policy.headers import CORS_RESPONSE_HEADERS, list_elements

Wire = TypeVar("Wire", bytes, str)


def merge_vary(values: Iterable[str], names: Iterable[str]) -> str | None:
    """Return one Vary value (RFC 9110 12.5.5) that has all of `values` and each of `names` once.

    None where `values` say it all already, as ``*`` does.
    """
    present = [element for value in values for element in list_elements(value)]
    lowered = {element.lower() for element in present}
    missing = [name for name in names if name.lower() not in lowered]
    if not missing or "*" in lowered:
        return None
    return ", ".join([*present, *missing])


def collect(
    headers: Iterable[tuple[bytes, bytes]], wanted: frozenset[bytes], limit: int
) -> dict[bytes, bytes]:
    """Return the `wanted` fields of a request, each once, in one pass over its header lines.

    `headers` are pairs with lower-case names, as ASGI has them. Several lines of one field are
    joined with a comma (RFC 9110 5.3). A value that is longer than `limit` bytes already is not
    made longer still, so that hostile repetition costs no more than its own length.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in wanted:
            if name not in found:
                found[name] = value
            elif len(found[name]) <= limit:
                found[name] = found[name] + b"," + value
    return found


# As most apps write the commonest fields: known without another look at their letters.
_COMMONEST: Final = ("content-length", "content-type", "Content-Length", "Content-Type")


class WireForm(Generic[Wire]):
    """How fields are carried: as `str` in WSGI, as latin-1 `bytes` in ASGI.

    `kind` is that type, `encode` makes it of a text. Apps are careless with it: what they send is
    read by `text_of`.
    """

    __slots__ = ("cors", "cors_and_vary", "encode", "kind", "plain", "vary")

    def __init__(self, kind: type[Wire], encode: Callable[[str], Wire]) -> None:
        self.kind: type[Wire] = kind
        self.encode: Callable[[str], Wire] = encode
        self.vary: Wire = encode("vary")
        self.cors: frozenset[Wire] = frozenset(encode(name) for name in CORS_RESPONSE_HEADERS)
        self.cors_and_vary: frozenset[Wire] = self.cors | {self.vary}
        self.plain: frozenset[Wire] = frozenset(encode(name) for name in _COMMONEST)

    def fields(self, fields: Iterable[tuple[str, str]]) -> list[tuple[Wire, Wire]]:
        """Return `fields` in this form."""
        return [(self.encode(name), self.encode(value)) for name, value in fields]


def latin1(text: str) -> bytes:
    """Return the bytes that carry `text` in a field (RFC 9110 5.5, obs-text included)."""
    return text.encode("latin-1")


def text(value: bytes) -> str:
    """Return the text of a field's value: `latin1` turned round."""
    return value.decode("latin-1")


def text_of(value: object) -> str:
    """Return the text of a field's name or value, whatever type an app has given it."""
    return text(bytes(value)) if isinstance(value, bytes | bytearray | memoryview) else str(value)


TEXT: Final = WireForm[str](str, str)
BYTES: Final = WireForm[bytes](bytes, latin1)


class Merge(Generic[Wire]):
    """What turns an app's response fields into those that leave the process.

    The app's own CORS fields are dropped, in any letter case; the names `vary` are merged into its
    Vary; the fields `own` are appended. All else stays as it was, objects and order included, and
    the app's list is never changed.
    """

    __slots__ = ("_own", "_special", "_tail", "_vary", "_wire")

    def __init__(
        self, own: Iterable[tuple[str, str]], vary: Sequence[str], wire: WireForm[Wire]
    ) -> None:
        self._wire: WireForm[Wire] = wire
        self._vary = vary
        self._own: list[tuple[Wire, Wire]] = wire.fields(own)
        line = [("vary", ", ".join(vary))] if vary else []
        self._tail: list[tuple[Wire, Wire]] = wire.fields(line) + self._own
        # With nothing to merge, the app's Vary is a field like any other.
        self._special: frozenset[Wire] = wire.cors_and_vary if vary else wire.cors

    def __call__(self, headers: Iterable[tuple[Wire, Wire]]) -> list[tuple[Wire, Wire]]:
        """Return the fields to send where the app sent `headers`, pairs of name and value."""
        special, plain, kind = self._special, self._wire.plain, self._wire.kind
        merged: list[tuple[Wire, Wire]] = []
        vary: list[tuple[Wire, Wire]] = []
        place = 0
        for field in headers:
            name = field[0]
            if name.__class__ is not kind:
                name = self._wire.encode(text_of(name))
            elif name in plain:
                merged.append(field)
                continue
            if (name := name.lower()) not in special:
                merged.append(field)
            elif name == self._wire.vary:
                place = place if vary else len(merged)
                vary.append(field)
        if not vary:
            merged += self._tail
            return merged
        merged[place:place] = self._merge_vary(vary)
        merged += self._own
        return merged

    def _merge_vary(self, fields: list[tuple[Wire, Wire]]) -> list[tuple[Wire, Wire]]:
        value = merge_vary((text_of(field[1]) for field in fields), self._vary)
        return fields if value is None else [(fields[0][0], self._wire.encode(value))]
