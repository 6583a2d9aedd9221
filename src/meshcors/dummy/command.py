"""``python -m meshcors.dummy``: flags to a policy, a policy to a running pod.

The policy's flags are read off the one table of spellings. A mistake ends the process with exit
code 2 and a line for each problem.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import click

from meshcors.config import load
from meshcors.dummy.listen import ListenError, listen
from meshcors.dummy.pod import Pod
from meshcors.engine import Engine
from meshcors.errors import PolicyError, PolicyWarning
from meshcors.policy import Policy
from meshcors.spelling import CONFIG_VARIABLE, FLAG, NAMES, OPTIONS, ORIGINS, Option

_log = logging.getLogger("meshcors.dummy")

_HELP = {
    "allow_origins": "An origin whose pages may call, as https://ui.example,"
    " https://*.example.com, http://localhost:* or regex:EXPRESSION; repeat it for more.",
    "allow_methods": "A method beside GET, HEAD and POST; repeat it for more.",
    "allow_headers": "A request header beside the safelisted ones and the key; repeat it for more.",
    "expose_headers": "A response header that scripts may read; repeat it for more.",
    "allow_credentials": "Whether cookies and HTTP authentication are used.",
    "max_age": "For how long browsers keep an answer: seconds, or as 10m or 24h.",
    "allow_private_network": "Whether public pages may reach this private service.",
    "key.name": "The request header by which a service is picked, as model-api-key.",
}


def policy_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add a flag for every option of a policy that has one."""
    for option in reversed(OPTIONS):
        if option.flag is not None:
            command = _flag(option.flag, option)(command)
    return command


def _flag(flag: str, option: Option) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    attributes: dict[str, Any] = {"metavar": "TEXT"}
    declaration = flag
    if option.kind in (ORIGINS, NAMES):
        attributes = {"multiple": True, "metavar": "ORIGIN" if option.kind is ORIGINS else "NAME"}
    elif option.kind is FLAG:
        declaration = f"{flag}/--no-{flag.removeprefix('--')}"
        attributes = {"default": None}
    help_text = f"{_HELP[option.name]} [{option.variable}]"
    return click.option(declaration, _parameter(option), help=help_text, **attributes)


def _parameter(option: Option) -> str:
    return option.name.replace(".", "_")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@policy_flags
@click.option("--config", metavar="FILE", help=f"A file with the policy. [{CONFIG_VARIABLE}]")
@click.option("--host", metavar="HOST", help="Where to listen; without it, on every interface.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="The port to listen on; 0 is any free one, which is printed.",
)
@click.option(
    "--drain",
    type=click.FloatRange(0),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to go on answering after SIGTERM.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least severe lines to log.",
)
def main(
    config: str | None, host: str | None, port: int, drain: float, log_level: str, **options: object
) -> None:
    """Answer CORS preflights for every service behind one URL.

    Real requests that arrive here found no service: they get 401 or 404, readable by the page that
    sent them. A flag beats its environment variable, which beats the file.
    """
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    try:
        policy = read_policy(options, config)
        sockets = listen(host, port, "--port")
    except PolicyError as error:
        refuse(*map(str, error.problems))
    except ListenError as error:
        refuse(str(error))
    from meshcors.dummy.serve import run

    bound_port = sockets[0].getsockname()[1]
    if port == 0:
        click.echo(f"port {bound_port}")

    def when_serving() -> None:
        _log.info("listening on %s port %d", host or "every interface", bound_port)
        for line in introduction(policy, bound_port):
            _log.info("%s", line)

    run(Pod(Engine(policy)), sockets, drain, when_serving)


def read_policy(options: dict[str, object], config: str | None) -> Policy:
    """Return the policy of flags, environment and file; its warnings become log lines.

    `options` are the policy's flags by parameter; those not given are None or empty. Raises
    `PolicyError`.
    """
    given = {
        option.name: options[_parameter(option)]
        for option in OPTIONS
        if option.flag and options[_parameter(option)] not in (None, ())
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PolicyWarning)
        policy = load(given, os.environ, config=config)
    for warning in caught:
        _log.warning("%s", warning.message)
    return policy.without_key_values()


def introduction(policy: Policy, port: int) -> list[str]:
    """Return what a pod says on start: what it allows, and a line to try."""
    key = policy.key.name if policy.key else None
    allowed = [f"origins {', '.join(map(str, policy.allow_origins))}"]
    allowed.append(
        f"methods {', '.join(dict.fromkeys(['GET', 'HEAD', 'POST', *policy.allow_methods]))}"
    )
    if policy.allow_headers:
        allowed.append(f"headers {', '.join(policy.allow_headers)}")
    if key:
        allowed.append(f"key header {key}")
    if policy.allow_credentials:
        allowed.append("credentials")
    origin = next(
        (o for o in policy.allow_origins if isinstance(o, str) and "*" not in o),
        "https://ui.example",
    )
    curl = (
        f"curl -i -X OPTIONS http://localhost:{port}/ -H 'Origin: {origin}'"
        " -H 'Access-Control-Request-Method: POST'"
    )
    if key:
        curl += f" -H 'Access-Control-Request-Headers: {key}'"
    return [f"allows {'; '.join(allowed)}", f"try: {curl}"]


def refuse(*lines: str) -> NoReturn:
    """End the process with exit code 2, the `lines` on stderr."""
    for line in lines:
        click.echo(f"meshcors.dummy: {line}", err=True)
    raise SystemExit(2)
