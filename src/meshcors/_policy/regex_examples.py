"""Example texts that a regular expression matches.

This reads as much of RE2's syntax as people use in routes and origins. Every example is checked
against the expression itself, so a construct that is misread gives no example instead of a wrong
one.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from meshcors._policy.errors import OriginError
from meshcors._policy.origins import MAX_ORIGIN_BYTES
from meshcors._policy.regex import CompiledRegex, Regex

_REPEAT: Final = re.compile(r"([*+?]|\{(\d{1,4})(,\d{0,4})?\})[?+]?")
# As many alternatives as a regex of 1024 characters can have.
_MOST: Final = 512
# A longer origin matches nothing.
_LONGEST: Final = MAX_ORIGIN_BYTES
# A character by its number, a quoted text, the edges of words and texts, any other escape.
_NUMBER: Final = re.compile(
    r"\\(?:x(?:\{([0-9a-fA-F]{1,5})\}|([0-9a-fA-F]{2}))|(0[0-7]{0,2}|[1-7][0-7]{2}))"
)
_QUOTE: Final = re.compile(r"\\Q(.*?)(?:\\E|\Z)", re.DOTALL)
_EDGE: Final = re.compile(r"[\^$]|\\[AzbBE]")
_ESCAPE: Final = re.compile(r"\\(?:[pP](?:\{[^}]*\}|.)|.)", re.DOTALL)
_POSIX: Final = re.compile(r"\[:(\^?)(\w+):\]")
_HOST_CHARACTERS: Final = string.ascii_lowercase + string.digits + "-_."
_CHARACTERS: Final = "".join(dict.fromkeys("ax1-A_ ." + string.printable))
# Up to so many names that differ in one character may all be intended.
_A_DOZEN: Final = 12


class Examples(NamedTuple):
    """Texts that a regex matches, and what they are made of.

    `parts` are characters of its classes, and what it repeats, once. `optional` are the single
    characters that may be missing. `steps` is the work that this took, as `CompiledRegex.steps`
    counts it; if that is more than was allowed, some texts are missing.
    """

    texts: list[str]
    parts: list[str]
    optional: frozenset[str]
    steps: int


@dataclass
class _Reading:
    """The state of reading a regex: what to write for ``.``, and what was found so far."""

    dots: tuple[str, ...]
    parts: dict[str, None] = field(default_factory=dict[str, None])
    optional: set[str] = field(default_factory=set[str])


def example_of(pattern: str, *, dot: str = "x") -> str | None:
    """Return a short text that ``pattern`` matches as a whole, or None if none is found.

    Every ``.`` becomes ``dot``, ``*`` and ``?`` become nothing, and the first alternative is taken.
    """
    text = next(iter(_texts(pattern, _Reading((dot,)))), None)
    return text if text is not None and _compiled(pattern).fullmatch(text) else None


@lru_cache(maxsize=32768)
def branches_of(pattern: str, *, most: int) -> tuple[str, ...]:
    """Return texts that ``pattern`` matches, at most so many; the first is that of `example_of`.

    There is one for each alternative, and they are with and without what is optional.
    """
    matches = _compiled(pattern).fullmatch
    return tuple(islice(filter(matches, dict.fromkeys(_texts(pattern, _Reading(("x",))))), most))


def examples_of(pattern: str, *, most_steps: int) -> Examples:
    """Return texts that ``pattern`` matches, with every alternative in at least one of them.

    What is optional is in some of them and not in others; a ``.`` is sometimes a letter, sometimes
    a dot.
    """
    compiled = _compiled(pattern)
    reading = _Reading(("x", ".", "1"))
    texts: list[str] = []
    steps = 0
    for text in dict.fromkeys(_texts(pattern, reading)):
        steps += compiled.steps(text)
        if steps > most_steps:
            break
        if compiled.fullmatch(text):
            texts.append(text)
    return Examples(texts, list(reading.parts), frozenset(reading.optional), steps)


def _texts(pattern: str, reading: _Reading) -> list[str]:
    try:
        texts, rest = _alternatives(pattern, reading, 0)
    except (IndexError, OriginError):
        return []
    return [] if rest else texts


def _alternatives(left: str, reading: _Reading, depth: int) -> tuple[list[str], str]:
    if depth > 50:
        raise IndexError(depth)
    texts, left = _sequence(left, reading, depth)
    while left.startswith("|"):
        more, left = _sequence(left[1:], reading, depth)
        texts += more
    return texts, left


def _sequence(left: str, reading: _Reading, depth: int) -> tuple[list[str], str]:
    parts: list[list[str]] = []
    while left and left[0] not in "|)":
        atoms, left = _atom(left, reading, depth)
        repeat = _REPEAT.match(left)
        if repeat is not None:
            left = left[repeat.end() :]
            atoms = _repeated(atoms, repeat, reading)
        parts.append(atoms)
    if not all(parts):
        return [], left
    # Not all combinations: each text of each part twice, next to different others.
    count = max(map(len, parts), default=1)
    texts = (
        "".join(atoms[(turn + shift * at) % len(atoms)] for at, atoms in enumerate(parts))
        for shift in range(2 if count > 1 else 1)
        for turn in range(count)
    )
    short = (text for text in texts if len(text) <= _LONGEST)
    return list(dict.fromkeys(short))[:_MOST], left


def _repeated(atoms: list[str], repeat: re.Match[str], reading: _Reading) -> list[str]:
    least = int(repeat[2]) if repeat[2] else int(repeat[1] == "+")
    texts = [] if least else [""]
    texts += [atom * max(least, 1) for atom in atoms if len(atom) * least <= _LONGEST]
    if not least:
        reading.optional.update(atom for atom in atoms if len(atom) == 1)
    if repeat[1] == "?":
        return texts
    reading.parts.update(dict.fromkeys(atoms))
    if len(atoms) > 1 and least <= _LONGEST:
        # alternating, because a label has at most 63 characters
        texts.append("".join(atoms[at % len(atoms)] for at in range(max(least, 2))))
    return texts


def _atom(left: str, reading: _Reading, depth: int) -> tuple[list[str], str]:
    head = left[0]
    if head == "(":
        flags = re.match(r"\((\?P?<\w+>|\?[a-zA-Z-]*[:)])?", left)
        opened = flags.end() if flags else 1
        if left[opened - 1] == ")":
            return [""], left[opened:]  # (?i)
        inner, rest = _alternatives(left[opened:], reading, depth + 1)
        if rest[0] != ")":
            raise IndexError(rest)
        return inner, rest[1:]
    if head == ".":
        return list(reading.dots), left[1:]
    for kind in (_EDGE, _NUMBER, _QUOTE, _ESCAPE):
        token = kind.match(left)
        if token is not None:
            return _escaped(token, reading), left[token.end() :]
    end = _class_end(left) if head == "[" else 1
    return _members(left[:end], reading) if end > 1 else [head], left[end:]


def _escaped(token: re.Match[str], reading: _Reading) -> list[str]:
    if token.re is _EDGE:
        return [""]
    if token.re is _NUMBER:
        return [chr(int(token[3], 8) if token[3] else int(token[1] or token[2], 16))]
    if token.re is _QUOTE:
        return [token[1]]
    return _members(token[0], reading) if token[0][1].isalnum() else [token[0][1]]


def _class_end(left: str) -> int:
    """Return the end of a class in brackets."""
    at = 1
    at += left[at] == "^"
    start = at
    while left[at] != "]" or at == start:
        posix = _POSIX.match(left, at)
        escape = _ESCAPE.match(left, at)
        at = posix.end() if posix else escape.end() if escape else at + 1
    return at + 1


def _members(whole: str, reading: _Reading) -> list[str]:
    """Return characters of a class: one, and a dot and a hyphen if it has them."""
    first, hosts = _members_of(whole)
    reading.parts.update(dict.fromkeys(hosts[:1]))
    if len(hosts) > _A_DOZEN:
        reading.parts.update(dict.fromkeys(hosts[1:2]))
    return list(dict.fromkeys([*first, *(char for char in ".-" if char in hosts)]))


@lru_cache(maxsize=256)
def _members_of(whole: str) -> tuple[str, str]:
    matches = _compiled(whole).fullmatch
    return next(filter(matches, _CHARACTERS), ""), "".join(filter(matches, _HOST_CHARACTERS))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> CompiledRegex:
    return CompiledRegex(Regex(pattern))
