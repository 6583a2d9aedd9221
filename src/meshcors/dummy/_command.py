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
from typing import Any, NoReturn

import click

from meshcors._policy.errors import PolicyError
from meshcors.config._spelling import CONFIG_VARIABLE
from meshcors.dummy._configuration import Configuration, read
from meshcors.dummy._descriptors import DEFAULT_MOST, room_for_connections
from meshcors.dummy._flags import DEFAULT_ADMIN_PORT, PodCommand, add_flags, policy_values
from meshcors.dummy._listen import ListenError, listen, listen_unix
from meshcors.dummy._logs import log, set_up
from meshcors.dummy._reload import look


@click.command(
    cls=PodCommand,
    context_settings={"help_option_names": ["-h", "--help"], "allow_extra_args": True},
)
@add_flags
@click.pass_context
def main(context: click.Context, /, **parameters: Any) -> None:
    """Answer CORS preflights for every service behind one URL.

    Real requests that arrive here found no service: they get 401 or 404, readable by the page that
    sent them. A flag beats its environment variable, which beats the file.
    """
    if context.args:
        # Not shown, as click would: after --key-header NAME it may be the key's value.
        raise click.UsageError("expected only flags: remove the extra argument")
    read_all = partial(read, policy_values(parameters), parameters["config"])
    named = parameters["config"] or os.environ.get(CONFIG_VARIABLE)
    path = Path(named) if named else None
    taken = look(path) if path else None
    try:
        configuration = read_all()
    except PolicyError as error:
        _refuse(*map(str, error.problems))
    try:
        _check_ports(parameters)
        room = room_for_connections(parameters["max_connections"])
    except ListenError as error:
        _refuse(str(error))
    if parameters["check"]:
        _check(configuration)
        return

    set_up(parameters["log_format"], parameters["log_level"])
    for warning in configuration.warnings:
        log(logging.WARNING, warning)
    if parameters["max_connections"] is None and room.pod < DEFAULT_MOST:
        hint = f"raise it to keep {DEFAULT_MOST}, or set --max-connections"
        message = f"few connections fit under the limit on open files (ulimit -n): {hint}"
        log(logging.WARNING, message, max_connections=room.pod)
    try:
        sockets, address = _open(parameters)
        admin_sockets = _open_admin(parameters)
    except ListenError as error:
        _refuse(str(error))
    # Only now: a pod that does not start has no port.
    if parameters["port"] == 0 and not parameters["uds"]:
        click.echo(f"port {sockets[0].getsockname()[1]}")
    if parameters["admin_port"] == 0:
        click.echo(f"admin-port {admin_sockets[0].getsockname()[1]}")

    # The server is imported only now: a mistake is told without waiting for it.
    from meshcors.dummy._launch import Launch

    def introduce() -> None:
        log(logging.INFO, f"listening on {address}")
        if admin_sockets:
            log(logging.INFO, f"admin page on {_url(admin_sockets[0])}")
        for line in configuration.introduction(_curl_address(parameters, sockets)):
            log(logging.INFO, line)

    launch = Launch(
        configuration,
        sockets,
        admin_sockets,
        parameters["drain"],
        parameters["keep_alive"],
        room,
        parameters["admin_host_names"],
        parameters["access_log"],
        path,
        taken,
        read_all,
    )
    try:
        if parameters["workers"] == 1:
            launch.alone(introduce)
        else:
            launch.workers(parameters["workers"], introduce)
    finally:
        if parameters["uds"]:
            Path(parameters["uds"]).unlink(missing_ok=True)


def _check_ports(parameters: dict[str, Any]) -> None:
    """Raise `ListenError` where both ports are one, whether it is free or not."""
    port, host, admin_host = (parameters[name] for name in ("port", "host", "admin_host"))
    is_shared = host is None or admin_host in (None, host)
    if is_shared and not parameters["uds"] and parameters["admin_port"] == port != 0:
        raise ListenError(f"--admin-port: {port} is --port already: choose another")


def _check(configuration: Configuration) -> None:
    """Print what a configuration comes to, as a file could say it; warnings go to stderr."""
    for warning in configuration.warnings:
        click.echo(f"meshcors.dummy: warning: {warning}", err=True)
    click.echo(configuration.json)


def _open(parameters: dict[str, Any]) -> tuple[list[socket.socket], str]:
    """Return the pod's sockets and their address for people."""
    if parameters["uds"]:
        return [listen_unix(parameters["uds"])], f"the Unix socket {parameters['uds']}"
    sockets = listen(parameters["host"], parameters["port"], "--host", "--port")
    return sockets, ", ".join(map(_url, sockets))


def _open_admin(parameters: dict[str, Any]) -> list[socket.socket]:
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


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _curl_address(parameters: dict[str, Any], sockets: list[socket.socket]) -> str:
    if parameters["uds"]:
        return f"--unix-socket {shlex.quote(parameters['uds'])} http://localhost"
    if parameters["host"]:
        return _url(sockets[0])
    return f"http://localhost:{sockets[0].getsockname()[1]}"


def run() -> NoReturn:
    """Run the pod by the process's arguments; a wrong one is told in one line, exit code 2."""
    try:
        code = main.main(prog_name="python -m meshcors.dummy", standalone_mode=False)
    except click.ClickException as error:
        _refuse(error.format_message())
    sys.exit(code)


def _refuse(*lines: str) -> NoReturn:
    for line in lines:
        click.echo(f"meshcors.dummy: {line}", err=True)
    sys.exit(2)
