"""``meshcors fix FILE``: a VirtualService result, as a diff or in its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from meshcors._cli import options
from meshcors._cli.diff import unified_diff
from meshcors._cli.files import decoded, read_bytes, write
from meshcors._policy.origins import OriginError
from meshcors._policy.wording import printable
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._fix import FixOptions, FixResult, Responder, fix, separate
from meshcors.mesh._fix.preflight import pod_command
from meshcors.mesh._lint import diagnose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._fix import OriginMatch

_LACKS: Final = (
    "without a pod Envoy checks no method and no header of a preflight, says no Vary, and a"
    " missing or unknown key still gets a bare 404 that pages cannot read"
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
    "way",
    type=click.Choice(["pod", "mesh", "both"]),
    default="pod",
    show_default=True,
    help="Who answers preflights: the preflight pod, Envoy itself, or Envoy and behind it the pod.",
)
@options.POD
@click.option(
    "--separate",
    "apart",
    is_flag=True,
    help="Leave FILE alone, which another controller writes: make a second VirtualService.",
)
@click.option(
    "--allow-origin",
    "origins",
    callback=_origins,
    multiple=True,
    metavar="ORIGIN",
    help="A page's origin, where the file says * or none; repeat it for more.",
)
@click.option("--write", "writing", is_flag=True, help="Change the file, and print no diff.")
@options.FORM
def command(
    file: str,
    way: Responder,
    pod: tuple[str, int],
    apart: bool,
    origins: tuple[OriginMatch, ...],
    writing: bool,
    form: str,
) -> int:
    """Mend the VirtualServices of FILE so that browsers' preflights are answered.

    Prints a diff; with --write it changes the file and nothing else in it: comments, order and
    style stay. A file that is right already stays as it is.
    """
    content = read_bytes(file)
    text = decoded(file, content)
    wish = FixOptions(way, pod, origins)
    if apart:
        result = separate(text, file, wish)
        target, before = _second_file(file)
        changed = bool(result.needs) and result.text != before
        if changed and before is not None and writing:
            raise click.ClickException(f"{target}: is there already; move it away")
    else:
        result = fix(text, file, wish)
        target, before, changed = file, text, result.text != text
    diff = unified_diff(before, result.text, target) if changed else ""
    if changed and writing:
        write(target, result.text.encode(), before=None if apart else content, like=file)
    notes = list(_notes(result, wish, file))
    if form == "json":
        report = {"file": target, "changed": changed, "written": changed and writing}
        click.echo(json.dumps(report | {"diff": diff, "notes": notes}, indent=2))
        return 0
    if not changed:
        click.echo(f"{printable(target if result.needs else file)}: nothing to fix")
    elif writing:
        click.echo(f"{printable(target)}: written")
    else:
        # as bytes: the diff is to fit the file whatever the terminal's encoding is
        click.echo(diff.encode(), nl=False)
    for note in notes:
        click.echo(f"note: {printable(note)}", err=True)
    return 0


def _second_file(file: str) -> tuple[str, str | None]:
    """Return the name for a second file beside ``file``, and its text if it is there."""
    path = Path(file)
    target = path.with_name(f"{path.stem}-preflight{path.suffix}")
    if not target.exists():
        return str(target), None
    return str(target), decoded(str(target), read_bytes(str(target)))


def _notes(result: FixResult, wish: FixOptions, file: str) -> Iterator[str]:
    if result.needs and wish.way == "mesh":
        yield _LACKS
    if wish.way != "mesh":
        for need in result.needs:
            yield f"the pod behind {':'.join(map(str, wish.pod))}: {pod_command(need, wish)}"
    named = any(need.policies for need in result.needs)
    if named and wish.origins and not any(value in result.text for _, value in wish.origins):
        yield f"{file} says already which origins it allows: --allow-origin changes nothing"
    for need in result.needs:
        if any(each.route.source.cors_policy is None for each in need.calls):
            yield f"{need.service.label}: without corsPolicy a rule leaves CORS to its service"
    left = sum(finding.rule.severity == "error" for finding in diagnose(result.after))
    if left:
        yield f"{left} error{'s' * (left > 1)} left that only you can hint: meshcors lint {file}"
