"""The problems of a policy, all of them at once: data for programs, one line each for people.

People see the first of them, on every surface; programs get all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from meshcors._policy.problem_codes import ProblemCode
from meshcors._policy.wording import first_lines, printable

# The longest part of a message, in characters.
_LONGEST_PART: Final = 400


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem with a policy.

    `code` is stable and meant for programs (``origin_trailing_slash``). `field` is the option at
    fault, as its source spells it (``allow_origins``, ``--allow-origin``). `value` is the offending
    value as text, but never what was given for a key. `hint` says what to write instead.
    """

    code: ProblemCode
    field: str
    value: str
    hint: str

    def __str__(self) -> str:
        parts = [
            printable(part, _LONGEST_PART) for part in (self.field, self.value, self.hint) if part
        ]
        return f"{': '.join(parts)} [{self.code}]"


class PolicyError(ValueError):
    """A policy is invalid.

    `problems` is a tuple of every `Problem` found, never empty. The message is a single line for
    one problem; for several it has one line each, up to 50, and then the number of those left out.
    """

    # The name to import it by is the name that tracebacks show.
    __module__ = "meshcors"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        # Servers such as waitress print the arguments instead of the exception.
        super().__init__(_text(self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,), self.__dict__


class OriginError(ValueError):
    """A text is not an origin, or not a pattern of origins.

    `code` is for programs, `hint` for people.
    """

    def __init__(self, code: ProblemCode, hint: str) -> None:
        super().__init__(hint)
        self.code: ProblemCode = code
        self.hint: str = hint

    def problem(self, field: str, value: str) -> Problem:
        """Return this as a problem of the `value` in `field`."""
        return Problem(self.code, field, value, self.hint)


def _text(problems: tuple[Problem, ...]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    lines = (f"  {line}" for line in problem_lines(problems))
    return "\n".join([f"{len(problems):,} problems", *lines])


def problem_lines(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Return a line for each of the first problems, and one that says how many more there are."""
    return first_lines(problems, "problem")
