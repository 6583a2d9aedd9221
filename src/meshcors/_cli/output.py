"""Text for a file or for another program, printed."""

from __future__ import annotations

import re
import sys
from typing import Final

import click

from meshcors._policy.wording import printable

_WITHIN_LINES: Final = re.compile(r"[^\n\t]+")


def print_text(text: str) -> None:
    """Print a text as it is, in UTF-8, whatever the terminal's encoding is.

    On a terminal, characters that could steer it are replaced by escape sequences as in Python.
    """
    if sys.stdout.isatty():
        text = _WITHIN_LINES.sub(lambda found: printable(found[0]), text)
    click.echo(text.encode(), nl=False)
