"""``python -m meshcors.dummy``: a command line becomes a running pod, or says why not.

A mistake ends the process with exit code 2 and a line on stderr for each problem.
"""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import click

from meshcors._policy.errors import PolicyError
from meshcors.config._options import CONFIG_VARIABLE
from meshcors.dummy._configuration import Configuration, read
from meshcors.dummy._connections import (
    DEFAULT_MAX_CONNECTIONS,
    ConnectionLimits,
    connection_limits,
)
from meshcors.dummy._flags import DEFAULT_ADMIN_PORT, PodCommand, add_flags, policy_values
from meshcors.dummy._listen import ListenError, listen, listen_unix
from meshcors.dummy._logs import log, set_up
from meshcors.dummy._reload import ConfigurationFile, content_of


@click.command(
    cls=PodCommand,
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
    try:
        configuration, file = _read(parameters)
        _check_ports(parameters)
        limits = connection_limits(parameters["max_connections"])
        if parameters["check"]:
            _print_configuration(configuration)
            return
        set_up(parameters["log_format"], parameters["log_level"])
        _log_warnings(configuration, limits, parameters["max_connections"])
        listeners = _listen(parameters)
    except PolicyError as error:
        _refuse(*map(str, error.problems))
    except ListenError as error:
        _refuse(str(error))
    # Only now: a pod that does not start has no port.
    _print_free_ports(parameters, listeners)
    try:
        _run(parameters, configuration, file, limits, listeners)
    finally:
        if parameters["uds"]:
            Path(parameters["uds"]).unlink(missing_ok=True)


class _Listeners(NamedTuple):
    """The sockets of the pod's port and of the admin port."""

    pod: list[socket.socket]
    admin: list[socket.socket]


def _read(parameters: dict[str, Any]) -> tuple[Configuration, ConfigurationFile | None]:
    """Return the configuration of all sources, and the file to watch, if there is one."""
    read_all = partial(read, policy_values(parameters), parameters["config"])
    path = parameters["config"] or os.environ.get(CONFIG_VARIABLE)
    if not path:
        return read_all(), None
    # Before it is read: a change in between is then found by the first look.
    content = content_of(Path(path))
    return read_all(), ConfigurationFile(Path(path), content, read_all)


def _check_ports(parameters: dict[str, Any]) -> None:
    """Raise `ListenError` where both ports are the same, whether it is free or not."""
    port, host, admin_host = (parameters[name] for name in ("port", "host", "admin_host"))
    is_shared = host is None or admin_host in (None, host)
    if is_shared and not parameters["uds"] and parameters["admin_port"] == port != 0:
        raise ListenError(f"--admin-port: {port} is already used by --port: choose another")


def _print_configuration(configuration: Configuration) -> None:
    """Print a configuration as a file that says the same; warnings go to stderr."""
    for warning in configuration.warnings:
        click.echo(f"meshcors.dummy: warning: {warning}", err=True)
    click.echo(configuration.json)


def _log_warnings(
    configuration: Configuration, limits: ConnectionLimits, asked: int | None
) -> None:
    for warning in configuration.warnings:
        log(logging.WARNING, warning)
    if asked is None and limits.pod < DEFAULT_MAX_CONNECTIONS:
        hint = f"raise it to keep {DEFAULT_MAX_CONNECTIONS}, or set --max-connections"
        message = f"the limit on open files (ulimit -n) allows only a few connections: {hint}"
        log(logging.WARNING, message, max_connections=limits.pod)


def _listen(parameters: dict[str, Any]) -> _Listeners:
    if parameters["uds"]:
        sockets = [listen_unix(parameters["uds"])]
    else:
        sockets = listen(parameters["host"], parameters["port"], "--host", "--port")
    return _Listeners(sockets, _listen_admin(parameters))


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


def _print_free_ports(parameters: dict[str, Any], listeners: _Listeners) -> None:
    """Print the ports that the system chose, where port 0 asked it to."""
    if parameters["port"] == 0 and not parameters["uds"]:
        click.echo(f"port {listeners.pod[0].getsockname()[1]}")
    if parameters["admin_port"] == 0:
        click.echo(f"admin-port {listeners.admin[0].getsockname()[1]}")


def _run(
    parameters: dict[str, Any],
    configuration: Configuration,
    file: ConfigurationFile | None,
    limits: ConnectionLimits,
    listeners: _Listeners,
) -> None:
    # The server is imported only now: mistakes are reported without waiting for it.
    from meshcors.dummy._pod import Pod

    def introduce() -> None:
        log(logging.INFO, f"listening on {_address(parameters, listeners.pod)}")
        if listeners.admin:
            log(logging.INFO, f"admin page on {_url(listeners.admin[0])}")
        for line in configuration.introduction(_curl_address(parameters, listeners.pod)):
            log(logging.INFO, line)

    pod = Pod(
        configuration,
        file,
        listeners.pod,
        listeners.admin,
        limits,
        drain=parameters["drain"],
        keep_alive=parameters["keep_alive"],
        admin_host_names=parameters["admin_host_names"],
        access_log=parameters["access_log"],
    )
    if parameters["workers"] == 1:
        pod.run(introduce)
    else:
        pod.run_workers(parameters["workers"], introduce)


def _address(parameters: dict[str, Any], sockets: list[socket.socket]) -> str:
    """Return where the pod listens, for a log line."""
    if parameters["uds"]:
        return f"the Unix socket {parameters['uds']}"
    return ", ".join(map(_url, sockets))


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _curl_address(parameters: dict[str, Any], sockets: list[socket.socket]) -> str:
    """Return where the pod listens, for curl's command line."""
    if parameters["uds"]:
        return f"--unix-socket {shlex.quote(parameters['uds'])} http://localhost"
    if parameters["host"]:
        return _url(sockets[0])
    return f"http://localhost:{sockets[0].getsockname()[1]}"


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
