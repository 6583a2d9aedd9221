"""What a verb prints: texts as they are, and notes on stderr."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

import click

from meshcors._policy.wording import printable
from meshcors.mesh._documents.problems import SHOWN_PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshcors.mesh import DocumentProblem

_WITHIN_LINES: Final = re.compile(r"[^\n\t]+")


def print_text(text: str) -> None:
    """Print a text as it is, in UTF-8, whatever the terminal's encoding is.

    On a terminal, characters that could steer it are replaced by escape sequences as in Python.
    """
    if sys.stdout.isatty():
        text = _WITHIN_LINES.sub(lambda found: printable(found[0]), text)
    click.echo(text.encode(), nl=False)


def note_problems(problems: Sequence[DocumentProblem]) -> None:
    """Say on stderr which documents are not part of the mesh, and why; only the first ones."""
    for problem in problems[:SHOWN_PROBLEMS]:
        click.echo(f"note: {printable(str(problem))}", err=True)
    if len(problems) > SHOWN_PROBLEMS:
        click.echo(f"note: and {len(problems) - SHOWN_PROBLEMS} more", err=True)
