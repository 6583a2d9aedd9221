"""``meshcors render --to FORM``: the same policy in another form, or one that is made of files."""

from __future__ import annotations

import shlex
import warnings
from typing import TYPE_CHECKING, Final, Literal

import click
from click.core import ParameterSource

from meshcors._cli import options
from meshcors._cli.block_yaml import block_yaml
from meshcors._cli.directory import write_directory
from meshcors._cli.files import policy_unreadable
from meshcors._cli.output import print_text
from meshcors._cli.render_foreign import print_foreign
from meshcors._cli.render_names import deployment_names, names_of, names_options
from meshcors._cli.render_routes import rendered_routes
from meshcors._policy.errors import PolicyError
from meshcors._policy.warning import PolicyWarning
from meshcors._policy.wording import file_argument, first_lines, printable
from meshcors.config import rules_from_file, to_document, to_environment
from meshcors.mesh._render.kubernetes import POLICY_FILE, kubernetes
from meshcors.mesh._render.kustomization import kustomization

if TYPE_CHECKING:
    from meshcors._cli.render_routes import Implementation
    from meshcors._policy.policy import Policy
    from meshcors._policy.rules import RuleSet

_IMAGE: Final = "meshcors"
_NO_IMAGE: Final = (
    "build the pod's image and name it with --image, as docs/kubernetes.md shows: a cluster would"
    f" look for {_IMAGE} on Docker Hub"
)
_NO_GATEWAY: Final = (
    'bound to a gateway called "{}", as none is named: name yours, such as --gateway'
    " istio-system/public"
)


@click.command(
    "render",
    cls=options.VerbCommand,
    epilog=(
        "meshcors render --config policy.yaml --to virtualservice --gateway istio-system/public"
    ),
)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--config", metavar="FILE", help="The file with the policy, or with rules.")
@click.option(
    "--to",
    "form",
    required=True,
    type=click.Choice(["virtualservice", "httproute", "kubernetes", "env", "policy"]),
    help="The form: documents for the mesh, the pod's objects, variables, or a policy file.",
)
@names_options
@click.option(
    "--with",
    "responder",
    type=click.Choice(["pod", "both"]),
    default="pod",
    show_default=True,
    help="Who answers preflights in the mesh: the pod, or Envoy with the pod behind it.",
)
@click.option(
    "--for",
    "implementation",
    type=click.Choice(["istio", "envoy-gateway"]),
    help="Whose gateway an HTTPRoute is for: write that one's settings for a pod that fails, too.",
)
@click.option(
    "--beside",
    multiple=True,
    metavar="FILE",
    help="Documents of the same gateway, whose calls stay as they are: a file, a directory, or -.",
)
@click.option(
    "--image",
    metavar="IMAGE",
    help="The pod's image, for kubernetes: build it, and name it here.  [default: meshcors]",
)
@click.option(
    "--directory",
    metavar="DIR",
    help="For kubernetes: write files for kubectl apply -k DIR instead of printing them.",
)
def command(
    files: tuple[str, ...],
    config: str | None,
    form: str,
    name: str | None,
    namespace: str | None,
    gateway: str,
    pod: tuple[str, int] | None,
    responder: Literal["pod", "both"],
    implementation: Implementation | None,
    beside: tuple[str, ...],
    image: str | None,
    directory: str | None,
) -> int:
    """Write a policy in another form.

    With --to policy, FILE... instead of --config are files of other systems that say something
    about CORS: Python files, VirtualServices, HTTPRoutes, configurations of nginx.

    Key values are never written: a service that checks keys reads them from its own file.

    Exit code 0 if it is written; 2 if the policy is not valid, cannot be written in this form, or
    would take calls of the documents given by --beside.
    """
    _check_flags(form, beside, responder, implementation, directory)
    if config is None:
        if form == "policy" and files:
            return print_foreign(files)
        name_it = "; with --to policy, name files of other systems instead"
        raise click.UsageError(f"--config: name the file with the policy{name_it}")
    if files:
        raise click.UsageError("expected only flags: remove the extra argument")
    rules, notes = _read(config)
    if form == "kubernetes":
        if image is None:
            notes.append(_NO_IMAGE)
        names = deployment_names(name, namespace, pod)
        text = _kubernetes(config, rules, names, image or _IMAGE, directory)
    elif form in ("env", "policy"):
        text = _policy(rules) if form == "policy" else _variables(rules)
    else:
        routed = names_of(name, namespace, gateway, pod)
        text, found = rendered_routes(rules, form, routed, responder, beside, implementation)
        notes += found
        if _is_default("gateway"):
            notes.append(_NO_GATEWAY.format(gateway))
    for note in notes:
        click.echo(f"note: {printable(note)}", err=True)
    print_text(text)
    return 0


def _is_default(parameter: str) -> bool:
    """Tell whether the user has left out an option."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source is ParameterSource.DEFAULT


def _check_flags(
    form: str, beside: tuple[str, ...], responder: str, for_: str | None, directory: str | None
) -> None:
    """Refuse flags that another form has."""
    if form not in ("virtualservice", "httproute"):
        for flag, given in (("--beside", beside), ("--with both", responder == "both")):
            if given:
                raise click.UsageError(f"{flag} is for --to virtualservice and httproute")
    if for_ is not None and form != "httproute":
        raise click.UsageError("--for is for --to httproute")
    if directory is not None and form != "kubernetes":
        raise click.UsageError("--directory is for --to kubernetes")


def _read(config: str) -> tuple[RuleSet, list[str]]:
    """Return the rules of a file without key values, and what to say about them."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PolicyWarning)
            rules = rules_from_file(config)
    except PolicyError as error:
        raise policy_unreadable(error) from None
    noted = list(dict.fromkeys(str(each.message) for each in caught))
    notes = list(first_lines(noted, "warning"))
    if any(rule.policy.key and rule.policy.key.values is not None for rule in rules.rules):
        notes.append("the key's values are left out")
    return rules.without_key_values(), notes


def _only_policy(rules: RuleSet) -> Policy | None:
    """Return the policy for all URLs; None if there are rules for some of them."""
    first = rules.rules[0]
    single = len(rules.rules) == 1 and not first.hosts and first.path_prefix == "/"
    return first.policy if single else None


def _policy(rules: RuleSet) -> str:
    return block_yaml([to_document(_only_policy(rules) or rules)])


def _variables(rules: RuleSet) -> str:
    policy = _only_policy(rules)
    if policy is None:
        raise click.UsageError(
            "--to env: variables hold one policy for all URLs, and this file has rules: name a file"
            " that has only a corsPolicy and a key"
        )
    variables = to_environment(policy)
    return "".join(f"{variable}={shlex.quote(value)}\n" for variable, value in variables.items())


def _kubernetes(
    config: str,
    rules: RuleSet,
    names: tuple[str, str | None, int],
    image: str,
    directory: str | None,
) -> str:
    """Return the pod's objects; with a directory, write them there and return what was written."""
    name, namespace, port = names
    policy = _policy(rules)
    if directory is None:
        made = kubernetes(policy, name=name, namespace=namespace, port=port, image=image)
        return block_yaml(made)
    objects = kustomization(name=name, namespace=namespace, port=port, image=image)
    files = {file: block_yaml([document]) for file, document in objects.items()}
    write_directory(directory, {POLICY_FILE: policy, **files}, like=config)
    argument = shlex.quote(file_argument(directory))
    return f"{directory}: written; deploy it with: kubectl apply -k {argument}\n"
