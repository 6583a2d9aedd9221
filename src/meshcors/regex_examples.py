"""Texts that a regular expression matches: what a rule would be hit by, made from the rule.

Enough of RE2's syntax for what people write into routes and origins. A result is checked against
the expression itself, so a construct that is read wrong gives nothing and never a wrong answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from meshcors.origins import CompiledRegex, OriginError, Regex

_REPEAT: Final = re.compile(r"([*+?]|\{(\d{1,3})(,\d{0,4})?\})[?+]?")
_CLASSES: Final = {"d": "1", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_POSIX: Final = re.compile(r"\[:(\^?)(\w+):\]")
# How many alternatives, and how many combinations of them, are gone through.
_MOST: Final = 64


def example_of(pattern: str, *, dot: str = "x") -> str | None:
    """Return a short text that the whole of ``pattern`` matches, None where none is found.

    Every ``.`` is written as ``dot``; ``*`` and ``?`` as nothing, of alternatives the first.
    """
    return _Maker(dot, 0, lambda _: 0).make(pattern)


def examples_of(pattern: str) -> list[str]:
    """Return different texts that ``pattern`` matches, such that each alternative is in one.

    With and without what is optional; a ``.`` is a letter here and a dot there. Of few alternatives
    all combinations are tried, of very many the first ones only.
    """
    bars = pattern.count("|")
    makers = [
        _Maker(dot, optional, choose)
        for dot in (".", "x")
        for optional in (0, 1)
        for choose in (
            *map(_same, range(min(bars + 1, _MOST))),
            *map(_digits, range(2**bars if 2**bars <= _MOST else 0)),
        )
    ]
    made = (maker.make(pattern) for maker in makers)
    return list(dict.fromkeys(text for text in made if text is not None))


def _same(number: int) -> Callable[[int], int]:
    """Choose the alternative of this number everywhere: so each is chosen once."""
    return lambda count: number % count


def _digits(number: int) -> Callable[[int], int]:
    """Choose by the digits of a number that counts up: so all combinations are tried."""
    left = number

    def choose(count: int) -> int:
        nonlocal left
        left, chosen = divmod(left, count)
        return chosen

    return choose


class _Maker:
    """Makes one text: a `dot` for ``.``, what is `optional` so many times, alternatives chosen."""

    def __init__(self, dot: str, optional: int, choose: Callable[[int], int]) -> None:
        self._dot = dot
        self._optional = optional
        self._choose = choose

    def make(self, pattern: str) -> str | None:
        try:
            text, rest = self._alternatives(pattern, 0)
        except (IndexError, OriginError):
            return None
        return text if not rest and _compiled(pattern).fullmatch(text) else None

    def _alternatives(self, left: str, depth: int) -> tuple[str, str]:
        if depth > 50:
            raise IndexError(depth)
        first, left = self._sequence(left, depth)
        texts = [first]
        while left.startswith("|"):
            text, left = self._sequence(left[1:], depth)
            texts.append(text)
        return texts[self._choose(len(texts))], left

    def _sequence(self, left: str, depth: int) -> tuple[str, str]:
        parts: list[str] = []
        while left and left[0] not in "|)":
            atom, left = self._atom(left, depth)
            repeat = _REPEAT.match(left)
            if repeat is not None:
                left = left[repeat.end() :]
                least = int(repeat[2]) if repeat[2] else int(repeat[1] == "+")
                atom *= min(least or self._optional, 50)
            parts.append(atom)
        return "".join(parts), left

    def _atom(self, left: str, depth: int) -> tuple[str, str]:
        head = left[0]
        if head == "(":
            flags = re.match(r"\((\?P?<\w+>|\?[a-zA-Z-]*[:)])?", left)
            opened = flags.end() if flags else 1
            if left[opened - 1] == ")":
                return "", left[opened:]  # (?i)
            inner, rest = self._alternatives(left[opened:], depth + 1)
            if rest[0] != ")":
                raise IndexError(rest)
            return inner, rest[1:]
        if head == "[":
            return _class(left)
        if head == "\\":
            escaped = left[1]
            if escaped.isalnum():
                return _CLASSES.get(escaped, ""), left[2:]
            return escaped, left[2:]
        if head in "^$":
            return "", left[1:]
        return (self._dot if head == "." else head), left[1:]


def _class(left: str) -> tuple[str, str]:
    """Return one character of a class in brackets."""
    at = 1
    negated = left[at] == "^"
    at += negated
    start = at
    while left[at] != "]" or at == start:
        posix = _POSIX.match(left, at)
        at = posix.end() if posix else at + 1 + (left[at] == "\\")
    whole = left[: at + 1]
    wanted = (char for char in "ax1-A_ " if _compiled(whole).fullmatch(char))
    return next(wanted, left[start]), left[at + 1 :]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> CompiledRegex:
    return CompiledRegex(Regex(pattern))
