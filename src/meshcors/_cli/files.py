"""Reading and writing the files that a verb is given."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from meshcors._policy.errors import PolicyError, problem_lines
from meshcors._policy.wording import file_label

# A gateway's config dump may be large. YAML has a limit of its own.
MAX_BYTES: Final = 128 * 1024 * 1024


def read_bytes(name: str, given_by: str = "FILE") -> bytes:
    """Return a file's bytes; ``click.ClickException`` if it is missing or too large.

    A name that is not a file's may be a secret: the message names the argument `given_by` instead.
    """
    try:
        with Path(name).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        label = file_label(name, given_by)
        raise click.ClickException(f"{label}: {reason}; pass a readable file") from None
    if len(content) > MAX_BYTES:
        raise click.ClickException(f"{name}: larger than {MAX_BYTES // 2**20} MiB; split it")
    return content


def policy_unreadable(error: PolicyError) -> click.UsageError:
    """Return the error for an invalid policy in the file that ``--config`` names."""
    problems = [
        replace(problem, field="--config") if problem.field == "path" else problem
        for problem in error.problems
    ]
    return click.UsageError("; ".join(problem_lines(problems)))


def decoded(name: str, content: bytes) -> str:
    """Decode UTF-8; ``click.ClickException`` if it is something else."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        where = f"{name}:{line}:{column}"
        raise click.ClickException(f"{where}: not UTF-8; save the file as UTF-8") from None


def write(name: str, content: bytes, *, before: bytes | None, like: str) -> None:
    """Replace a file's content atomically: a reader or a crash leaves the old or the new content.

    ``before`` is the content that was read: a file that has changed since is left alone. None makes
    a new file, which must not exist. The mode is copied from the file ``like``; symbolic links are
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
                # fails if the file exists by now
                os.link(made, target)
                Path(made).unlink()
            elif target.read_bytes() != before:
                raise click.ClickException(
                    f"{name}: the file has changed in the meantime; run the command again"
                )
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
        return  # directories cannot be opened
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
