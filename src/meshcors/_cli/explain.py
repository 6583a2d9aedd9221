"""``meshcors explain FILE...``: a page's call through the mesh, step by step, and the fix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from meshcors import browser
from meshcors._cli import options
from meshcors._cli.explain_hints import hints
from meshcors._cli.explain_text import narrate, shown_mismatch, shown_value
from meshcors._cli.files import policy_unreadable
from meshcors._cli.mesh_files import mesh_of
from meshcors._policy.errors import OriginError, PolicyError
from meshcors._policy.wording import printable
from meshcors.mesh import DocumentError, Gateway, GatewayRequest
from meshcors.mesh._analysis.page_call import Exchange, PageCall, trace_call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh import Mismatch
    from meshcors.mesh._analysis.page_call import Service


@click.command("explain", cls=options.VerbCommand)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--origin",
    required=True,
    metavar="ORIGIN",
    help="The page's origin, such as https://ui.example.",
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
    help="The host that is called. Default: the first one in the documents.",
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
@click.option(
    "--gateway",
    metavar="NAMESPACE/NAME",
    help="The gateway. Default: the first one in the documents.",
)
@click.option(
    "--config",
    metavar="POLICY",
    help="A policy file. Assume that the services and the pod answer as meshcors does with it.",
)
@options.FORM
def command(
    files: tuple[str, ...],
    origin: str,
    method: str,
    headers: tuple[str, ...],
    host: str | None,
    path: str,
    scheme: str,
    credentials: bool,
    gateway: str | None,
    config: str | None,
    form: str,
) -> int:
    """Follow a page's call: which rule takes it, who answers, and what the browser does.

    Without --config the answers of the services are unknown, and a verdict that depends on them is
    "depends". Exit code 1 if a browser would block the call.
    """
    mesh = mesh_of(files)
    if mesh.problems and not mesh.documents:
        raise DocumentError(mesh.problems)
    for problem in mesh.problems:
        click.echo(f"note: {problem}", err=True)
    model = Gateway.of(mesh.documents, file=files[0], name=gateway)
    url = f"{scheme}://{host or _first_host(model, scheme)}{path}"
    try:
        if not path.startswith("/"):
            raise ValueError(f"--path {path}: begin the path with /")
        pairs = [_header(text) for text in headers]
        call = browser.Request(origin, url, method, pairs, "include" if credentials else "omit")
        page_call = trace_call(model, call, None if config is None else _service(config))
    except OriginError as error:
        raise click.UsageError(f"--origin {origin}: {error.hint}") from None
    except PolicyError as error:
        raise policy_unreadable(error) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    fix_hint = hints(page_call, mesh)
    if form == "json":
        click.echo(json.dumps(_data(page_call, fix_hint), indent=2))
    else:
        for line in narrate(page_call, fix_hint):
            click.echo(printable(line))
    return int(page_call.outcome == "blocked")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        # Not shown: it may be a key's value.
        raise ValueError("--header: write NAME:VALUE")
    return name.strip(), value.strip()


def _first_host(gateway: Gateway, scheme: str) -> str:
    """Return a host that the documents' first host name or wildcard covers."""
    hosts = gateway.virtual_hosts(443 if scheme == "https" else 80)
    domain = hosts[0].domain if hosts else "*"
    return "api.example" if domain == "*" else domain.replace("*", "api", 1)


def _service(config: str) -> Service:
    """Return services that answer as the middleware and the pod do with the policy in a file."""
    from meshcors._decision.engine import Engine
    from meshcors._decision.simulation import simulate
    from meshcors.config import from_file

    engine = Engine(from_file(config).without_key_values())

    def answer(sent: GatewayRequest) -> browser.Response:
        path = sent.path.partition("?")[0]
        return browser.Response(*simulate(engine, sent.method, path, sent.headers))

    return answer


def _data(page_call: PageCall, hint: Iterable[str]) -> dict[str, object]:
    decisive = page_call.decisive
    return {
        "verdict": page_call.outcome,
        "code": decisive.verdict.code,
        "step": decisive.step,
        "field": decisive.verdict.field,
        "messages": dict(decisive.verdict.messages),
        "hint": list(hint),
        "steps": [_exchange(exchange) for exchange in page_call.exchanges],
    }


def _exchange(exchange: Exchange) -> dict[str, object]:
    sent, answer = exchange.sent, exchange.answer
    return {
        "step": exchange.step,
        "verdict": exchange.outcome,
        "code": exchange.verdict.code,
        "request": {
            "method": sent.method,
            "host": sent.host,
            "path": sent.path,
            "headers": [[name, shown_value(name, value)] for name, value in sent.headers],
        },
        "tried": [
            {
                "rule": tried.rule,
                "place": str(tried.place),
                "matched": tried.matched,
                "mismatches": [_mismatch(mismatch) for mismatch in tried.mismatches],
            }
            for tried in answer.trail
        ],
        "answer": {
            "kind": answer.kind,
            "rule": answer.rule,
            "destination": answer.destination,
            "status": answer.status,
            "headers": [list(field) for field in answer.headers],
        },
    }


def _mismatch(mismatch: Mismatch) -> dict[str, object]:
    expected, actual = shown_mismatch(mismatch)
    return {"field": mismatch.field, "expected": expected, "actual": actual}
