"""``meshcors lab --check``: the calls of the lab's page without a page, printed for CI."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import click

from meshcors._policy.wording import file_argument, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors._lab.settings import Address, LabSettings
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments


def print_check(
    files: tuple[str, ...], mesh: MeshDocuments, settings: LabSettings, form: str
) -> int:
    """Print what each call of a page does, and return the exit code."""
    from meshcors._lab.check import check
    from meshcors._lab.scene import scene_of

    scene = scene_of(mesh, settings, checking=True)
    failures = count = 0
    data: list[dict[str, object]] = []
    for checked in check(scene):
        count += checked.call.is_meant
        failures += checked.is_failure
        if form == "json":
            data.append(checked.as_data())
        else:
            click.echo(printable(checked.line))
    if form == "json":
        click.echo(json.dumps({"calls": data, "notes": list(scene.notes)}, indent=2))
        return int(failures > 0)
    for note in scene.notes:
        click.echo(f"note: {printable(note)}", err=True)
    for line in _summary(files, settings.pod, count, failures):
        click.echo(printable(line))
    return int(failures > 0)


def _summary(files: tuple[str, ...], pod: Address, count: int, failures: int) -> Iterator[str]:
    from meshcors._lab.settings import DEFAULT_POD

    if not count:
        yield "nothing to check: no rule says, by a corsPolicy or a header, which calls it serves"
        return
    served = f"{count} call{'' if count == 1 else 's'} that a rule is meant to serve"
    if not failures:
        yield f"{served}: all work"
        return
    yield f"{failures} of {served} would be blocked"
    if files and "-" not in files:
        known = [] if pod == DEFAULT_POD else ["--pod", f"{pod[0]}:{pod[1]}"]
        yield "to see why: the same command without --check"
        named = map(file_argument, files)
        yield f"to fix it:  {shlex.join(['meshcors', 'fix', *named, '--with', 'pod', *known])}"
