"""The files a verb is given: read whole, or refused in one line."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

import click

# Above what the reader of YAML takes, in UTF-8's longest form.
MAX_BYTES: Final = 8 * 1024 * 1024


def read_text(name: str) -> str:
    """Return a file's text, line breaks as they are; ``click.ClickException`` says why not."""
    return decoded(name, read_bytes(name))


def read_bytes(name: str) -> bytes:
    """Return a file's bytes; ``click.ClickException`` for one that is missing or too large."""
    try:
        with Path(name).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise click.ClickException(f"{name}: {reason}; pass a readable file") from None
    if len(content) > MAX_BYTES:
        raise click.ClickException(f"{name}: larger than {MAX_BYTES // 2**20} MiB; split it")
    return content


def decoded(name: str, content: bytes) -> str:
    """Return the text of UTF-8 bytes."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        where = f"{name}:{line}:{column}"
        raise click.ClickException(f"{where}: not UTF-8; save the file as UTF-8") from None


def write(name: str, content: bytes, *, before: bytes | None, like: str) -> None:
    """Replace a file's content at once: a reader sees the old or the new, a crash loses neither.

    ``before`` is what was read; a file that says something else by now is left alone. None makes a
    new file, which must not be there. The mode is that of the file ``like``, symbolic links are
    followed. ``click.ClickException`` says why nothing is written.
    """
    target = Path(name).resolve()
    try:
        mode = stat.S_IMODE(Path(like).stat().st_mode)
        handle, made = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(made).chmod(mode)
            if before is None:
                # fails where the file is there by now
                os.link(made, target)
                Path(made).unlink()
            elif target.read_bytes() != before:
                raise click.ClickException(f"{name}: changed meanwhile; run it again")
            else:
                Path(made).replace(target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(made).unlink()
            raise
        _sync_directory(target.parent)
    except OSError as error:
        raise click.ClickException(f"{name}: {error.strerror}; nothing is written") from None


def _sync_directory(path: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a directory cannot be opened
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
