"""A bound on log lines that clients cause."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

# Log lines a second in the long run, and at once.
RATE: Final = 10.0
BURST: Final = 50.0


class LogRate:
    """Allows `BURST` lines at once, and `RATE` a second in the long run.

    `left_out` counts those that were not allowed. Threads that share it may get a few lines more.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._allowance = BURST
        self._counted_at = clock()
        self.left_out = 0

    def allows_one(self) -> bool:
        """Count a line, and return whether it may be written."""
        now = self._clock()
        self._allowance = min(BURST, self._allowance + (now - self._counted_at) * RATE)
        self._counted_at = now
        if self._allowance < 1:
            self.left_out += 1
            return False
        self._allowance -= 1
        return True

    def take_left_out(self) -> int:
        """Return how many were left out since the last call."""
        count, self.left_out = self.left_out, 0
        return count
