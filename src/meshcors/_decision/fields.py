"""Header fields: collected from requests and merged into responses, for ASGI and WSGI.

Names are compared case-insensitively. ASGI represents fields as `bytes`, WSGI as `str`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, Generic, TypeVar

from meshcors._policy.headers import CORS_RESPONSE_HEADERS, list_elements

Wire = TypeVar("Wire", bytes, str)


def merge_vary(values: Iterable[str], names: Iterable[str]) -> str | None:
    """Return a Vary value (RFC 9110 12.5.5) with all of `values`, and each of `names` once.

    None if `values` already cover the names, as ``*`` does.
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
    """Return the `wanted` fields of a request, in one pass over its header lines.

    `headers` are pairs with lower-case names, as in ASGI. Several lines of one field are joined
    with a comma (RFC 9110 5.3), but nothing is added to a value of more than `limit` bytes, so that
    hostile repetition costs no more than its own length.
    """
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in wanted:
            if name not in found:
                found[name] = value
            else:
                found[name] = join_lines(found[name], value, limit)
    return found


def join_lines(before: bytes, value: bytes, limit: int) -> bytes:
    """Return the value of a field whose lines so far are `before`; see `collect`."""
    return before + b"," + value if len(before) <= limit else before


# The commonest fields, as most apps write them; recognized without a case conversion.
_COMMONEST: Final = ("content-length", "content-type", "Content-Length", "Content-Type")


class WireForm(Generic[Wire]):
    """The representation of fields: `str` in WSGI, latin-1 `bytes` in ASGI.

    `type` is that type, and `encode` converts a text to it. Apps may send other types, which
    `text_of` reads.
    """

    __slots__ = ("cors", "cors_and_vary", "encode", "plain", "type", "vary")

    def __init__(self, wire_type: type[Wire], encode: Callable[[str], Wire]) -> None:
        self.type: type[Wire] = wire_type
        self.encode: Callable[[str], Wire] = encode
        self.vary: Wire = encode("vary")
        self.cors: frozenset[Wire] = frozenset(encode(name) for name in CORS_RESPONSE_HEADERS)
        self.cors_and_vary: frozenset[Wire] = self.cors | {self.vary}
        self.plain: frozenset[Wire] = frozenset(encode(name) for name in _COMMONEST)

    def fields(self, fields: Iterable[tuple[str, str]]) -> list[tuple[Wire, Wire]]:
        """Return `fields` in this representation."""
        return [(self.encode(name), self.encode(value)) for name, value in fields]


def latin1(text: str) -> bytes:
    """Return `text` as the bytes of a field (RFC 9110 5.5, including obs-text)."""
    return text.encode("latin-1")


def text(value: bytes) -> str:
    """Return the text of a field's value: the inverse of `latin1`."""
    return value.decode("latin-1")


def text_of(value: object) -> str:
    """Return the text of a field's name or value, whatever its type."""
    return text(bytes(value)) if isinstance(value, bytes | bytearray | memoryview) else str(value)


TEXT: Final = WireForm[str](str, str)
# Thousands of policies have the same few fields: they share the bytes.
BYTES: Final = WireForm[bytes](bytes, lru_cache(maxsize=256)(latin1))


class Merge(Generic[Wire]):
    """Turns the response fields of an app into those that are sent.

    CORS fields of the app are dropped, in any letter case. The names in `vary` are merged into its
    Vary, and the fields `own` are appended. Everything else stays as it was, including objects and
    order, and the app's list is not modified.
    """

    __slots__ = ("_own", "_plain", "_special", "_tail", "_type", "_vary", "_wire")

    def __init__(
        self, own: Iterable[tuple[str, str]], vary: Sequence[str], wire: WireForm[Wire]
    ) -> None:
        self._wire: WireForm[Wire] = wire
        # Of its own, as each look-up counts: they are used in every request.
        self._plain: frozenset[Wire] = wire.plain
        self._type: type[Wire] = wire.type
        self._vary = vary
        self._own: list[tuple[Wire, Wire]] = wire.fields(own)
        line = [("vary", ", ".join(vary))] if vary else []
        self._tail: list[tuple[Wire, Wire]] = wire.fields(line) + self._own
        # Without names to merge, Vary is a field like any other.
        self._special: frozenset[Wire] = wire.cors_and_vary if vary else wire.cors

    def __call__(self, headers: Iterable[tuple[Wire, Wire]]) -> list[tuple[Wire, Wire]]:
        """Return the fields to send instead of the app's `headers`, pairs of name and value."""
        plain, wire_type = self._plain, self._type
        fields: list[tuple[Wire, Wire]] = []
        fields += headers
        for name, _ in fields:
            if type(name) is not wire_type or name not in plain:
                return self._merge_each(fields)
        fields += self._tail
        return fields

    def _merge_each(self, fields: list[tuple[Wire, Wire]]) -> list[tuple[Wire, Wire]]:
        """Return the fields to send where some of the app's may be CORS fields or Vary."""
        special, wire_type = self._special, self._wire.type
        merged: list[tuple[Wire, Wire]] = []
        vary: list[tuple[Wire, Wire]] = []
        place = 0
        for field in fields:
            name = field[0]
            if name.__class__ is not wire_type:
                name = self._wire.encode(text_of(name))
            # some servers strip names before they send them
            if (name := name.strip().lower()) not in special:
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
