"""The parts of an explanation of a lint rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """The texts on one lint rule; ``not_reported`` is a list of exceptions, or empty."""

    finds: str
    why: str
    fix: str
    not_reported: str
