"""A place in a file that somebody wrote, as editors and compilers name it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file, written ``file:line:column``.

    ``line`` and ``column`` count from 1, as editors do. Places sort in the order of the text.
    """

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"
