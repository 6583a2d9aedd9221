"""How long browsers cache the answer to a preflight, whatever its max-age says."""

from __future__ import annotations

from typing import Final

# The longest time in seconds, by browser engine.
MAX_AGE_CAPS: Final = {"chromium": 7200, "firefox": 86400, "webkit": 600}
# A longer max-age makes no difference to most users.
LARGEST_USEFUL_MAX_AGE: Final = MAX_AGE_CAPS["chromium"]


def max_age_note(seconds: int) -> str:
    """Return what browsers make of a max-age of so many `seconds`, above the largest useful."""
    caps = MAX_AGE_CAPS
    return (
        f"{seconds} seconds: Chromium keeps an answer for at most {caps['chromium']},"
        f" WebKit {caps['webkit']}, Firefox {caps['firefox']}"
    )
