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


class PlainCommand(click.Command):
    """A command whose errors name the flag and what to write; its epilog is an example.

    Raises `click.UsageError`, also for a flag that is given twice: the first one would be lost.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            self._refuse_repeated(ctx, args)
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = self.unknown(ctx, error.option_name)
            raise click.UsageError(f"{error.option_name}: {hint}") from None
        except click.BadOptionUsage as error:
            hint = self._about_value(error.option_name)
            raise click.UsageError(f"{error.option_name}: {hint}") from None
        except click.MissingParameter:
            # What is missing has a hint of its own, which the caller knows.
            raise
        except click.BadParameter as error:
            if error.param is None:
                raise
            hint = what_to_write(error.param.type) or error.message
            raise click.UsageError(f"{_name(error.param)}: {hint}") from None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example without a line break in it: it is there to be copied."""
        if self.epilog:
            formatter.write(f"\nExample:\n  {self.epilog}\n")

    def unknown(self, ctx: click.Context, flag: str) -> str:
        """Return what to say of a flag that there is not."""
        options = (each for each in self.get_params(ctx) if isinstance(each, click.Option))
        return did_you_mean(
            flag, [known for each in options for known in (*each.opts, *each.secondary_opts)]
        )

    def _refuse_repeated(self, ctx: click.Context, args: list[str]) -> None:
        _, _, given = self.make_parser(ctx).parse_args(list(args))
        for at, each in enumerate(given):
            takes_one = isinstance(each, click.Option) and not each.multiple
            # A flag without a value says the same again.
            says_same = isinstance(each, click.Option) and each.is_flag and not each.secondary_opts
            if takes_one and not says_same and each in given[:at]:
                raise click.UsageError(f"{_name(each)}: given twice: leave one out")

    def _about_value(self, flag: str) -> str:
        for each in self.params:
            if flag in each.opts and isinstance(each, click.Option) and not each.is_flag:
                return f"its value is missing; {_to_write(each)}"
        return "it takes no value: leave that out"


class PolicyCommand(PlainCommand):
    """A command with the policy's flags, whose errors never repeat what was given."""

    # For who writes a flag of that name, which no command has.
    key_values_hint: ClassVar[str] = (
        "the pod needs no values, only the name of their header: --key-header"
    )

    def unknown(self, ctx: click.Context, flag: str) -> str:
        """Return what to say of a flag that there is not."""
        return (
            self.key_values_hint if flag.startswith("--key-value") else super().unknown(ctx, flag)
        )


def _name(param: click.Parameter) -> str:
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def _to_write(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return f"name one of {', '.join(map(str, option.type.choices))}"
    return f"write {option.opts[0]} {option.metavar or 'VALUE'}"


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
