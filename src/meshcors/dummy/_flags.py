"""The pod's command line: the policy's flags, from the table of options, and the pod's own."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any, ClassVar, Final, TypeAlias

import click

from meshcors._policy.hosts import host_name
from meshcors._policy.wording import did_you_mean
from meshcors.config._formats import BOOLEAN, NAMES, ORIGINS
from meshcors.config._options import CONFIG_VARIABLE, OPTIONS, Option
from meshcors.dummy._connections import DEFAULT_MAX_CONNECTIONS

Command: TypeAlias = Callable[..., Any]

_HELP: Final = {
    "allow_origins": "An origin whose pages may call the services, such as https://ui.example,"
    " https://*.example.com, http://localhost:* or regex:EXPRESSION. May be repeated.",
    "allow_methods": "A method to allow besides GET, HEAD and POST. May be repeated.",
    "allow_headers": "A request header to allow besides the safelisted ones and the key. May be"
    " repeated.",
    "expose_headers": "A response header that scripts may read. May be repeated.",
    "allow_credentials": "Whether pages may send cookies and HTTP authentication.",
    "max_age": "How long browsers may cache an answer: seconds, or a duration such as 10m or 24h.",
    "allow_private_network": "Whether public pages may reach these services on a private network.",
    "key.name": "The request header that picks a service, such as model-api-key.",
}
# Of the flags that may be repeated, and of those that take one value.
_REPEATED: Final = {ORIGINS: "ORIGIN", NAMES: "NAME"}
_SINGLE: Final = {"key.name": "NAME", "max_age": "SECONDS"}


class _Seconds(click.FloatRange):
    """A number of seconds, at most a day; more would be a mistake."""

    def __init__(self) -> None:
        super().__init__(0, 86400)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; click's range check lets nan pass."""
        number = super().convert(value, param, ctx)
        if isnan(number):
            self.fail("not a number", param, ctx)
        return number


_SECONDS: Final = _Seconds()
_PORT: Final = click.IntRange(0, 65535)

DEFAULT_ADMIN_PORT: Final = 9090

_POD_FLAGS: Final = (
    click.option(
        "--config",
        metavar="FILE",
        help="A file with the policy or rules: YAML, JSON or TOML, or an Istio VirtualService. It"
        f" is watched, and reloaded when it changes. [{CONFIG_VARIABLE}]",
    ),
    click.option(
        "--check", is_flag=True, help="Check the configuration, print it as JSON, and exit."
    ),
    click.option("--host", metavar="HOST", help="The host to listen on. Default: every interface."),
    click.option(
        "--port",
        type=_PORT,
        metavar="PORT",
        default=8080,
        show_default=True,
        help="The port to listen on; 0 picks a free one and prints it.",
    ),
    click.option(
        "--uds", metavar="PATH", help="A Unix socket to listen on, instead of host and port."
    ),
    click.option(
        "--admin-host", metavar="HOST", help="The host of the admin port. Default: that of --host."
    ),
    click.option(
        "--admin-host-name",
        "admin_host_names",
        multiple=True,
        metavar="NAME",
        callback=lambda context, parameter, names: tuple(map(_host_name, names)),
        help="A host name under which the admin page and /policy are shown, besides IP addresses"
        " and localhost. May be repeated.",
    ),
    click.option(
        "--admin-port",
        type=_PORT,
        metavar="PORT",
        help="The port for probes, metrics and the admin page; 0 picks a free one and prints it."
        f" Default: {DEFAULT_ADMIN_PORT}, or no admin port if that is taken.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        metavar="N",
        help="How many processes answer. With more than one, an additional process serves the admin"
        " port.",
    ),
    click.option(
        "--drain",
        type=_SECONDS,
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="How long the pod goes on answering after SIGTERM.",
    ),
    click.option(
        "--keep-alive",
        type=_SECONDS,
        default=75.0,
        show_default=True,
        metavar="SECONDS",
        help="How long a connection may stay open between requests.",
    ),
    click.option(
        "--max-connections",
        type=click.IntRange(1),
        metavar="N",
        help="How many connections each process keeps open. When one more arrives, the one that"
        f" has been idle longest is closed. Default: {DEFAULT_MAX_CONNECTIONS}, or fewer if the"
        " limit on open files is low.",
    ),
    click.option("--access-log", is_flag=True, help="Log every answer, not only refused requests."),
    click.option(
        "--log-format",
        type=click.Choice(["auto", "json", "text"]),
        default="auto",
        show_default=True,
        help="auto means text on a terminal, and JSON elsewhere.",
    ),
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        show_default=True,
        help="The least severe log lines to write.",
    ),
)


class PodCommand(click.Command):
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
            hint = _what_to_write(error.param.type) or error.message
            raise click.UsageError(f"{error.param.opts[0]}: {hint}") from None


def _what_to_write(kind: object) -> str | None:
    """Return what a flag of this type takes; None where click's own message says so."""
    if isinstance(kind, click.Choice):
        return f"write {', '.join(kind.choices[:-1])} or {kind.choices[-1]}"
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return None
    number = "a whole number" if isinstance(kind, click.IntRange) else "a number"
    if kind.max is None:
        return f"write {number}, at least {kind.min}"
    return f"write {number} from {kind.min} to {kind.max}"


def add_flags(command: Command) -> Command:
    """Add all flags to a command's function, the policy's first."""
    for flag in reversed(_POD_FLAGS):
        command = flag(command)
    return add_policy_flags(command)


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


def _host_name(text: str) -> str:
    name = host_name(text.encode("utf-8", "surrogateescape"))
    # `host_name` would drop a port; a name given with one is refused.
    if name is None or name != text.lower().rstrip("."):
        raise click.BadParameter("write the host name alone, such as admin.example")
    return name


def _policy_flag(option: Option, flag: str) -> Callable[[Command], Command]:
    declaration = flag
    attributes: dict[str, Any]
    if option.format in _REPEATED:
        attributes = {"multiple": True, "metavar": _REPEATED[option.format]}
    elif option.format is BOOLEAN:
        declaration, attributes = f"{flag}/--no-{flag.removeprefix('--')}", {"default": None}
    else:
        attributes = {"metavar": _SINGLE[option.name]}
    help_text = f"{_HELP[option.name]} [{option.variable}]"
    return click.option(declaration, _parameter(option), help=help_text, **attributes)


def _parameter(option: Option) -> str:
    return option.name.replace(".", "_")
