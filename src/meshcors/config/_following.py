"""A file that is followed: what it holds now, and whether that has changed.

Files are compared by content, so that a ConfigMap's swapped symlinks, an editor's rename and a
write in place all count. A file that may still be being written is not used: its content must be
the same in two consecutive looks. A file system may keep its reader waiting, so a thread does this.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, NamedTuple

from meshcors._policy.regular_file import FileError, read_text

# Seconds between two looks.
INTERVAL: Final = 0.5


class FileContent(NamedTuple):
    """What a file holds: its text, or why it cannot be read."""

    readable: bool
    text: str


class FollowedFile:
    """The file at `path`; `taken` is what it held when it was last used: first, when this is made.

    With None as `taken`, whatever the file holds counts as a change.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken: FileContent | None = self.content()
        self._before = self.taken
        self._requested = threading.Event()

    def request(self) -> None:
        """End the pause: the file is to be used, changed or not; several requests become one."""
        self._requested.set()

    def pause(self, seconds: float) -> bool:
        """Wait until it is time to look; return whether that was requested."""
        requested = self._requested.wait(seconds)
        self._requested.clear()
        return requested

    def look(self, *, requested: bool) -> FileContent | None:
        """Return what the file holds, if that is to be used."""
        before, self._before = self._before, self.content()
        return self._before if requested or self._before == before != self.taken else None

    @property
    def has_changed(self) -> bool:
        """Whether the last look found anything but what is used."""
        return self._before != self.taken

    def content(self) -> FileContent:
        """Return what the file holds now."""
        try:
            return FileContent(True, read_text(self.path))
        except FileError as error:
            return FileContent(False, error.hint)
