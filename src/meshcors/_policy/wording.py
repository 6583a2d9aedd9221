"""Wording of messages: the nearest known name, a file's name, a value on one line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from reprlib import Repr
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# Of what a file may have thousands of, so many are printed or logged, and the number of the others.
MOST_SHOWN: Final = 50
# What GitHub, Azure Pipelines and TeamCity take for a command wherever it stands in a job's output.
_CI_COMMAND: Final = re.compile(r"#(?=#(?:\[|vso\[|teamcity\[))", re.IGNORECASE)
# The most characters of a message, or of a value in one; a collector splits lines of 16 KiB.
_LONGEST_TEXT: Final = 4000
_REPR = Repr()
_REPR.maxstring = _REPR.maxother = 120


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint for the unknown `name`: the nearest of the `known` names, or all of them."""
    from difflib import get_close_matches

    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return meant(near[0])
    return f"unknown; known: {', '.join(known)}"


def meant(known: str) -> str:
    """Return the hint for an unknown name that is nearest to the `known` one."""
    return f"unknown; did you mean {known}?"


def file_label(path: str | Path, given_by: str) -> str:
    """Return what a message calls the file at `path`: its name if it exists, else `given_by`.

    Anything else may be a secret that was pasted into the wrong place, so the message names the
    flag, variable or argument that gave it.
    """
    try:
        return str(path) if os.path.lexists(path) else given_by
    except TypeError:
        return given_by


def shown_origin(text: str) -> str:
    """Return what somebody wrote as an origin, without user info, a query and a fragment.

    A whole URL was pasted, and these may hold a secret.
    """
    before, at, host = text.rpartition("@")
    end = min((found for mark in "?#" if (found := text.find(mark)) >= 0), default=len(text))
    if at:
        scheme, slashes, _ = before.partition("//")
        begin = f"{scheme}{slashes}…" if slashes else "…"
        # of a text with a ? before the @, nobody knows which part is the host
        text = begin if end < len(before) else f"{begin}@{host}"
        end = min((found for mark in "?#" if (found := text.find(mark)) >= 0), default=len(text))
    return text if end == len(text) else f"{text[: end + 1]}…"


def file_argument(name: str) -> str:
    """Return a file's name as an argument of a command that is offered: never a flag.

    A lone ``-`` stays standard input. Quoting for a shell is left to the caller.
    """
    return f"./{name}" if name.startswith("-") and name != "-" else name


def shown(value: object) -> str:
    """Return the repr of any `value`, cut to the length of a line."""
    try:
        return _REPR.repr(value)
    except ValueError:
        # Python does not print integers of more than a few thousand digits.
        return f"<{type(value).__name__} too long to print>"


def first_lines(items: Sequence[object], name: str) -> tuple[str, ...]:
    """Return a line for each of the first `items`, and one with the number of those left out.

    `name` is what one of them is called.
    """
    lines = tuple(map(str, items[:MOST_SHOWN]))
    more = len(items) - len(lines)
    return (*lines, f"and {more:,} more {name}{'' if more == 1 else 's'}") if more else lines


def cut(text: str) -> str:
    """Return `text`; where it is too long for a log line, its beginning and how much follows."""
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}... and {len(text) - _LONGEST_TEXT:,} more characters"


def printable(text: str, longest: int | None = None) -> str:
    """Return `text` with characters escaped that would break the line or control a terminal.

    The first character of a command to a CI system, such as ``##[error]``, is escaped too.
    It is cut to `longest` characters, with an ellipsis, or not at all for None.
    """
    if longest is not None and len(text) > longest:
        text = text[:longest] + "..."
    if "##" in text:
        text = _CI_COMMAND.sub(r"\\x23", text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
