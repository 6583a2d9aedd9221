"""JSON to values that know their place in the text; the values are made by the caller.

Python's own reader tells no places. Nesting is bounded, and the time is linear in the text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_NESTED: Final = 200

_SPACE: Final = r"[ \t\n\r]*"
_STRING: Final = r'"((?:[^"\\]|\\.)*)"'
_KEY: Final = re.compile(f"{_SPACE}({_STRING}){_SPACE}:{_SPACE}", re.DOTALL)
_SCALAR: Final = re.compile(rf"{_STRING}|-?[0-9][-+.0-9eE]*|true|false|null", re.DOTALL)
_NEXT: Final = re.compile(f"{_SPACE}(.?){_SPACE}", re.DOTALL)


class NotJsonError(Exception):
    """The text is not JSON from the offset ``at`` on."""

    def __init__(self, at: int) -> None:
        self.at = at
        super().__init__(at)


class Maker(Protocol):
    """Makes a value of a part of the text, from the offset ``start`` to ``end``."""

    def scalar(self, value: Any, token: str, start: int, end: int) -> Any:
        """Make a string, number, boolean or null, written as ``token``."""

    def list(self, items: list[Any], start: int, end: int) -> Any:
        """Make a list of values that are made."""

    def object(self, fields: Sequence[tuple[str, int, int, Any]], start: int, end: int) -> Any:
        """Make an object; a field has a name, the start and end of its name, and a value."""


class JsonReader:
    """Reads one text. An object that ``skipped`` matches is read as an empty one, quickly."""

    def __init__(self, text: str, maker: Maker, skipped: re.Pattern[str] | None = None) -> None:
        self._text, self._maker, self._skipped = text, maker, skipped
        self._decoder = json.JSONDecoder()

    def read(self) -> Any:
        """Return the value of the whole text.

        ``NotJsonError`` is raised for a text that is not JSON, ``RecursionError`` for one that is
        nested too deeply.
        """
        start = len(self._text) - len(self._text.lstrip("\ufeff \t\n\r"))
        value, end = self._value(start, 0)
        rest = self._text[end:].lstrip(" \t\n\r")
        if rest:
            raise NotJsonError(len(self._text) - len(rest))
        return value

    def _value(self, at: int, depth: int) -> tuple[Any, int]:
        text = self._text
        first = text[at : at + 1]
        if first in {"{", "["} and depth == _MOST_NESTED:
            raise RecursionError
        if first == "{":
            return self._object(at, depth + 1)
        if first == "[":
            return self._list(at, depth + 1)
        found = _SCALAR.match(text, at)
        if found is None:
            raise NotJsonError(at)
        token, inner = found[0], found[1]
        plain = inner is not None and "\\" not in inner
        value = inner if plain else self._decoded(token, at)
        return self._maker.scalar(value, token, at, found.end()), found.end()

    def _decoded(self, token: str, at: int) -> Any:
        try:
            value = self._decoder.decode(token)
            # half of a surrogate pair is not text
            return value if not isinstance(value, str) else value.encode().decode()
        except ValueError:
            raise NotJsonError(at) from None

    def _object(self, start: int, depth: int) -> tuple[Any, int]:
        text = self._text
        if self._skipped is not None and self._skipped.match(text, start):
            try:
                end = self._decoder.raw_decode(text, start)[1]
            except ValueError as error:
                raise NotJsonError(getattr(error, "pos", start)) from None
            return self._maker.object((), start, end), end
        fields: list[tuple[str, int, int, Any]] = []
        after = _NEXT.match(text, start + 1)
        if after is not None and after[1] == "}":
            return self._maker.object(fields, start, after.end(1)), after.end(1)
        at = start + 1
        while True:
            key = _KEY.match(text, at)
            if key is None:
                raise NotJsonError(at)
            name = key[2]
            if "\\" in name:
                name = self._decoded(key[1], key.start(1))
            value, at = self._value(key.end(), depth)
            fields.append((name, key.start(1), key.end(1), value))
            after = _NEXT.match(text, at)
            if after is None or after[1] not in {",", "}"}:
                raise NotJsonError(at if after is None else after.start(1))
            at = after.end()
            if after[1] == "}":
                return self._maker.object(fields, start, after.end(1)), after.end(1)

    def _list(self, start: int, depth: int) -> tuple[Any, int]:
        text = self._text
        items: list[Any] = []
        after = _NEXT.match(text, start + 1)
        if after is not None and after[1] == "]":
            return self._maker.list(items, start, after.end(1)), after.end(1)
        at = after.start(1) if after is not None else start + 1
        while True:
            value, at = self._value(at, depth)
            items.append(value)
            after = _NEXT.match(text, at)
            if after is None or after[1] not in {",", "]"}:
                raise NotJsonError(at if after is None else after.start(1))
            at = after.end()
            if after[1] == "]":
                return self._maker.list(items, start, after.end(1)), after.end(1)
