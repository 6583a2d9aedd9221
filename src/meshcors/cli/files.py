"""The files a verb is given: read whole, or refused in one line."""

from __future__ import annotations

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
