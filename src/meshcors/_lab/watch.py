"""Whether files have changed: their names, times and sizes, looked at twice.

A file that may still be being written is not used: two looks in a row must find the same.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Seconds between two looks.
INTERVAL: Final = 0.5
# How many entries of directories are looked at.
_MOST_ENTRIES: Final = 10_000

_Signature: TypeAlias = tuple[tuple[str, int, int, int], ...]


class FileWatch:
    """Watches the files and directories of a command line."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._used = self._last = self._signature()

    def has_changed(self) -> bool:
        """Look again; tell whether the files are not those that were used, and are at rest.

        Each change is reported once.
        """
        now, before = self._signature(), self._last
        self._last = now
        if now == self._used or now != before:
            return False
        self._used = now
        return True

    def gone(self) -> tuple[str, ...]:
        """Return those of the names that there is no file or directory of any more."""
        return tuple(name for name in self._names if not Path(name).exists())

    def _signature(self) -> _Signature:
        return tuple(sorted(self._looked_at()))

    def _looked_at(self) -> Iterator[tuple[str, int, int, int]]:
        left = _MOST_ENTRIES
        for name in self._names:
            for path in (name, *_below(name)):
                left -= 1
                if left < 0:
                    return
                try:
                    found = Path(path).stat()
                except OSError:
                    yield path, 0, 0, 0
                else:
                    yield path, found.st_mtime_ns, found.st_size, found.st_ino


def _below(name: str) -> Iterator[str]:
    if Path(name).is_dir():
        for directory, _, files in os.walk(name):
            yield directory
            yield from (os.path.join(directory, file) for file in files)  # noqa: PTH118 - text
