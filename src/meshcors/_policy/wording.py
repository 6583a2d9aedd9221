"""How messages put things: the nearest known name, a file's name, a value on one line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr

_REPR = Repr()
_REPR.maxstring = _REPR.maxother = 120


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint for the unknown `name`: the nearest of the `known` names, or all of them."""
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"unknown; did you mean {near[0]}?"
    return f"unknown; known are {', '.join(known)}"


def file_label(path: str | Path, given_by: str) -> str:
    """Return how a message calls the file at `path`: by its name only if there is one.

    Anything else may be a secret that was pasted into the wrong place: it is called by the flag,
    the variable or the argument that it was `given_by`.
    """
    try:
        return str(path) if os.path.lexists(path) else given_by
    except TypeError:
        return given_by


def shown(value: object) -> str:
    """Return `value` as Python writes it, cut to a line's length: it may be anything."""
    try:
        return _REPR.repr(value)
    except ValueError:
        # Python prints no whole numbers of more than some thousand digits.
        return f"<{type(value).__name__} too long to print>"


def printable(text: str, longest: int | None = None) -> str:
    """Return `text` without what would end the line or steer a terminal.

    It is cut to `longest` characters, with an ellipsis; None leaves it whole.
    """
    if longest is not None and len(text) > longest:
        text = text[:longest] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
