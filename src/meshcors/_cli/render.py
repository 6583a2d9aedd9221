"""``meshcors render --config FILE --to FORM``: the same policy in another form."""

from __future__ import annotations

import io
import shlex
import warnings
from typing import TYPE_CHECKING, Any, Literal

import click

from meshcors._cli import options
from meshcors._cli.files import policy_unreadable
from meshcors._cli.output import print_text
from meshcors._policy.errors import PolicyError
from meshcors._policy.warning import PolicyWarning
from meshcors.config import rules_from_file, to_document, to_environment
from meshcors.mesh._render.http_routes import http_routes
from meshcors.mesh._render.kubernetes import kubernetes
from meshcors.mesh._render.virtual_services import virtual_services

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors._policy.rules import RuleSet


@click.command("render", cls=options.VerbCommand)
@click.option(
    "--config", required=True, metavar="FILE", help="The file with the policy, or with rules."
)
@click.option(
    "--to",
    "form",
    required=True,
    type=click.Choice(["virtualservice", "httproute", "kubernetes", "env", "policy"]),
    help="The form: documents for the mesh, the pod's objects, variables, or a policy file.",
)
@click.option(
    "--name",
    metavar="NAME",
    default="meshcors-dummy",
    show_default=True,
    help="The name of the documents.",
)
@click.option(
    "--gateway",
    metavar="NAME",
    default="gateway",
    show_default=True,
    help="The gateway that they are bound to.",
)
@options.POD
@click.option(
    "--with",
    "responder",
    type=click.Choice(["pod", "both"]),
    default="pod",
    show_default=True,
    help="In a VirtualService: who answers preflights, the pod, or Envoy with the pod behind it.",
)
@click.option(
    "--image",
    metavar="IMAGE",
    default="meshcors",
    show_default=True,
    help="The pod's image, for kubernetes.",
)
def command(
    config: str,
    form: str,
    name: str,
    gateway: str,
    pod: tuple[str, int],
    responder: Literal["pod", "both"],
    image: str,
) -> None:
    """Write a policy in another form.

    Key values are never written: a service that checks keys reads them from its own file.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PolicyWarning)
            rules = rules_from_file(config)
        text = _render(rules, form, name, gateway, pod, responder, image)
    except PolicyError as error:
        raise policy_unreadable(error) from None
    for warning in dict.fromkeys(str(each.message) for each in caught):
        click.echo(f"note: {warning}", err=True)
    if any(rule.policy.key and rule.policy.key.values is not None for rule in rules.rules):
        click.echo("note: the key's values are left out", err=True)
    print_text(text)


def _render(
    rules: RuleSet,
    form: str,
    name: str,
    gateway: str,
    pod: tuple[str, int],
    responder: Literal["pod", "both"],
    image: str,
) -> str:
    bare = rules.without_key_values()
    if form == "virtualservice":
        made = virtual_services(bare, name=name, gateway=gateway, pod=pod, responder=responder)
        return _yaml(made)
    if form == "httproute":
        return _yaml(http_routes(bare, name=name, gateway=gateway, pod=pod))
    only = bare.rules[0] if len(bare.rules) == 1 else None
    single = only is not None and not only.hosts and only.path_prefix == "/"
    source = only.policy if only is not None and single else bare
    if form == "kubernetes":
        return _yaml(kubernetes(_yaml([to_document(source)]), name=name, port=pod[1], image=image))
    if form == "policy":
        return _yaml([to_document(source)])
    if only is None or not single:
        raise click.UsageError(
            "--to env: variables hold one policy for all URLs, and this file has rules"
        )
    variables = to_environment(only.policy)
    return "".join(f"{variable}={shlex.quote(value)}\n" for variable, value in variables.items())


def _yaml(documents: Iterable[dict[str, Any]]) -> str:
    """Return plain data as YAML documents in block style, in its own order."""
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.representer import RoundTripRepresenter
        from ruamel.yaml.scalarstring import walk_tree
    except ModuleNotFoundError:
        hint = "YAML needs ruamel.yaml: python -m pip install 'meshcors[cli]'"
        raise click.ClickException(hint) from None

    class Plain(RoundTripRepresenter):
        def ignore_aliases(self, data: object) -> bool:
            return True

    yaml = YAML(pure=True)
    yaml.Representer = Plain
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 4096
    stream = io.StringIO()
    made = list(documents)
    # Strings of several lines become block scalars.
    walk_tree(made)
    yaml.dump_all(made, stream)
    return stream.getvalue()
