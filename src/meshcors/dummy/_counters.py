"""What a pod counts: integers, one row for each process, in memory that all of them share.

To count is to increment one integer; sums are made when somebody asks.
"""

from __future__ import annotations

import mmap
from collections.abc import MutableSequence
from functools import reduce
from operator import or_
from typing import Final, TypeAlias

Numbers: TypeAlias = "MutableSequence[int] | memoryview[int]"

PREFLIGHT_REASONS: Final = (
    "allowed",
    "origin_not_allowed",
    "method_not_allowed",
    "header_not_allowed",
    "no_rule",
)
REQUEST_REASONS: Final = ("key_missing", "no_route", "no_rule")
RELOAD_RESULTS: Final = ("ok", "failed")

# A preflight is in bucket n if the number of nanoseconds it took has n bits.
BUCKETS: Final = 64

# The place of each number in a row.
PREFLIGHTS: Final = {reason: slot for slot, reason in enumerate(PREFLIGHT_REASONS)}
REQUESTS: Final = {reason: len(PREFLIGHTS) + n for n, reason in enumerate(REQUEST_REASONS)}
_AFTER_REASONS: Final = len(PREFLIGHTS) + len(REQUESTS)
RELOADS: Final = {result: _AFTER_REASONS + n for n, result in enumerate(RELOAD_RESULTS)}
NANOSECONDS: Final = _AFTER_REASONS + len(RELOADS)
# Refusals that were not logged.
LEFT_OUT: Final = NANOSECONDS + 1
# 1 while a process accepts connections.
SERVING: Final = LEFT_OUT + 1
# The label of the newest configuration that a process has prepared.
PREPARED: Final = SERVING + 1
# A bit for each request field that has ever carried a key, and could be logged.
HIDDEN: Final = PREPARED + 1
# Unix time of the last good reading of the configuration, and of a bad one that came after it.
READ_AT: Final = HIDDEN + 1
FAILED_AT: Final = READ_AT + 1
HISTOGRAM: Final = FAILED_AT + 1
_WIDTH: Final = HISTOGRAM + BUCKETS


class Counters:
    """The numbers of a pod: a row for each process, seen by all that are forked after this."""

    def __init__(self, rows: int) -> None:
        # One process shares nothing, and counts in a list in half the time.
        self._memory: Numbers = [0] * _WIDTH
        if rows > 1:
            # Anonymous and shared: it is freed when the last process ends.
            self._memory = memoryview(mmap.mmap(-1, rows * _WIDTH * 8)).cast("Q")

    def row(self, number: int) -> Numbers:
        """Return the row of one process, to increment in place."""
        if isinstance(self._memory, memoryview):
            return self._memory[number * _WIDTH : (number + 1) * _WIDTH]
        return self._memory

    def total(self, slot: int) -> int:
        """Return the sum over all processes."""
        return sum(self._memory[slot::_WIDTH])

    def union(self, slot: int) -> int:
        """Return the bits that any process has set."""
        return reduce(or_, self._memory[slot::_WIDTH])

    def totals(self, slots: dict[str, int]) -> dict[str, int]:
        """Return the sums by name."""
        return {name: self.total(slot) for name, slot in slots.items()}
