"""What is wrong with a policy, all of it at once: data for programs, a line each for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from meshcors._policy.wording import printable

# What a message shows of a value, in characters.
_LONGEST_PART: Final = 400


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
        parts = [
            printable(part, _LONGEST_PART) for part in (self.field, self.value, self.hint) if part
        ]
        return f"{': '.join(parts)} [{self.code}]"


class PolicyError(ValueError):
    """A policy that does not start.

    `problems` (a tuple of `Problem`, never empty) lists everything that is wrong. The text of the
    exception is one line when there is one problem, else a line for each.
    """

    # As a traceback names it, and as a user imports it.
    __module__ = "meshcors"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        # Servers such as waitress show the arguments, each on its own, and not the exception.
        super().__init__(_text(self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,), self.__dict__


def _text(problems: tuple[Problem, ...]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    return "\n".join([f"{len(problems)} problems", *(f"  {problem}" for problem in problems)])
