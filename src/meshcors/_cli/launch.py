"""``meshcors run -- COMMAND ...``: becomes COMMAND, with the policy around the app it serves."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any, ClassVar, NoReturn

import click

from meshcors._launch.environment import program_environment
from meshcors._launch.handed_policy import VALUES_FLAG
from meshcors._launch.program import ProgramError, find
from meshcors._policy.errors import PolicyError, problem_lines
from meshcors._policy.warning import PolicyWarning
from meshcors._policy.wording import printable
from meshcors.config._command_line import PolicyCommand, add_policy_flags, policy_values
from meshcors.config._options import CONFIG_VARIABLE


class RunCommand(PolicyCommand):
    """Reads flags up to COMMAND, whose own flags follow."""

    key_values_hint: ClassVar[str] = (
        f"values are read from a file, {VALUES_FLAG} FILE, or from MESHCORS_KEY_VALUES"
    )


@click.command(
    "run",
    cls=RunCommand,
    context_settings={"allow_interspersed_args": False},
    options_metavar="[FLAGS] --",
    epilog="meshcors run --allow-origin https://ui.example -- uvicorn main:app",
)
@add_policy_flags
@click.option(
    "--config",
    metavar="FILE",
    help=f"A file with the policy or rules: YAML, JSON or TOML. [{CONFIG_VARIABLE}]",
)
@click.option(
    VALUES_FLAG,
    metavar="FILE",
    help="A file with the key's values, one per line. [MESHCORS_KEY_VALUES_FILE]",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Follow the policy's file while the app runs: use each change, and keep the last good"
    " policy while the file is invalid.",
)
@click.option(
    "--other-listeners",
    is_flag=True,
    help="Allow processes that listen, but serve no app with one of these servers.",
)
@click.option(
    "--any-command",
    is_flag=True,
    help="Allow a COMMAND that is not a Python program, but starts one with its environment.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND ...")
def command(
    command: tuple[str, ...],
    config: str | None,
    key_values_file: str | None,
    follow: bool,
    other_listeners: bool,
    any_command: bool,
    **flags: Any,
) -> int:
    """Start COMMAND with the policy around the app that its server serves.

    COMMAND is a Python program that serves with uvicorn, hypercorn, granian, gunicorn or Werkzeug.
    It needs no change. A flag beats its environment variable, which beats the file.
    """
    if not command:
        raise click.UsageError("name the command: meshcors run ... -- uvicorn main:app")
    if follow and not (config or os.environ.get(CONFIG_VARIABLE, "").strip()):
        raise click.UsageError(f"--follow: name the file, with --config or {CONFIG_VARIABLE}")
    try:
        path = find(command, unchecked=any_command)
        with warnings.catch_warnings():
            # The program gives them.
            warnings.simplefilter("ignore", PolicyWarning)
            environment = program_environment(
                policy_values(flags),
                os.environ,
                config=config,
                key_values_file=key_values_file,
                other_listeners=other_listeners,
                follow=follow,
            )
    except ProgramError as error:
        raise click.UsageError(str(error)) from None
    except PolicyError as error:
        for line in problem_lines(error.problems):
            click.echo(f"meshcors: {printable(line)}", err=True)
        return 2
    return _become(path, command, environment)


def _become(path: str, command: tuple[str, ...], environment: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    try:
        # Without a shell: its arguments are the user's, word by word.
        os.execve(path, command, environment)  # noqa: S606
    except OSError as error:
        raise click.UsageError(f"{command[0]}: {error.strerror}") from None
