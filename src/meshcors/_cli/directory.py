"""Writing a directory of files, all or none."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshcors._cli.files import write
from meshcors._policy.wording import file_label

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_directory(name: str, files: Mapping[str, str], *, like: str) -> None:
    """Write files, by name, into a directory, which is made if it is missing.

    An existing file with the same content is left alone. `like` is the file whose mode they
    get. ``click.ClickException`` is raised, and nothing is written, if a file already exists with
    different content or cannot be written.
    """
    directory = Path(name)
    missing = {
        each: text.encode() for each, text in files.items() if _is_missing(directory, each, text)
    }
    made: list[Path] = []
    is_new = not directory.exists()
    try:
        if is_new:
            directory.mkdir()
        for each, content in missing.items():
            write(str(directory / each), content, before=None, like=like)
            made.append(directory / each)
    except OSError as error:
        label = file_label(name, "--directory")
        raise click.ClickException(f"{label}: {error.strerror}; nothing is written") from None
    except BaseException:
        with contextlib.suppress(OSError):
            for path in made:
                path.unlink()
            if is_new:
                directory.rmdir()
        raise


def _is_missing(directory: Path, name: str, text: str) -> bool:
    """Tell whether a file is missing; ``click.ClickException`` if its content is different."""
    path = directory / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            # writing would make the file that it leads to, which may be anywhere
            message = "is a symbolic link to nothing; remove it, or name another directory"
            raise click.ClickException(f"{path}: {message}") from None
        return True
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}; nothing is written") from None
    if content != text.encode():
        message = "already exists with different content; remove it, or name another directory"
        raise click.ClickException(f"{path}: {message}")
    return False
