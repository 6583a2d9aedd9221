"""``meshcors lint FILE...``: what is wrong with CORS in the mesh's documents, and the hint."""

from __future__ import annotations

import click

from meshcors._cli import options
from meshcors._cli.files import read_texts
from meshcors._policy.wording import did_you_mean, printable
from meshcors.mesh._lint import RULES, lint
from meshcors.mesh._lint.formats import FORMATS


@click.command("lint", cls=options.Command)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="How findings are printed.",
)
@click.option("--select", multiple=True, metavar="ID", help="Run these rules only; repeat it.")
@click.option("--ignore", multiple=True, metavar="ID", help="Leave these rules out; repeat it.")
def command(
    files: tuple[str, ...], form: str, select: tuple[str, ...], ignore: tuple[str, ...]
) -> int:
    """Find what is wrong with CORS in VirtualServices, HTTPRoutes and what is around them.

    All files together are taken for one mesh. IDs are separated by commas, too. Exit code 1 when
    something is found. A comment `# meshcors: ignore MC014` silences a rule on its line, or on the
    line below it.
    """
    chosen = _ids("--select", select) or {rule.id for rule in RULES}
    chosen -= _ids("--ignore", ignore)
    findings = lint(read_texts(files), [rule for rule in RULES if rule.id in chosen])
    output = FORMATS[form](findings)
    if output:
        click.echo("\n".join(map(printable, output.split("\n"))))
    return int(bool(findings))


def _ids(option: str, given: tuple[str, ...]) -> set[str]:
    known = {rule.id for rule in RULES}
    ids = {each.strip().upper() for text in given for each in text.split(",") if each.strip()}
    for unknown in sorted(ids - known):
        raise click.UsageError(f"{option} {unknown}: {did_you_mean(unknown, known)}")
    return ids
