"""Reads a configuration file: regular files only, without ever blocking.

A pipe could block its reader forever, and a device could do anything. The file is checked after it
was opened, so replacing it in between makes no difference.
"""

from __future__ import annotations

import os
import stat
from os import PathLike
from typing import Final, Literal

MAX_BYTES: Final = 1 << 20

# Opening a pipe would wait for a writer. Windows has neither this flag nor such pipes.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FileError(Exception):
    """A file cannot be read: `kind` is for programs, `hint` says what to do."""

    def __init__(self, kind: Literal["unreadable", "too_large", "not_utf8"], hint: str) -> None:
        self.kind = kind
        self.hint = hint
        super().__init__(hint)


def read_text(path: str | PathLike[str]) -> str:
    """Return the text of the regular file at `path`, following symbolic links.

    Raises `FileError` if it is missing, unreadable, not a regular file, larger than 1 MiB, or not
    UTF-8.
    """
    content = read_content(path, MAX_BYTES)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FileError("not_utf8", "write UTF-8 text") from None


def read_content(path: str | PathLike[str], most: int) -> bytes:
    """Return the bytes of the regular file at `path`, following symbolic links.

    Raises `FileError` if it is missing, unreadable, not a regular file, or has more than `most`
    bytes, which are whole MiB.
    """
    from pathlib import Path

    try:
        opened = os.open(Path(path), _FLAGS)
        try:
            _refuse_irregular(os.fstat(opened).st_mode)
            content = _read(opened, most)
        finally:
            os.close(opened)
    except (OSError, TypeError, ValueError) as error:
        raise FileError("unreadable", getattr(error, "strerror", None) or "write a path") from None
    if len(content) > most:
        raise FileError("too_large", f"write at most {most >> 20} MiB")
    return content


def _refuse_irregular(mode: int) -> None:
    if stat.S_ISFIFO(mode):
        raise FileError("unreadable", "a pipe, not a regular file: save its content as a file")
    if not stat.S_ISREG(mode):
        kind = "directory" if stat.S_ISDIR(mode) else "device"
        raise FileError("unreadable", f"a {kind}, not a regular file: name a file")


def _read(opened: int, most: int) -> bytes:
    """Return the content of an open file, up to one byte more than is allowed."""
    parts: list[bytes] = []
    left = most + 1
    while left and (part := os.read(opened, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
