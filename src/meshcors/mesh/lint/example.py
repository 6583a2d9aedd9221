"""A text that a regular expression matches: what a rule would be hit by, made from the rule.

Enough of RE2's syntax for what people write into routes and origins. A result is checked against
the expression itself, so a construct that is read wrong gives None and never a wrong answer.
"""

from __future__ import annotations

import re
from typing import Final

from meshcors.mesh.matching import compiled

_REPEAT: Final = re.compile(r"([*+?]|\{(\d{1,3})(,\d{0,4})?\})[?+]?")
_CLASSES: Final = {"d": "1", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
_POSIX: Final = re.compile(r"\[:(\^?)(\w+):\]")


def example_of(pattern: str, *, dot: str = "x") -> str | None:
    """Return a short text that the whole of ``pattern`` matches, None where none is found.

    Every ``.`` is written as ``dot``; ``*`` and ``?`` as nothing, of alternatives the first.
    """
    try:
        text, rest = _alternatives(pattern, dot, 0)
    except IndexError:
        return None
    return text if not rest and compiled(pattern).fullmatch(text) else None


def _alternatives(left: str, dot: str, depth: int) -> tuple[str, str]:
    if depth > 50:
        raise IndexError(depth)
    first, left = _sequence(left, dot, depth)
    while left.startswith("|"):
        _, left = _sequence(left[1:], dot, depth)
    return first, left


def _sequence(left: str, dot: str, depth: int) -> tuple[str, str]:
    parts: list[str] = []
    while left and left[0] not in "|)":
        atom, left = _atom(left, dot, depth)
        repeat = _REPEAT.match(left)
        if repeat is not None:
            left = left[repeat.end() :]
            least = int(repeat[2]) if repeat[2] else int(repeat[1] == "+")
            atom *= min(least, 50)
        parts.append(atom)
    return "".join(parts), left


def _atom(left: str, dot: str, depth: int) -> tuple[str, str]:
    head = left[0]
    if head == "(":
        flags = re.match(r"\((\?P?<\w+>|\?[a-zA-Z-]*[:)])?", left)
        opened = flags.end() if flags else 1
        if left[opened - 1] == ")":
            return "", left[opened:]  # (?i)
        inner, rest = _alternatives(left[opened:], dot, depth + 1)
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
    return (dot if head == "." else head), left[1:]


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
    wanted = (char for char in "ax1-A_ " if compiled(whole).fullmatch(char))
    return next(wanted, left[start]), left[at + 1 :]
