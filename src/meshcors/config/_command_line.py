"""The policy's flags on a command line, from the table of options: the pod's and the launcher's.

What is wrong with a command line is said in our words: click's own speak of a "float range".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, TypeAlias

import click

from meshcors._policy.wording import did_you_mean
from meshcors.config._formats import BOOLEAN, NAMES, ORIGINS, SECONDS, TEXT
from meshcors.config._options import OPTIONS, Option

Command: TypeAlias = Callable[..., Any]

_METAVARS: Final = {ORIGINS: "ORIGIN", NAMES: "NAME", TEXT: "NAME", SECONDS: "SECONDS"}


class ExampleCommand(click.Command):
    """A command whose epilog is an example, which ``--help`` shows as it is."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example without a line break in it: it is there to be copied."""
        if self.epilog:
            formatter.write(f"\nExample:\n  {self.epilog}\n")


class PolicyCommand(ExampleCommand):
    """A command whose errors name the flag and what to write, and never repeat what was given.

    Raises `click.UsageError`.
    """

    # For who writes a flag of that name, which no command has.
    key_values_hint: ClassVar[str] = (
        "the pod needs no values, only the name of their header: --key-header"
    )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            known = [flag for each in self.params for flag in (*each.opts, *each.secondary_opts)]
            hint = did_you_mean(name, known)
            if name.startswith("--key-value"):
                hint = self.key_values_hint
            raise click.UsageError(f"{name}: {hint}") from None
        except click.BadParameter as error:
            if error.param is None:
                raise
            hint = what_to_write(error.param.type) or error.message
            raise click.UsageError(f"{error.param.opts[0]}: {hint}") from None


def add_policy_flags(command: Command) -> Command:
    """Add the policy's flags to a command's function."""
    for option in reversed(OPTIONS):
        if option.flag is not None:
            command = _policy_flag(option, option.flag)(command)
    return command


def policy_values(parameters: dict[str, Any]) -> dict[str, object]:
    """Remove the policy's flags from `parameters`; return those that were given, by option."""
    values = {option.name: parameters.pop(_parameter(option)) for option in OPTIONS if option.flag}
    return {name: value for name, value in values.items() if value not in (None, ())}


def _policy_flag(option: Option, flag: str) -> Callable[[Command], Command]:
    return click.option(
        f"{flag}/--no-{flag.removeprefix('--')}" if option.format is BOOLEAN else flag,
        _parameter(option),
        help=f"{option.help} [{option.variable}]",
        metavar=_METAVARS.get(option.format),
        multiple=option.format in {ORIGINS, NAMES},
        default=None,
    )


def _parameter(option: Option) -> str:
    return option.name.replace(".", "_")


def what_to_write(kind: object) -> str | None:
    """Return what a flag of this type takes; None where click's own message says so."""
    if isinstance(kind, click.Choice):
        return f"write {', '.join(kind.choices[:-1])} or {kind.choices[-1]}"
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return None
    number = "a whole number" if isinstance(kind, click.IntRange) else "a number"
    if kind.max is None:
        return f"write {number}, at least {kind.min}"
    return f"write {number} from {kind.min} to {kind.max}"
