"""What is wrong with a policy, all of it at once: data for programs, a line each for people."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr

from meshcors.call_stack import level_of_caller


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a policy.

    `code` is stable and for programs (``origin_trailing_slash``), `field` is the option at fault in
    the spelling of its source (``allow_origins``, ``--allow-origin``), `value` is the offending
    value as text (never what was given for a key), and `hint` is the fix.
    """

    code: str
    field: str
    value: str
    hint: str

    def __str__(self) -> str:
        parts = [_one_line(part) for part in (self.field, self.value, self.hint) if part]
        return f"{': '.join(parts)} [{self.code}]"


class PolicyError(ValueError):
    """A policy that does not start.

    `problems` (a tuple of `Problem`, never empty) lists everything that is wrong. The text of the
    exception is one line when there is one problem, else a line for each.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        # Servers such as waitress show the arguments, each on its own, and not the exception.
        super().__init__(_text(self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,), self.__dict__


class PolicyWarning(UserWarning):
    """Something in a policy that has no effect; the policy starts all the same."""


def warn(text: str) -> None:
    """Give a `PolicyWarning` that points at the line of whoever called this package."""
    warnings.warn(text, PolicyWarning, stacklevel=level_of_caller())


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


def _text(problems: tuple[Problem, ...]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    return "\n".join([f"{len(problems)} problems", *(f"  {problem}" for problem in problems)])


def _one_line(text: str) -> str:
    """Return `text` without what would end the line or steer a terminal, and not too long."""
    if len(text) > _LONGEST_PART:
        text = text[:_LONGEST_PART] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


_LONGEST_PART = 400
_REPR = Repr()
_REPR.maxstring = _REPR.maxother = 120
