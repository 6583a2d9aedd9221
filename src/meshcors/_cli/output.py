"""What a verb prints: texts as they are, and notes on stderr."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

import click

from meshcors._policy.wording import printable
from meshcors.mesh._documents.problems import SHOWN_PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshcors.mesh import DocumentProblem
    from meshcors.mesh._explain.text import Emphasis, Line

_COLORS: Final[Mapping[Emphasis, str | None]] = {
    "deciding": None,
    "allowed": "green",
    "blocked": "red",
    "depends": "yellow",
}
_WITHIN_LINES: Final = re.compile(r"[^\n\t]+")


def print_text(text: str) -> None:
    """Print a text as it is, in UTF-8, whatever the terminal's encoding is.

    On a terminal, characters that could steer it are replaced by escape sequences as in Python.
    """
    if sys.stdout.isatty():
        text = _WITHIN_LINES.sub(lambda found: printable(found[0]), text)
    click.echo(text.encode(), nl=False)


def print_lines(lines: Iterable[Line]) -> None:
    """Print a report's lines; on a terminal, verdicts and what decided them stand out."""
    # click colours a terminal alone; NO_COLOR (https://no-color.org) says not even that
    color = False if os.environ.get("NO_COLOR") else None
    for line in lines:
        text = printable(line.text)
        if line.emphasis:
            text = click.style(text, fg=_COLORS[line.emphasis], bold=True)
        click.echo(text, color=color)


def note_problems(problems: Sequence[DocumentProblem]) -> None:
    """Say on stderr which documents are not part of the mesh, and why; only the first ones."""
    for problem in problems[:SHOWN_PROBLEMS]:
        click.echo(f"note: {printable(str(problem))}", err=True)
    if len(problems) > SHOWN_PROBLEMS:
        click.echo(f"note: and {len(problems) - SHOWN_PROBLEMS} more", err=True)
