"""``python -m meshcors.dummy``: a command line becomes a running pod, or says why not.

A mistake ends the process with exit code 2 and a line on stderr for each problem.
"""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import time
from typing import Any, NoReturn

import click

from meshcors._policy.errors import PolicyError, problem_lines
from meshcors.config._command_line import PolicyCommand, policy_values
from meshcors.config._following import FollowedFile
from meshcors.config._options import CONFIG_VARIABLE
from meshcors.dummy._configuration import Configuration, read
from meshcors.dummy._flags import DEFAULT_ADMIN_PORT, add_flags
from meshcors.dummy._listen import (
    DEFAULT_MAX_CONNECTIONS,
    ConnectionLimits,
    ListenError,
    connection_limits,
    listen,
    listen_unix,
)
from meshcors.dummy._logs import log, set_up
from meshcors.dummy._reload import ConfigurationFile, beside


@click.command(
    cls=PolicyCommand,
    epilog="python -m meshcors.dummy --allow-origin https://ui.example --key-header model-api-key",
    context_settings={"help_option_names": ["-h", "--help"], "allow_extra_args": True},
)
@add_flags
@click.pass_context
def main(context: click.Context, /, **parameters: Any) -> None:
    """Answer CORS preflights for every service behind one URL.

    A real request reaches the pod only if no route sent it to a service: it gets a 401 or 404 that
    the page can read. A flag beats its environment variable, which beats the file.
    """
    if context.args:
        # Not shown, as click would: after --key-header NAME it may be the key's value.
        raise click.UsageError("expected only flags: remove the extra argument")
    set_up(parameters["log_format"], parameters["log_level"])
    try:
        configuration, source, read_at = _read(parameters)
        _check_ports(parameters)
        limits = connection_limits(parameters["max_connections"])
        if parameters["check"]:
            for warning in configuration.warnings:
                click.echo(f"meshcors.dummy: warning: {warning}", err=True)
            click.echo(configuration.json)
            return
        _log_warnings(configuration, limits, parameters["max_connections"])
        sockets, admin_sockets = _listen(parameters), _listen_admin(parameters)
    except PolicyError as error:
        _refuse(*problem_lines(error.problems))
    except ListenError as error:
        _refuse(str(error))
    # Only now: a pod that does not start has no port.
    if parameters["port"] == 0 and not parameters["uds"]:
        click.echo(f"port {_port(sockets[0])}")
    if parameters["admin_port"] == 0:
        click.echo(f"admin-port {_port(admin_sockets[0])}")
    # The server is imported only now: mistakes are reported without waiting for it.
    from meshcors.dummy._pod import Pod

    shown, for_curl = _addresses(parameters, sockets)
    lines = [f"listening on {shown}", *configuration.introduction(for_curl)]
    if admin_sockets:
        lines.insert(1, f"admin page on {_url(admin_sockets[0])}")
    settings = ("drain", "keep_alive", "admin_host_name", "access_log", "workers")
    own = (parameters[name] for name in settings)
    pod = Pod(configuration, source, read_at, sockets, admin_sockets, limits, *own)
    # The pod replaces it one day: then nobody keeps it.
    del configuration
    try:
        pod.run(lines)
    finally:
        if parameters["uds"]:
            Path(parameters["uds"]).unlink(missing_ok=True)


def _read(parameters: dict[str, Any]) -> tuple[Configuration, ConfigurationFile | None, float]:
    """Return the configuration of all sources, the file to watch, and when that was good."""
    flags, path = policy_values(parameters), parameters["config"] or os.environ.get(CONFIG_VARIABLE)
    read_all = partial(read, flags, parameters["config"])
    if not path:
        return read_all(), None, time()
    last_good = Path(parameters["last_good"]) if parameters["last_good"] else None
    _check_last_good(last_good, Path(path))
    # Before it is read: a change in between is then found by the first look.
    file = FollowedFile(Path(path))
    source = ConfigurationFile(file, read_all, parameters["reload_spread"], last_good)
    try:
        configuration = read_all()
    except PolicyError:
        if last_good is not None and not parameters["check"]:
            with suppress(PolicyError, OSError):
                good_at = last_good.stat().st_mtime
                configuration = read(flags, last_good)
                # Read again at once: then its problems are those of a reload.
                file.request()
                return configuration, source, good_at
        raise
    if not parameters["check"]:
        source.keep(configuration)
    return configuration, source, time()


