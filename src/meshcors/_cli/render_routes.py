"""The documents that ``render`` makes for the mesh, alone or next to existing ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import click

from meshcors._cli.block_yaml import block_yaml
from meshcors._cli.mesh_files import mesh_of
from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.reading import read_documents
from meshcors.mesh._render.backend_traffic_policies import backend_traffic_policy
from meshcors.mesh._render.beside import HarmError, hidden_hosts, render_beside, still_lost
from meshcors.mesh._render.destination_rules import destination_rule
from meshcors.mesh._render.http_routes import UnsayableError, http_routes
from meshcors.mesh._render.virtual_services import virtual_services
from meshcors.mesh._routing.translation import gateway_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from meshcors._policy.rules import RuleSet
    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._render.beside import HiddenHosts
    from meshcors.mesh._render.names import RouteNames

Implementation: TypeAlias = Literal["istio", "envoy-gateway"]

_SHOWN_HOSTS: Final = 5


def rendered_routes(
    rules: RuleSet,
    form: str,
    names: RouteNames,
    responder: Literal["pod", "both"],
    beside: tuple[str, ...],
    implementation: Implementation | None = None,
) -> tuple[str, list[str]]:
    """Return the documents as text, and what to say about them.

    With HTTPRoutes come the documents of an `implementation` of the Gateway API.
    """
    service = service_of_host(names.pod[0])
    if form == "httproute" and service is None:
        raise click.UsageError("--pod: an HTTPRoute names a Service: write NAME or NAME.NAMESPACE")

    def made(without_unmatched: Collection[str] = ()) -> str:
        render = http_routes if form == "httproute" else virtual_services
        documents = render(rules, names, responder=responder, without_unmatched=without_unmatched)
        if form == "virtualservice" or implementation == "istio":
            documents.append(destination_rule(names))
        elif implementation == "envoy-gateway":
            documents.append(backend_traffic_policy(names, documents))
        return block_yaml(documents)

    try:
        text = made()
        documents = read_documents(text)
    except (DocumentError, UnsayableError) as error:
        reason = error.problems[0].message if isinstance(error, DocumentError) else error
        kind = "an HTTPRoute" if form == "httproute" else "a VirtualService"
        raise click.UsageError(f"--config: {kind} cannot say this: {reason}") from None
    notes: list[str] = []
    if form == "httproute" and service and service[1] not in (None, names.namespace):
        notes.append(
            f"the pod is in another namespace: this needs a ReferenceGrant in {service[1]}"
        )
    if beside:
        text, more = _beside(made, documents[0], beside)
        notes += more
    return text, notes


def _beside(
    make: Callable[[Collection[str]], str], first: VirtualService, names: tuple[str, ...]
) -> tuple[str, list[str]]:
    """Return the text of documents that take no call of those in some files, and the notes."""
    mesh = mesh_of(names, "--beside")
    # Nobody knows which calls these take.
    if unread := (*mesh.problems, *mesh.notes):
        raise DocumentError(unread)
    (gateway,) = first.gateways
    bound = gateway_names(mesh.documents)
    if gateway not in bound:
        others = f"; name one of {', '.join(bound)}" if bound else ""
        raise click.UsageError(
            f"--gateway: none of the documents of --beside is bound to {gateway}{others}"
        )
    try:
        text, without = render_beside(make, mesh)
    except HarmError as error:
        raise click.UsageError(
            f"--beside: {error}, and would lose it; give the policy other hosts or paths, or let"
            " meshcors fix add narrower rules"
        ) from None
    notes = [
        f"{name} has no rule for unmatched requests: {taken}" for name, taken in without.items()
    ]
    notes += map(_hidden, hidden_hosts(mesh, text))
    takers: dict[tuple[str, str], str] = {}
    for lost in still_lost(mesh, text):
        taker, call = lost.answer, lost.calls.call
        by = f"{taker.rule} ({taker.place})" if taker.route else "no rule"
        # one of the paths is enough
        takers.setdefault((by, lost.calls.route.rule), f"{call.host}{call.path_only}")
    notes += [
        f"{by} still takes the preflights of {url}: let meshcors fix add a rule there"
        for (by, _), url in takers.items()
    ]
    return text, list(dict.fromkeys(notes))


def _hidden(found: HiddenHosts) -> str:
    hosts = list(found.owners)
    named = ", ".join(hosts[:_SHOWN_HOSTS])
    more = len(hosts) - _SHOWN_HOSTS
    all_of_them = f"{named} and {more} more" if more > 0 else named
    owners = list(dict.fromkeys(each.label for each in found.owners.values()))
    have = f"{owners[0]} has" if len(owners) == 1 else f"{owners[0]} and others have"
    listed = f"[{named}{', …' if more > 0 else ''}]"
    return (
        f"hosts '{found.host}' never gets requests for {all_of_them}, which {have}; give the policy"
        f" a rule with hosts: {listed}"
    )
