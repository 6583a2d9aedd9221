"""Texts that a regular expression matches: what a rule would be hit by, made from the rule.

Enough of RE2's syntax for what people write into routes and origins. A result is checked against
the expression itself, so a construct that is read wrong gives nothing and never a wrong answer.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from meshcors.origins import CompiledRegex, OriginError, Regex

_REPEAT: Final = re.compile(r"([*+?]|\{(\d{1,3})(,\d{0,4})?\})[?+]?")
_CLASSES: Final = {"d": "1", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a"}
# As many alternatives as a regex of 1024 characters can have.
_MOST: Final = 512
# A class of Unicode's, of which most have an "a", or a character by its number.
_NAMED: Final = re.compile(
    r"\\(?:[pP](?:\{[^}]*\}|.)|x(?:\{([0-9a-fA-F]{1,5})\}|([0-9a-fA-F]{2})))"
)
_POSIX: Final = re.compile(r"\[:(\^?)(\w+):\]")


def example_of(pattern: str, *, dot: str = "x") -> str | None:
    """Return a short text that the whole of ``pattern`` matches, None where none is found.

    Every ``.`` is written as ``dot``; ``*`` and ``?`` as nothing, of alternatives the first.
    """
    text = next(iter(_texts(pattern, (dot,))), None)
    return text if text is not None and _compiled(pattern).fullmatch(text) else None


def examples_of(pattern: str) -> list[str]:
    """Return different texts that ``pattern`` matches, such that each alternative is in one.

    What is optional is in some and not in others; a ``.`` is a dot here and a letter there.
    """
    matches = _compiled(pattern).fullmatch
    return [text for text in dict.fromkeys(_texts(pattern, (".", "x"))) if matches(text)]


def _texts(pattern: str, dots: tuple[str, ...]) -> list[str]:
    try:
        texts, rest = _alternatives(pattern, dots, 0)
    except (IndexError, OriginError):
        return []
    return [] if rest else texts


def _alternatives(left: str, dots: tuple[str, ...], depth: int) -> tuple[list[str], str]:
    if depth > 50:
        raise IndexError(depth)
    texts, left = _sequence(left, dots, depth)
    while left.startswith("|"):
        more, left = _sequence(left[1:], dots, depth)
        texts += more
    return texts, left


def _sequence(left: str, dots: tuple[str, ...], depth: int) -> tuple[list[str], str]:
    parts: list[list[str]] = []
    while left and left[0] not in "|)":
        atoms, left = _atom(left, dots, depth)
        repeat = _REPEAT.match(left)
        if repeat is not None:
            left = left[repeat.end() :]
            least = int(repeat[2]) if repeat[2] else int(repeat[1] == "+")
            atoms = [atom * min(least, 50) for atom in atoms] if least else ["", *atoms]
        parts.append(atoms)
    # Not all combinations: each text of each part once, and once more beside others.
    count = max(map(len, parts), default=1)
    texts = (
        "".join(atoms[(turn + shift * at) % len(atoms)] for at, atoms in enumerate(parts))
        for shift in range(2 if count > 1 else 1)
        for turn in range(count)
    )
    return list(dict.fromkeys(texts))[:_MOST], left


def _atom(left: str, dots: tuple[str, ...], depth: int) -> tuple[list[str], str]:
    head = left[0]
    if head == "(":
        flags = re.match(r"\((\?P?<\w+>|\?[a-zA-Z-]*[:)])?", left)
        opened = flags.end() if flags else 1
        if left[opened - 1] == ")":
            return [""], left[opened:]  # (?i)
        inner, rest = _alternatives(left[opened:], dots, depth + 1)
        if rest[0] != ")":
            raise IndexError(rest)
        return inner, rest[1:]
    if head == "[":
        text, rest = _class(left)
        return [text], rest
    if head == "\\":
        named = _NAMED.match(left)
        if named is not None:
            code = named[1] or named[2]
            return [chr(int(code, 16)) if code else "a"], left[named.end() :]
        escaped = left[1]
        if escaped.isalnum():
            return [_CLASSES.get(escaped, "")], left[2:]
        return [escaped], left[2:]
    if head in "^$":
        return [""], left[1:]
    return (list(dots) if head == "." else [head]), left[1:]


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
