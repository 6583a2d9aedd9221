"""The text of a configuration's file: regular files only, opened once, never waited for.

A pipe could make its reader wait for ever, a device could do anything. What was opened is what is
looked at and read, whatever its name means by then.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, Literal

MAX_BYTES: Final = 1 << 20

# Opening a pipe would wait for somebody who writes. Windows has no such flag, and no such pipes.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FileError(Exception):
    """A file that is not read: `kind` is for programs, `hint` is the fix."""

    def __init__(self, kind: Literal["unreadable", "too_large", "not_utf8"], hint: str) -> None:
        self.kind = kind
        self.hint = hint
        super().__init__(hint)


def read_text(path: str | Path) -> str:
    """Return the text of the regular file at `path`, or of the one its symbolic links lead to.

    Raises `FileError` for one that is missing, unreadable, no regular file, larger than 1 MiB, or
    not UTF-8.
    """
    try:
        opened = os.open(Path(path), _FLAGS)
        try:
            _refuse_irregular(os.fstat(opened).st_mode)
            content = _read(opened)
        finally:
            os.close(opened)
    except (OSError, TypeError, ValueError) as error:
        raise FileError("unreadable", getattr(error, "strerror", None) or "no path") from None
    if len(content) > MAX_BYTES:
        raise FileError("too_large", "at most 1 MiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FileError("not_utf8", "write UTF-8 text") from None


def _refuse_irregular(mode: int) -> None:
    if stat.S_ISFIFO(mode):
        raise FileError("unreadable", "a pipe, not a regular file: save what it holds as a file")
    if not stat.S_ISREG(mode):
        kind = "directory" if stat.S_ISDIR(mode) else "device"
        raise FileError("unreadable", f"a {kind}, not a regular file: name a file")


def _read(opened: int) -> bytes:
    """Return what is in an open file, one byte more than may be at most."""
    parts: list[bytes] = []
    left = MAX_BYTES + 1
    while left and (part := os.read(opened, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
