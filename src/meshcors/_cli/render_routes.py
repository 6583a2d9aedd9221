"""The documents that ``render`` makes for the mesh, alone or beside others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from meshcors._cli.block_yaml import block_yaml
from meshcors._cli.mesh_files import mesh_of
from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.reading import read_documents
from meshcors.mesh._render.beside import HarmError, render_beside, still_lost
from meshcors.mesh._render.http_routes import http_routes
from meshcors.mesh._render.virtual_services import virtual_services
from meshcors.mesh._routing.translation import gateway_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from meshcors._policy.rules import RuleSet
    from meshcors.mesh._documents.model import VirtualService
    from meshcors.mesh._render.names import RouteNames


def rendered_routes(
    rules: RuleSet,
    form: str,
    names: RouteNames,
    responder: Literal["pod", "both"],
    beside: tuple[str, ...],
) -> tuple[str, list[str]]:
    """Return the documents as text, and what to say about them."""
    service = service_of_host(names.pod[0])
    if form == "httproute" and service is None:
        raise click.UsageError("--pod: an HTTPRoute names a Service: write NAME or NAME.NAMESPACE")

    def made(without_unmatched: Collection[str] = ()) -> str:
        if form == "httproute":
            return block_yaml(http_routes(rules, names, without_unmatched=without_unmatched))
        return block_yaml(
            virtual_services(rules, names, responder=responder, without_unmatched=without_unmatched)
        )

    text = made()
    try:
        documents = read_documents(text)
    except DocumentError as error:
        problem = error.problems[0]
        kind = "an HTTPRoute" if form == "httproute" else "a VirtualService"
        raise click.UsageError(f"--config: {kind} cannot say this: {problem.message}") from None
    notes: list[str] = []
    if form == "httproute" and service and service[1] not in (None, names.namespace):
        notes.append(
            f"the pod is in another namespace: a ReferenceGrant in {service[1]} has to allow that"
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
