"""``meshcors fix FILE``: the fixed VirtualServices, as a diff or written to the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from meshcors._cli import options
from meshcors._cli.diff import unified_diff
from meshcors._cli.files import decoded, read_bytes, write
from meshcors._cli.output import print_text
from meshcors._policy.errors import OriginError
from meshcors._policy.wording import printable
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._fix import FixOptions, FixResult, Responder, fix, separate
from meshcors.mesh._fix.pod_command import pod_command
from meshcors.mesh._lint import diagnose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.origin_match import OriginMatch

_LACKS: Final = (
    "without a pod, Envoy does not check the method and the headers of a preflight, sends no Vary,"
    " and answers a missing or unknown key with a bare 404 that pages cannot read"
)


def _origins(
    _: click.Context, __: click.Parameter, given: tuple[str, ...]
) -> tuple[OriginMatch, ...]:
    found: list[OriginMatch] = []
    for text in given:
        try:
            found.append(origin_match(text))
        except OriginError as error:
            raise click.BadParameter(f"{text}: {error.hint}") from None
    return tuple(found)


@click.command("fix", cls=options.VerbCommand)
@click.argument("file")
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
    "--separate",
    "apart",
    is_flag=True,
    help=(
        "Leave FILE unchanged, because a controller overwrites it, and write a second"
        " VirtualService."
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
    "--write", "writing", is_flag=True, help="Change the file instead of printing a diff."
)
@options.FORM
def command(
    file: str,
    responder: Responder,
    pod: tuple[str, int],
    apart: bool,
    origins: tuple[OriginMatch, ...],
    writing: bool,
    form: str,
) -> int:
    """Fix the VirtualServices of FILE so that browsers' preflights are answered.

    Prints a diff, or changes the file with --write. Nothing else in the file changes: comments,
    order and style stay. A file without problems stays as it is.
    """
    content = read_bytes(file)
    text = decoded(file, content)
    fix_options = FixOptions(responder, pod, origins)
    if apart:
        result = separate(text, file, fix_options)
        target, before = _second_file(file)
        changed = bool(result.blocked) and result.text != before
        if changed and before is not None and writing:
            raise click.ClickException(f"{target}: already exists; move it away")
    else:
        result = fix(text, file, fix_options)
        target, before, changed = file, text, result.text != text
    diff = unified_diff(before, result.text, target) if changed else ""
    if changed and writing:
        write(target, result.text.encode(), before=None if apart else content, like=file)
    notes = list(_notes(result, fix_options, file))
    if form == "json":
        report = {"file": target, "changed": changed, "written": changed and writing}
        click.echo(json.dumps(report | {"diff": diff, "notes": notes}, indent=2))
        return 0
    if not changed:
        click.echo(f"{printable(target if result.blocked else file)}: nothing to fix")
    elif writing:
        click.echo(f"{printable(target)}: written")
    else:
        print_text(diff)
    for note in notes:
        click.echo(f"note: {printable(note)}", err=True)
    return 0


def _second_file(file: str) -> tuple[str, str | None]:
    """Return the name of the second file beside ``file``, and its text if it exists."""
    path = Path(file)
    target = path.with_name(f"{path.stem}-preflight{path.suffix}")
    if not target.exists():
        return str(target), None
    return str(target), decoded(str(target), read_bytes(str(target)))


def _notes(result: FixResult, fix_options: FixOptions, file: str) -> Iterator[str]:
    if result.blocked and fix_options.responder == "mesh":
        yield _LACKS
    if fix_options.responder != "mesh":
        for calls in result.blocked:
            address = ":".join(map(str, fix_options.pod))
            yield f"start the pod behind {address} with: {pod_command(calls, fix_options)}"
    origins = [value for _, value in fix_options.origins]
    named = any(calls.policies for calls in result.blocked)
    if named and origins and not any(value in result.text for value in origins):
        yield f"{file} already names the origins that it allows: --allow-origin changes nothing"
    for calls in result.blocked:
        if any(each.calls.route.source.cors_policy is None for each in calls.calls):
            yield f"{calls.service.label}: a rule without corsPolicy leaves CORS to its service"
    left = sum(finding.severity == "error" for finding in diagnose(result.after))
    if left:
        errors = "1 error is" if left == 1 else f"{left} errors are"
        yield f"{errors} left for you to fix: meshcors lint {file}"
