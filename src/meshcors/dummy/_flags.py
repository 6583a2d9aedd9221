"""The pod's command line: the policy's flags, off the table of spellings, and the pod's own."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any, Final, TypeAlias

import click

from meshcors._policy.rules import host_name
from meshcors._policy.wording import did_you_mean
from meshcors.config._spelling import CONFIG_VARIABLE, FLAG, NAMES, OPTIONS, ORIGINS, Option
from meshcors.dummy._descriptors import DEFAULT_MOST

Command: TypeAlias = Callable[..., Any]

_HELP: Final = {
    "allow_origins": "An origin whose pages may call, as https://ui.example,"
    " https://*.example.com, http://localhost:* or regex:EXPRESSION. Repeat it for more.",
    "allow_methods": "A method beside GET, HEAD and POST. Repeat it for more.",
    "allow_headers": "A request header beside the safelisted ones and the key. Repeat it for more.",
    "expose_headers": "A response header that scripts may read. Repeat it for more.",
    "allow_credentials": "Whether cookies and HTTP authentication are used.",
    "max_age": "For how long browsers keep an answer: seconds, or as 10m or 24h.",
    "allow_private_network": "Whether public pages may reach this private service.",
    "key.name": "The request header by which a service is picked, as model-api-key.",
}
_METAVARS: Final = {ORIGINS: "ORIGIN", NAMES: "NAME"}


class _Seconds(click.FloatRange):
    """Seconds of a day; longer drains and pauses are mistakes."""

    def __init__(self) -> None:
        super().__init__(0, 86400)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; nan is in no range, but below and above none either."""
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
        help="A file with the policy or rules: YAML, JSON or TOML; an Istio VirtualService too."
        f" It is watched, and reloaded when it changes. [{CONFIG_VARIABLE}]",
    ),
    click.option("--check", is_flag=True, help="Read the policy, print it as JSON, and end."),
    click.option("--host", metavar="HOST", help="Where to listen; without it, on every interface."),
    click.option(
        "--port",
        type=_PORT,
        default=8080,
        show_default=True,
        help="The port to listen on; 0 is any free one, which is printed.",
    ),
    click.option(
        "--uds", metavar="PATH", help="A Unix socket to listen on, instead of host and port."
    ),
    click.option(
        "--admin-host", metavar="HOST", help="Where the admin port listens; without it, as --host."
    ),
    click.option(
        "--admin-host-name",
        "admin_host_names",
        multiple=True,
        metavar="NAME",
        callback=lambda context, parameter, names: tuple(map(_host_name, names)),
        help="A host name under which the page for people and /policy are shown, beside addresses"
        " and localhost. Repeat it for more.",
    ),
    click.option(
        "--admin-port",
        type=_PORT,
        help="The port for probes, metrics and the page for people; 0 is any free one, which is"
        f" printed. Without it {DEFAULT_ADMIN_PORT}, or none where that is taken.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 256),
        default=1,
        show_default=True,
        metavar="N",
        help="Processes that answer; with more than one, another oversees them.",
    ),
    click.option(
        "--drain",
        type=_SECONDS,
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to go on answering after SIGTERM.",
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
        help="How many connections each process keeps open; for one more, the one that was idle"
        f" longest is closed. Without it {DEFAULT_MOST}, or as many as the limit on open files"
        " leaves room for.",
    ),
    click.option("--access-log", is_flag=True, help="Log every answer, not only refusals."),
    click.option(
        "--log-format",
        type=click.Choice(["auto", "json", "text"]),
        default="auto",
        show_default=True,
        help="auto is text on a terminal and JSON elsewhere.",
    ),
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        show_default=True,
        help="The least severe lines to log.",
    ),
)


class PodCommand(click.Command):
    """A command that says in the pod's words what is wrong with a flag, and never what was given.

    Raises `click.UsageError`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            known = [flag for each in self.params for flag in (*each.opts, *each.secondary_opts)]
            hint = did_you_mean(name, known)
            if name.startswith("--key-value"):
                hint = "the pod holds no values, only the name of their header: --key-header"
            raise click.UsageError(f"{name}: {hint}") from None
        except click.BadParameter as error:
            if error.param is None:
                raise
            hint = _what_to_write(error.param.type) or error.message
            raise click.UsageError(f"{error.param.opts[0]}: {hint}") from None


def _what_to_write(kind: object) -> str | None:
    """Return what a flag of this kind takes; None where its own message says so."""
    if isinstance(kind, click.Choice):
        return f"write {', '.join(kind.choices[:-1])} or {kind.choices[-1]}"
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return None
    number = "a whole number" if isinstance(kind, click.IntRange) else "a number"
    if kind.max is None:
        return f"write {number}, at least {kind.min}"
    return f"write {number} from {kind.min} to {kind.max}"


def add_flags(command: Command) -> Command:
    """Add all flags to a command's function; the policy's come first."""
    for flag in reversed(_POD_FLAGS):
        command = flag(command)
    for option in reversed(OPTIONS):
        if option.flag is not None:
            command = _policy_flag(option, option.flag)(command)
    return command


def policy_values(parameters: dict[str, Any]) -> dict[str, object]:
    """Take the policy's flags out of a command's `parameters`: those given, by option name."""
    values = {option.name: parameters.pop(_parameter(option)) for option in OPTIONS if option.flag}
    return {name: value for name, value in values.items() if value not in (None, ())}


def _host_name(text: str) -> str:
    name = host_name(text.encode("utf-8", "surrogateescape"))
    # Of a name and a port the name would be taken; what is printed says that there is no port.
    if name is None or name != text.lower().rstrip("."):
        raise click.BadParameter("write the host name alone, such as admin.example")
    return name


def _policy_flag(option: Option, flag: str) -> Callable[[Command], Command]:
    declaration = flag
    attributes: dict[str, Any] = {"metavar": "TEXT"}
    if option.kind in _METAVARS:
        attributes = {"multiple": True, "metavar": _METAVARS[option.kind]}
    elif option.kind is FLAG:
        declaration, attributes = f"{flag}/--no-{flag.removeprefix('--')}", {"default": None}
    help_text = f"{_HELP[option.name]} [{option.variable}]"
    return click.option(declaration, _parameter(option), help=help_text, **attributes)


def _parameter(option: Option) -> str:
    return option.name.replace(".", "_")