def _check_last_good(last_good: Path | None, config: Path) -> None:
    """Raise `UsageError` where the pod would write over its own file, or what it cannot read."""
    if last_good is None:
        return
    if last_good.suffix.lower() == ".toml":
        raise click.UsageError("--last-good: JSON is written there: name a .json or .yaml file")
    for written in (last_good, beside(last_good)):
        with suppress(OSError):
            if written.samefile(config):
                raise click.UsageError("--last-good: --config is read there: name another file")


def _check_ports(parameters: dict[str, Any]) -> None:
    """Raise `ListenError` where both ports are the same, whether it is free or not."""
    port, host, admin_host = (parameters[name] for name in ("port", "host", "admin_host"))
    is_shared = host is None or admin_host in (None, host)
    if is_shared and not parameters["uds"] and parameters["admin_port"] == port != 0:
        raise ListenError(f"--admin-port: {port} is already used by --port: choose another")


def _log_warnings(
    configuration: Configuration, limits: ConnectionLimits, asked: int | None
) -> None:
    for warning in configuration.warnings:
        log(logging.WARNING, warning)
    if asked is None and limits.pod < DEFAULT_MAX_CONNECTIONS:
        hint = f"raise it to keep {DEFAULT_MAX_CONNECTIONS}, or set --max-connections"
        message = f"the limit on open files (ulimit -n) allows only a few connections: {hint}"
        log(logging.WARNING, message, max_connections=limits.pod)


def _listen(parameters: dict[str, Any]) -> list[socket.socket]:
    if parameters["uds"]:
        return [listen_unix(parameters["uds"])]
    return listen(parameters["host"], parameters["port"], "--host", "--port")


def _listen_admin(parameters: dict[str, Any]) -> list[socket.socket]:
    """Return the admin port's sockets: none where the default port is taken."""
    host, host_flag = parameters["admin_host"], "--admin-host"
    if host is None:
        host, host_flag = parameters["host"], "--host"
    port = parameters["admin_port"]
    try:
        return listen(host, DEFAULT_ADMIN_PORT if port is None else port, host_flag, "--admin-port")
    except ListenError as error:
        if port is not None:
            raise
        log(logging.WARNING, f"no admin page, probes or metrics: {error}")
        return []


def _addresses(parameters: dict[str, Any], sockets: list[socket.socket]) -> tuple[str, str]:
    """Return where the pod listens, for a log line and for curl's command line."""
    if path := parameters["uds"]:
        return f"the Unix socket {path}", f"--unix-socket {shlex.quote(path)} http://localhost"
    own = _url(sockets[0]) if parameters["host"] else f"http://localhost:{_port(sockets[0])}"
    return ", ".join(map(_url, sockets)), own


def _url(listener: socket.socket) -> str:
    host = listener.getsockname()[0]
    return f"http://{f'[{host}]' if ':' in host else host}:{_port(listener)}"


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def run() -> NoReturn:
    """Run the pod with the process's arguments; a wrong one ends it with a line and code 2."""
    try:
        code = main.main(prog_name="python -m meshcors.dummy", standalone_mode=False)
    except click.ClickException as error:
        _refuse(error.format_message())
    sys.exit(code)


def _refuse(*lines: str) -> NoReturn:
    for line in lines:
        click.echo(f"meshcors.dummy: {line}", err=True)
    sys.exit(2)
