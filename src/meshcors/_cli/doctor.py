"""``meshcors doctor URL``: makes a page's call, says who answered, what is wrong, and the fix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from meshcors._cli import options
from meshcors._cli.doctor_call import (
    read_body,
    read_page_call,
    read_policy,
    read_resolve,
    required,
)
from meshcors._cli.doctor_console import explain_console
from meshcors._cli.doctor_json import as_report
from meshcors._cli.doctor_text import report_lines
from meshcors._cli.output import print_lines
from meshcors._doctor.diagnosis import diagnose
from meshcors._doctor.probes import key_header
from meshcors._doctor.sending import consult
from meshcors.testing._extras import MissingExtraError
from meshcors.testing._fetch import Wire

if TYPE_CHECKING:
    from meshcors._doctor.diagnosis import Diagnosis

_EXIT_CODES: Final = {"works": 0, "blocked": 1, "unknown": 2}
_SECONDS: Final = click.FloatRange(min=0.1, max=600)


@click.command(
    "doctor",
    cls=options.VerbCommand,
    epilog=(
        "meshcors doctor https://api.example/v1/predict --origin "
        "https://ui.example --method POST --header 'model-api-key: xyz'"
    ),
)
@click.argument("url", metavar="URL", required=False)
@click.option(
    "--origin",
    metavar="ORIGIN",
    help="The page's origin, such as https://ui.example.",
)
@click.option(
    "--method",
    metavar="METHOD",
    help="The method of the call. Default: GET, or POST with --data.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    help="A header that the script sets. May be repeated. The key's is the one that --config names,"
    " or else the one without a usual name, such as authorization or content-type.",
)
@click.option("--credentials", is_flag=True, help="The call sends cookies (credentials: include).")
@click.option("--data", metavar="TEXT", help="The body of the call.")
@click.option(
    "--config",
    metavar="POLICY",
    help="A file with a policy or rules: report where the answers differ from it.",
)
@click.option("--insecure", is_flag=True, help="Accept any certificate.")
@click.option(
    "--resolve",
    "resolve",
    multiple=True,
    metavar="HOST:PORT:ADDR",
    callback=read_resolve,
    help="Connect to this address for a host and port, as curl does. May be repeated.",
)
@click.option(
    "--connect-timeout",
    type=_SECONDS,
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a connection may take, for all addresses of a name together.",
)
@click.option(
    "--timeout",
    type=_SECONDS,
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer may take.",
)
@click.option(
    "--console",
    metavar="TEXT",
    help="In place of a URL and --origin: say what a pasted message of a browser's console means,"
    " and send nothing; - reads it from stdin.",
)
@options.FORM
def command(
    url: str | None,
    *,
    origin: str | None,
    method: str | None,
    headers: tuple[str, ...],
    credentials: bool,
    data: str | None,
    config: str | None,
    insecure: bool,
    resolve: dict[tuple[str, int], str],
    connect_timeout: float,
    timeout: float,
    console: str | None,
    form: str,
) -> int:
    """Make a page's call as browsers do, and say who answered, what is wrong, and the fix.

    At most 12 requests are sent: the preflight, the call, the call with a wrong key and without
    one, and preflights of other origins. A call that may change something (any but GET, HEAD and
    OPTIONS) is not sent where the browser would not send it.

    Exit code 0 if the call works, 1 if a browser blocks it, 2 if it cannot tell: no answer, or an
    error in the arguments. With --console, 0 if a message is known, else 2.
    """
    if console is not None:
        return explain_console(console, form, called=url or origin)
    url, origin = required(url, origin)
    body = read_body(data)
    request = read_page_call(url, origin, method, headers, body, credentials=credentials)
    policy = None if config is None else read_policy(config, request.url)
    try:
        wire = Wire(
            insecure=insecure, resolve=resolve, connect_timeout=connect_timeout, timeout=timeout
        )
    except MissingExtraError as error:
        raise click.ClickException(str(error)) from None
    with wire:
        key = key_header(request, policy.key if policy else "")
        consultation = consult(wire, request, body, key, resolve)
    diagnosis = diagnose(consultation, policy.decider if policy else None)
    _print(diagnosis, form)
    return _EXIT_CODES[diagnosis.verdict]


def _print(diagnosis: Diagnosis, form: str) -> None:
    if form == "json":
        click.echo(json.dumps(as_report(diagnosis), indent=2))
    else:
        print_lines(report_lines(diagnosis))
