"""The pod's own flags, after those of the policy."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any, Final

import click

from meshcors._policy.hosts import host_name
from meshcors.config._command_line import Command, add_policy_flags
from meshcors.config._options import CONFIG_VARIABLE
from meshcors.dummy._listen import DEFAULT_MAX_CONNECTIONS

_PORT: Final = click.IntRange(0, 65535)

DEFAULT_ADMIN_PORT: Final = 9090


def _flag(name: str, metavar: str | None, what: str, **attributes: Any) -> Callable[..., Any]:
    shown = isinstance(attributes.get("default"), int | float | str)
    return click.option(name, metavar=metavar, help=what, show_default=shown, **attributes)


def _seconds(name: str, default: float, what: str) -> Callable[..., Any]:
    # More than a day would be a mistake.
    kind = click.FloatRange(0, 86400)
    return _flag(name, "SECONDS", what, type=kind, default=default, callback=_number)


def _number(context: click.Context, parameter: click.Parameter, seconds: float) -> float:
    if isnan(seconds):  # click's range check lets it pass
        raise click.BadParameter("not a number", context, parameter)
    return seconds


def _host_name(text: str) -> str:
    name = host_name(text.encode("utf-8", "surrogateescape"))
    # `host_name` would drop a port; a name given with one is refused.
    if name is None or name != text.lower().rstrip("."):
        raise click.BadParameter("write the host name alone, such as admin.example")
    return name


_POD_FLAGS: Final = (
    _flag(
        *("--config", "FILE"),
        "A file with the policy or rules: YAML, JSON or TOML, or an Istio VirtualService. It"
        f" is watched, and reloaded when it changes. [{CONFIG_VARIABLE}]",
    ),
    _flag("--check", None, "Check the configuration, print it as JSON, and exit.", is_flag=True),
    _flag(
        *("--last-good", "PATH"),
        "Where the last good configuration is kept. The pod starts from it when the file of"
        " --config is invalid.",
    ),
    _seconds(
        *("--reload-spread", 0.0),
        "Use a changed file after a random delay of at most this many seconds, so that not all"
        " pods reload at once.",
    ),
    _flag("--host", "HOST", "The host to listen on. Default: every interface."),
    _flag(
        *("--port", "PORT"),
        "The port to listen on; 0 picks a free one and prints it.",
        type=_PORT,
        default=8080,
    ),
    _flag("--uds", "PATH", "A Unix socket to listen on, instead of host and port."),
    _flag("--admin-host", "HOST", "The host of the admin port. Default: that of --host."),
    _flag(
        *("--admin-host-name", "NAME"),
        "A host name under which the admin page and /policy are shown, besides IP addresses"
        " and localhost. May be repeated.",
        multiple=True,
        callback=lambda context, parameter, names: tuple(map(_host_name, names)),
    ),
    _flag(
        *("--admin-port", "PORT"),
        "The port for probes, metrics and the admin page; 0 picks a free one and prints it."
        f" Default: {DEFAULT_ADMIN_PORT}, or no admin port if that is taken.",
        type=_PORT,
    ),
    _flag(
        *("--workers", "N"),
        "How many processes answer. With more than one, an additional process serves the admin"
        " port.",
        type=click.IntRange(1, 256),
        default=1,
    ),
    _seconds("--drain", 5.0, "How long the pod goes on answering after SIGTERM."),
    _seconds("--keep-alive", 75.0, "How long a connection may stay open between requests."),
    _flag(
        *("--max-connections", "N"),
        "How many connections each process keeps open. When one more arrives, the one that"
        f" has been idle longest is closed. Default: {DEFAULT_MAX_CONNECTIONS}, or fewer if the"
        " limit on open files is low.",
        type=click.IntRange(1),
    ),
    _flag("--access-log", None, "Log every answer, not only refused requests.", is_flag=True),
    _flag(
        *("--log-format", None),
        "auto means text on a terminal, and JSON elsewhere.",
        type=click.Choice(["auto", "json", "text"]),
        default="auto",
    ),
    _flag(
        *("--log-level", None),
        "The least severe log lines to write.",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
    ),
)


def add_flags(command: Command) -> Command:
    """Add all flags to a command's function, the policy's first."""
    for flag in reversed(_POD_FLAGS):
        command = flag(command)
    return add_policy_flags(command)
