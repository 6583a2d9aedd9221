"""``meshcors lint FILE...``: what is wrong with CORS in a mesh, and how to fix it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from meshcors._cli import options
from meshcors._cli.mesh_files import mesh_of
from meshcors._policy.wording import did_you_mean, printable
from meshcors.mesh._lint import RULES, diagnose
from meshcors.mesh._lint.explanations import explanation
from meshcors.mesh._lint.formats import FORMATS

if TYPE_CHECKING:
    from meshcors.mesh._lint.finding import Severity

_SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
# An id with or without its letters and leading zeros, with O for 0.
_SHORT_ID: Final = re.compile("(?:MC)?([0-9O]{1,3})", re.IGNORECASE)
_ID: Final = re.compile("MC[0-9]")


def _explain(ctx: click.Context, _: click.Parameter, given: str | None) -> None:
    """Print the explanations of lint rules and end the verb, whatever else it is given."""
    if given is None:
        return
    ids = _ids("--explain", (given,))
    if not ids:
        raise click.UsageError("--explain: name a lint rule, such as MC001")
    click.echo("\n\n\n".join(explanation(rule) for rule in RULES if rule.id in ids))
    ctx.exit()


@click.command(
    "lint",
    cls=options.VerbCommand,
    epilog="meshcors lint model.yaml",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="The format of the report.",
)
@click.option(
    "--select",
    multiple=True,
    metavar="ID",
    help="Run only these lint rules: IDs or names, separated by commas. May be repeated.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="ID",
    help="Leave out these lint rules: IDs or names, separated by commas. May be repeated.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help=(
        "Leave out files and directories below the given directories: names, or paths with a /."
        " May be repeated."
    ),
)
@click.option(
    "--fail-on",
    type=click.Choice(list(_SEVERITIES)),
    default="warning",
    show_default=True,
    help="The lowest severity that makes the exit code 1.",
)
@click.option(
    "--explain",
    metavar="ID",
    is_eager=True,
    expose_value=False,
    callback=_explain,
    help="Explain a lint rule, such as MC001 or lost-preflight, and exit. Needs no FILE.",
)
def command(
    files: tuple[str, ...],
    form: str,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    exclude: tuple[str, ...],
    fail_on: Severity,
) -> int:
    """Find what is wrong with CORS in VirtualServices, HTTPRoutes and the objects around them.

    FILE is a file, a directory with *.yaml, *.yml and *.json files, or - for standard input. All of
    them together are treated as one mesh. A comment `# meshcors: ignore MC014` silences a lint rule
    on its line, or on the line below.

    Exit code 0: nothing found, or only notes; 1: an error or a warning (see --fail-on); 2: an
    invalid option, or a FILE that does not exist.
    """
    chosen = _ids("--select", select) or {rule.id for rule in RULES}
    chosen -= _ids("--ignore", ignore)
    mesh = mesh_of(files, exclude=exclude)
    diagnostics = diagnose(mesh, [rule for rule in RULES if rule.id in chosen], files)
    output = FORMATS[form](diagnostics)
    if form == "text" and not (diagnostics or mesh.problems or mesh.documents):
        output += f": no VirtualService or HTTPRoute in the file{'s' * (len(mesh.texts) > 1)}"
    if output:
        click.echo("\n".join(map(printable, output.split("\n"))))
    failing = _SEVERITIES[: _SEVERITIES.index(fail_on) + 1]
    return int(any(each.severity in failing for each in diagnostics))


def _ids(option: str, given: tuple[str, ...]) -> set[str]:
    """Return the ids of the lint rules that ``given`` lists, by id or by name."""
    ids = {rule.id: rule.id for rule in RULES}
    known = ids | {rule.name: rule.id for rule in RULES}
    found: set[str] = set()
    for text in (each.strip() for part in given for each in part.split(",")):
        id_ = known.get(text.upper()) or known.get(text.lower())
        if id_:
            found.add(id_)
        elif text:
            digits = _SHORT_ID.fullmatch(text)
            near = f"MC{digits[1].upper().replace('O', '0'):0>3}" if digits else text.upper()
            hint = did_you_mean(near, ids) if _ID.match(near) else did_you_mean(text.lower(), known)
            raise click.UsageError(f"{option} {text}: {hint}")
    return found
