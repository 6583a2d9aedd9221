"""``meshcors routes FILE...``: what a gateway runs, or would run, as a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from meshcors._cli import options
from meshcors._cli.mesh_files import mesh_of
from meshcors._cli.output import note_problems
from meshcors._cli.routes_text import as_data, narrate
from meshcors._policy.wording import printable
from meshcors.mesh import DocumentError
from meshcors.mesh._analysis.route_listing import listed_gateways

if TYPE_CHECKING:
    pass


@click.command(
    "routes",
    cls=options.VerbCommand,
    epilog="meshcors routes config_dump.json --host api.example",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--host", metavar="HOST", help="Show only the rules that serve this host.")
@options.FORM
def command(files: tuple[str, ...], host: str | None, form: str) -> int:
    """List the rules of every gateway in order: conditions, destination, corsPolicy, preflights.

    FILE is what an Envoy runs (a config dump, the output of istioctl proxy-config or egctl config,
    a static configuration), or the documents that a control plane would make it from.

    Exit code 0 if any rule is listed, with a note for what cannot be read; 2 if none is.
    """
    mesh = mesh_of(files)
    if mesh.problems and not mesh.documents:
        raise DocumentError(mesh.problems)
    note_problems(mesh.problems)
    if not mesh.documents:
        raise click.UsageError("no route in these files: pass VirtualServices or a config dump")
    gateways = [each for each in listed_gateways(mesh.documents, host) if each.hosts]
    if not gateways:
        raise click.UsageError(f"--host {host}: no gateway in these files serves it")
    if form == "json":
        click.echo(json.dumps(as_data(gateways), indent=2))
    else:
        for line in narrate(gateways):
            click.echo(printable(line))
    return 0
