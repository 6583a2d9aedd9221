"""The ``meshcors`` command: one module for each verb, imported when the verb is called.

Exit code 0: fine; 1: something was found, or a browser would block; 2: bad usage, or nothing that
can be read, with one line on stderr.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from meshcors._policy.wording import did_you_mean, printable
from meshcors.config._command_line import PlainCommand
from meshcors.mesh._documents.problems import DocumentError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Verb(NamedTuple):
    """The module and name of a verb's click command, and its summary in ``--help``."""

    module: str
    command: str
    summary: str


# What is missing, and what to write.
_MISSING: Final = {
    "--origin": "--origin: name the page's origin, such as https://ui.example",
    "FILE...": "FILE: name files or directories with VirtualServices or HTTPRoutes, or - for stdin",
    "URL": "URL: write the URL that the page calls, such as https://api.example/v1/predict",
}
# A new verb needs only a row here.
VERBS: Final = {
    "doctor": Verb("meshcors._cli.doctor", "command", "Make a page's call, and say what is wrong."),
    "dummy": Verb("meshcors.dummy._command", "main", "Run the preflight pod."),
    "explain": Verb("meshcors._cli.explain", "command", "Follow a page's call through the mesh."),
    "fix": Verb("meshcors._cli.fix", "command", "Fix documents that block browsers."),
    "lab": Verb("meshcors._cli.lab", "command", "See calls fail and work, in a real gateway."),
    "lint": Verb("meshcors._cli.lint", "command", "Find what is wrong with CORS in the mesh."),
    "routes": Verb("meshcors._cli.routes", "command", "List the rules that a gateway runs."),
    "render": Verb("meshcors._cli.render", "command", "Write a policy in another form."),
    "run": Verb(
        "meshcors._cli.launch", "command", "Start an app's server with the policy around it."
    ),
}


class Toolbox(PlainCommand, click.Group):
    """A group that imports a verb only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs' names."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb; None for an unknown one."""
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        command: click.Command = getattr(import_module(verb.module), verb.command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown verb and name the nearest one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"{args[0]}: {did_you_mean(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, VERBS[name].summary) for name in sorted(VERBS)])


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"meshcors {metadata.version('meshcors')}")
        ctx.exit()


@click.command(
    cls=Toolbox,
    subcommand_metavar="VERB ...",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.pass_context
def toolbox(ctx: click.Context) -> None:
    """Tools for one CORS policy across services that share a URL."""
    if ctx.invoked_subcommand is None:
        raise click.UsageError(f"name a verb: {', '.join(sorted(VERBS))}; see --help")


def main(args: Sequence[str] | None = None) -> None:
    """Run a verb and exit with its exit code."""
    for name in ("stdout", "stderr"):
        # In a process that was started without one, what is printed goes nowhere.
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    raise SystemExit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run a verb with ``args`` (the process's own by default); return its exit code."""
    arguments: dict[str, Any] = {"args": None if args is None else list(args)}
    try:
        code = toolbox.main(prog_name="meshcors", standalone_mode=False, **arguments)
        sys.stdout.flush()
    except click.MissingParameter as error:
        return refuse(_missing(error))
    except click.ClickException as error:
        return refuse(error.format_message())
    except DocumentError as error:
        first, *more = error.problems
        return refuse(f"{first}{f' (and {len(more)} more)' if more else ''}")
    except click.Abort:
        return 130
    except BrokenPipeError:
        # the reader has closed the pipe
        _write_no_more()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _write_no_more()
        return refuse(f"{error.strerror}: nothing more can be written")
    return code if isinstance(code, int) else 0


def _write_no_more() -> None:
    """Keep Python from flushing into stdout again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _missing(error: click.MissingParameter) -> str:
    """Return the message; click's own does not say what to write."""
    param = error.param
    if param is not None and isinstance(param.type, click.Choice):
        return f"{param.opts[0]}: name one of {', '.join(map(str, param.type.choices))}"
    if isinstance(param, click.Argument):
        name = param.human_readable_name
    else:
        name = param.opts[0] if param else str(error.param_hint).strip("'")
    return _MISSING.get(name, error.format_message())


def refuse(line: str) -> int:
    """Print one line on stderr, and return the exit code for it."""
    click.echo(f"meshcors: {printable(line)}", err=True)
    return 2
