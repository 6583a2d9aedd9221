"""``meshcors lint FILE...``: what is wrong with CORS in a mesh, and how to fix it."""

from __future__ import annotations

import click

from meshcors._cli import options
from meshcors._cli.files import read_texts
from meshcors._policy.wording import did_you_mean, printable
from meshcors.mesh._lint import RULES, lint
from meshcors.mesh._lint.explanations import explanation
from meshcors.mesh._lint.formats import FORMATS


def _explain(ctx: click.Context, _: click.Parameter, given: str | None) -> None:
    """Print the explanations of rules and end the verb, whatever else it is given."""
    if given is None:
        return
    ids = _ids("--explain", (given,))
    if not ids:
        raise click.UsageError("--explain: name a rule, such as MC001")
    click.echo("\n\n\n".join(explanation(rule) for rule in RULES if rule.id in ids))
    ctx.exit()


@click.command("lint", cls=options.VerbCommand)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="The format of the report.",
)
@click.option("--select", multiple=True, metavar="ID", help="Run only these rules; repeat it.")
@click.option("--ignore", multiple=True, metavar="ID", help="Leave out these rules; repeat it.")
@click.option(
    "--explain",
    metavar="ID",
    is_eager=True,
    expose_value=False,
    callback=_explain,
    help="Explain a rule, such as MC001, and exit. Needs no FILE.",
)
def command(
    files: tuple[str, ...], form: str, select: tuple[str, ...], ignore: tuple[str, ...]
) -> int:
    """Find what is wrong with CORS in VirtualServices, HTTPRoutes and the objects around them.

    All files together are one mesh. IDs may also be separated by commas. Exit code 1 if anything is
    found. A comment `# meshcors: ignore MC014` silences a rule on its line, or on the line below.
    """
    chosen = _ids("--select", select) or {rule.id for rule in RULES}
    chosen -= _ids("--ignore", ignore)
    diagnostics = lint(read_texts(files), [rule for rule in RULES if rule.id in chosen])
    output = FORMATS[form](diagnostics)
    if output:
        click.echo("\n".join(map(printable, output.split("\n"))))
    return int(bool(diagnostics))


def _ids(option: str, given: tuple[str, ...]) -> set[str]:
    known = {rule.id for rule in RULES}
    ids = {each.strip().upper() for text in given for each in text.split(",") if each.strip()}
    for unknown in sorted(ids - known):
        raise click.UsageError(f"{option} {unknown}: {did_you_mean(unknown, known)}")
    return ids
