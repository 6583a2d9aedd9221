"""``meshcors fix FILE...``: the fixed documents, as diffs or written to the files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshcors._cli import options
from meshcors._cli.diff import unified_diff
from meshcors._cli.files import decoded, read_bytes, write
from meshcors._cli.fix_notes import notes
from meshcors._cli.mesh_files import STDIN, mesh_of
from meshcors._cli.output import print_text
from meshcors._policy.errors import OriginError
from meshcors._policy.wording import printable, shown_origin
from meshcors.mesh import DocumentError
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._fix import FixOptions, Responder, fix_mesh, separate_mesh
from meshcors.mesh._fix.errors import nothing_to_read

if TYPE_CHECKING:
    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.origin_match import OriginMatch


def _origins(
    _: click.Context, __: click.Parameter, given: tuple[str, ...]
) -> tuple[OriginMatch, ...]:
    found: list[OriginMatch] = []
    for text in given:
        try:
            found.append(origin_match(text))
        except OriginError as error:
            raise click.BadParameter(f"{shown_origin(text)}: {error.hint}") from None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Change:
    """What becomes of a file: ``before`` is None if there is no such file yet."""

    name: str
    before: str | None
    after: str
    is_new: bool = False

    @property
    def is_any(self) -> bool:
        return bool(self.after) and self.after != self.before

    @property
    def diff(self) -> str:
        return unified_diff(self.before, self.after, self.name) if self.is_any else ""


@click.command(
    "fix",
    cls=options.VerbCommand,
    epilog="meshcors fix model.yaml --with pod --allow-origin https://ui.example",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--with",
    "responder",
    type=click.Choice(["pod", "mesh", "both"]),
    default="pod",
    show_default=True,
    help="Who answers preflights: the preflight pod, Envoy, or Envoy with the pod behind it.",
)
@options.POD
@click.option(
    "--no-unmatched",
    "unmatched",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Add no last rule that sends unmatched requests to the pod.",
)
@click.option(
    "--separate",
    "apart",
    is_flag=True,
    help=(
        "Leave FILE unchanged, because a controller overwrites it, and write a second document"
        " to another file."
    ),
)
@click.option(
    "--allow-origin",
    "origins",
    callback=_origins,
    multiple=True,
    metavar="ORIGIN",
    help="An origin to allow where the file allows * or none. May be repeated.",
)
@click.option(
    "--write", "writing", is_flag=True, help="Change the files instead of printing a diff."
)
@options.FORM
def command(
    files: tuple[str, ...],
    responder: Responder,
    pod: tuple[str, int],
    unmatched: bool,
    apart: bool,
    origins: tuple[OriginMatch, ...],
    writing: bool,
    form: str,
) -> int:
    """Fix the VirtualServices and HTTPRoutes of FILE... so that preflights are answered.

    All files together are one mesh: fix writes no rule that would break other calls. Prints a
    diff, or changes the files with --write. Nothing else in a file changes: comments, order and
    style stay. A file without problems stays as it is.

    Exit code 0 if it is fixed, or if there is nothing to fix; 2 if it cannot be.
    """
    if writing and "-" in files:
        raise click.UsageError("--write cannot change standard input: name the files instead")
    mesh = mesh_of(files)
    _refuse_empty(mesh, files)
    fix_options = FixOptions(responder, pod, origins, unmatched)
    if apart:
        result = separate_mesh(mesh, _second_name, fix_options)
        changes = [_second_file(name, text) for name, text in result.texts.items()]
    else:
        result = fix_mesh(mesh, fix_options)
        changes = [_Change(name, mesh.texts[name], text) for name, text in result.texts.items()]
    changed = [change for change in changes if change.is_any]
    if writing:
        _write(changed, mesh)
    said = list(notes(result, mesh, fix_options, files))
    if form == "json":
        click.echo(
            json.dumps({**_report(changed or changes[:1], files, writing), "notes": said}, indent=2)
        )
        return 0
    if not changed:
        only = changes[0].name if len(changes) == 1 else files[0] if len(files) == 1 else ""
        click.echo(f"{printable(only)}: nothing to fix" if only else "nothing to fix")
    for change in changed:
        if writing:
            click.echo(f"{printable(change.name)}: written")
        else:
            print_text(change.diff)
    for note in said:
        click.echo(f"note: {printable(note)}", err=True)
    return 0


def _refuse_empty(mesh: MeshDocuments, files: tuple[str, ...]) -> None:
    """Raise ``DocumentError`` if there is nothing to fix or to leave as it is."""
    if mesh.documents:
        return
    raise DocumentError(mesh.problems) if mesh.problems else nothing_to_read(files[0])


def _second_name(file: str) -> str:
    """Return the name of the second file beside ``file``."""
    if file == STDIN:
        return "preflight.yaml"
    path = Path(file)
    return str(path.with_name(f"{path.stem}-preflight{path.suffix}"))


def _second_file(name: str, text: str) -> _Change:
    before = decoded(name, read_bytes(name)) if Path(name).exists() else None
    return _Change(name, before, text, is_new=True)


def _write(changes: list[_Change], mesh: MeshDocuments) -> None:
    """Write all files, or none if one of them cannot be written or has changed meanwhile."""
    for change in changes:
        if change.is_new and change.before is not None:
            raise click.ClickException(f"{change.name}: already exists; move it away")
        if not change.is_new and read_bytes(change.name) != (change.before or "").encode():
            raise click.ClickException(
                f"{change.name}: the file has changed in the meantime; run the command again"
            )
    done: list[_Change] = []
    for change in changes:
        like = next(file for file in mesh.texts if change.name in (file, _second_name(file)))
        before = None if change.before is None else change.before.encode()
        try:
            write(change.name, change.after.encode(), before=before, like=like)
        except click.ClickException as error:
            left = [each.name for each in reversed(done) if not _is_undone(each)]
            if not left:
                raise
            message = f"{error.message}, except {', '.join(left)}, which cannot be changed back"
            raise click.ClickException(message) from None
        done.append(change)


def _is_undone(change: _Change) -> bool:
    """Bring back what a file was before it was written; tell whether that worked."""
    try:
        if change.before is None:
            Path(change.name).unlink()
        else:
            before, after = change.before.encode(), change.after.encode()
            write(change.name, before, before=after, like=change.name)
    except (OSError, click.ClickException):
        return False
    return True


def _report(changes: list[_Change], files: tuple[str, ...], writing: bool) -> dict[str, object]:
    """Return what the JSON report says of the files; of a single one, without a list."""
    found: list[dict[str, object]] = [
        {
            "file": each.name,
            "changed": each.is_any,
            "written": each.is_any and writing,
            "diff": each.diff,
        }
        for each in changes
    ]
    if len(files) == 1 and len(found) == 1:
        return found[0]
    return {"files": found}
