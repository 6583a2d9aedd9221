"""What a file says, printed so that it cannot steer a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return ``text`` in one line: what is not printable is escaped as Python does it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
