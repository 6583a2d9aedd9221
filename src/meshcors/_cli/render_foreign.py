"""``meshcors render --to policy FILE...``: a policy file of what other systems say about CORS."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import click

from meshcors._cli.block_yaml import block_yaml
from meshcors._cli.mesh_files import read_named_files
from meshcors._cli.output import print_text
from meshcors._policy.place import Place
from meshcors._policy.regular_file import MAX_BYTES
from meshcors._policy.wording import printable
from meshcors.config._foreign.nginx import read_nginx
from meshcors.config._foreign.python_calls import read_python
from meshcors.config._foreign.said import ForeignError, Reading
from meshcors.config._foreign.translation import translate
from meshcors.mesh._documents.problems import SHOWN_PROBLEMS, DocumentError
from meshcors.mesh._render.foreign_routes import read_routes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_READERS: Final = {
    ".py": read_python,
    ".yaml": read_routes,
    ".yml": read_routes,
    ".json": read_routes,
}
# A configuration of nginx may have any other ending.
_PROGRAMS: Final = frozenset(
    {".go", ".js", ".mjs", ".cjs", ".ts", ".java", ".kt", ".rb", ".php", ".rs", ".cs"}
)
_SHOWN_NOTES: Final = 50
_LONGEST_LINE: Final = 600


def print_foreign(names: Sequence[str]) -> int:
    """Print the policy file that the files `names` give, and return the exit code.

    Every problem has a line on stderr; if there is any, nothing is printed on stdout.
    """
    if "-" in names:
        raise click.ClickException("-: standard input has no name; save it as a file and name that")
    try:
        made = translate(_read(read_named_files(names, MAX_BYTES)))
    except (DocumentError, ForeignError) as error:
        for problem in error.problems[:SHOWN_PROBLEMS]:
            click.echo(f"meshcors: {printable(str(problem), _LONGEST_LINE)}", err=True)
        if (more := len(error.problems) - SHOWN_PROBLEMS) > 0:
            click.echo(f"meshcors: and {more} more", err=True)
        return 2
    for note in made.notes[:_SHOWN_NOTES]:
        click.echo(f"note: {printable(note, _LONGEST_LINE)}", err=True)
    comments = [f"# {printable(each, _LONGEST_LINE)}\n" for each in made.differences[:_SHOWN_NOTES]]
    print_text("".join(comments) + block_yaml([made.document]))
    return 0


def _read(texts: Mapping[str, str]) -> Reading:
    """Read Python and documents by the names of their files; the others are nginx's."""
    reading = Reading()
    others: dict[str, str] = {}
    for name, text in texts.items():
        suffix = PurePath(name).suffix.lower()
        if read := _READERS.get(suffix):
            read(reading, text, name)
        elif suffix in _PROGRAMS:
            for_go = ": docs/coming-from/go.md has the options side by side"
            hint = f"write its policy by hand{for_go if suffix == '.go' else ''}"
            message = "of programs, only those in Python are read"
            reading.refuse(Place(name, 1, 1), "", message, hint)
        else:
            others[name] = text
    if others:
        read_nginx(reading, others)
    return reading
