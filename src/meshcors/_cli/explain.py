"""``meshcors explain FILE...``: a page's call through the mesh, step by step, and the fix."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from meshcors._cli import options
from meshcors._cli.explain_call import CalledUrl, default_host, read_call, read_url
from meshcors._cli.explain_json import as_data
from meshcors._cli.files import policy_unreadable
from meshcors._cli.mesh_files import for_this_verb, mesh_of
from meshcors._cli.output import note_problems, print_lines
from meshcors._policy.errors import PolicyError
from meshcors._policy.web_ports import WEB_PORTS
from meshcors.mesh import DocumentError, Gateway
from meshcors.mesh._analysis.call_cause import cause_of
from meshcors.mesh._analysis.guards import Guards
from meshcors.mesh._analysis.page_call import trace_call
from meshcors.mesh._explain.fixes import FixCommands
from meshcors.mesh._explain.hints import hints
from meshcors.mesh._explain.text import CallReport, narrate
from meshcors.mesh._explain.values import ShownValues
from meshcors.mesh._fix.known_services import Services, decider_of

_PARTS: Final = ("host", "path", "scheme")


@click.command(
    "explain",
    cls=options.VerbCommand,
    epilog=(
        "meshcors explain model.yaml --origin https://ui.example --method POST "
        "--header 'model-api-key: xyz'"
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--origin",
    required=True,
    metavar="ORIGIN",
    help="The page's origin, such as https://ui.example.",
)
@click.option(
    "--url",
    metavar="URL",
    help="The URL that is called, in place of --host, --path and --scheme. The port"
    " selects the gateway's server.",
)
@click.option(
    "--method",
    metavar="METHOD",
    default="GET",
    show_default=True,
    help="The method of the call.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    help="A header that the script sets. May be repeated.",
)
@click.option(
    "--host",
    metavar="HOST",
    help="The host that is called. Default: the first one in the documents; for *.example.com it is"
    " api.example.com, for * it is api.example.",
)
@click.option(
    "--path", metavar="PATH", default="/", show_default=True, help="The path that is called."
)
@click.option(
    "--scheme",
    type=click.Choice(["https", "http"]),
    default="https",
    show_default=True,
    help="https calls the gateway on port 443, http on port 80.",
)
@click.option("--credentials", is_flag=True, help="The call sends cookies (credentials: include).")
@options.GATEWAY
@click.option(
    "--config",
    metavar="POLICY",
    help="A file with a policy or rules. Assume that the services and the pod answer as meshcors"
    " does with it.",
)
@options.POD
@options.FORM
@click.pass_context
def command(
    ctx: click.Context,
    /,
    files: tuple[str, ...],
    origin: str,
    url: str | None,
    method: str,
    headers: tuple[str, ...],
    host: str | None,
    path: str,
    scheme: str,
    credentials: bool,
    gateway_name: str | None,
    config: str | None,
    pod: tuple[str, int],
    form: str,
) -> int:
    """Follow a page's call: which rule takes it, who answers, and what the browser does.

    Without --config the answers of the services are unknown, and a verdict that depends on them is
    "depends". The pod is assumed to have the policy that fix would give it.

    Exit code 0 if the script may read the answer, or if that depends on something unknown; 1 if a
    browser would block the call; 2 for an error in the arguments or the files.
    """
    mesh = mesh_of(files)
    if mesh.problems and not mesh.merged:
        raise DocumentError(mesh.problems)
    gateway = Gateway.of(mesh.documents, file=files[0], name=gateway_name)
    called = _called_url(ctx, gateway, url, host, path, scheme)
    if gateway_name is None:
        gateway = gateway.serving(called.host, called.scheme)
    call = read_call(origin, called, method, headers, credentials=credentials)
    try:
        services = Services(mesh, pod, None if config is None else decider_of(config))
    except PolicyError as error:
        raise policy_unreadable(error) from None
    guards = Guards(mesh, gateway)
    page_call = trace_call(
        gateway, call, services.answer, port=called.port, target=called.target, guards=guards
    )
    cause = cause_of(page_call, gateway, services.is_pod)
    hint = hints(cause, page_call, FixCommands(mesh, files, pod, gateway.name))
    report = CallReport(page_call, cause, tuple(hint), ShownValues(page_call), services.assumed)
    note_problems([*mesh.problems, *map(for_this_verb, mesh.notes)])
    _print(report, form)
    return int(page_call.outcome == "blocked")


def _called_url(
    ctx: click.Context, gateway: Gateway, url: str | None, host: str | None, path: str, scheme: str
) -> CalledUrl:
    if url is not None:
        for name in _PARTS:
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"--url has the {name} already: leave out --{name}")
        return read_url(url)
    port = WEB_PORTS[scheme]
    host = host or default_host(gateway, port)
    if urlsplit(f"//{host}").netloc != host:
        raise click.UsageError("--host: write a host name; a whole URL goes with --url")
    return CalledUrl(scheme, host, path, port)


def _print(report: CallReport, form: str) -> None:
    if form == "json":
        click.echo(json.dumps(as_data(report), indent=2))
        return
    print_lines(narrate(report))
