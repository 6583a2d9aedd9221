"""The documents that ``render`` makes for the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from meshcors._cli.block_yaml import block_yaml
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._documents.reading import read_documents
from meshcors.mesh._render.http_routes import http_routes
from meshcors.mesh._render.names import service_of_host
from meshcors.mesh._render.virtual_services import virtual_services

if TYPE_CHECKING:
    from collections.abc import Collection

    from meshcors._policy.rules import RuleSet
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
        read_documents(text)
    except DocumentError as error:
        problem = error.problems[0]
        kind = "an HTTPRoute" if form == "httproute" else "a VirtualService"
        raise click.UsageError(f"--config: {kind} cannot say this: {problem.message}") from None
    notes: list[str] = []
    if form == "httproute" and service and service[1] not in (None, names.namespace):
        notes.append(
            f"the pod is in another namespace: a ReferenceGrant in {service[1]} has to allow that"
        )
    return text, notes
