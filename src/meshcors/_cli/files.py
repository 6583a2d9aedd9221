"""The files a verb is given: read whole, or refused in one line."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from meshcors._policy.errors import PolicyError
from meshcors._policy.wording import file_label

# Above what the reader of YAML takes, in UTF-8's longest form.
MAX_BYTES: Final = 8 * 1024 * 1024


def read_texts(names: Sequence[str]) -> dict[str, str]:
    """Return the texts of the files that are the arguments FILE...; see `read_bytes`."""
    labels = ["FILE"] if len(names) == 1 else [f"FILE {at + 1}" for at in range(len(names))]
    return {
        name: decoded(name, read_bytes(name, given_by))
        for name, given_by in zip(names, labels, strict=True)
    }


def read_bytes(name: str, given_by: str = "FILE") -> bytes:
    """Return a file's bytes; ``click.ClickException`` for one that is missing or too large.

    What is no file's name may be a secret: it is called by the argument that it was `given_by`.
    """
    try:
        with Path(name).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        called = file_label(name, given_by)
        raise click.ClickException(f"{called}: {reason}; pass a readable file") from None
    if len(content) > MAX_BYTES:
        raise click.ClickException(f"{name}: larger than {MAX_BYTES // 2**20} MiB; split it")
    return content


def policy_unreadable(error: PolicyError) -> click.UsageError:
    """Return what is wrong with the policy in the file that ``--config`` names."""
    problems = [
        replace(problem, field="--config") if problem.field == "path" else problem
        for problem in error.problems
    ]
    return click.UsageError("; ".join(map(str, problems)))


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
