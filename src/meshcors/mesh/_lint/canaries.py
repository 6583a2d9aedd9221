"""The VirtualServices that Flagger makes of its Canaries, for Istio.

Source: ``reconcileVirtualService`` in ``pkg/router/istio.go`` of fluxcd/flagger.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.controllers import CANARY, service_of_canary
from meshcors.mesh._analysis.untyped_objects import group_and_kind, items_of, text_of, value_at
from meshcors.mesh._documents.cors_policy import read_cors_policy
from meshcors.mesh._documents.cursor import Cursor, Report
from meshcors.mesh._documents.model import Destination, HttpRule, VirtualService
from meshcors.mesh._documents.virtual_service import MESH, resolve_gateway
from meshcors.mesh._documents.virtual_service_match import read_match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import HttpMatch

_PATH: Final = ("spec", "service")


def with_canaries(mesh: MeshDocuments) -> MeshDocuments:
    """Return the documents together with the VirtualServices that Flagger makes."""
    written = {document.label for document in mesh.documents}
    made = tuple(each for each in _made(mesh) if each.label not in written)
    return replace(mesh, documents=(*mesh.documents, *made)) if made else mesh


def is_canary(document: VirtualService) -> bool:
    """Tell whether a document is a Canary, and Flagger makes the VirtualService."""
    return _group_and_kind(document) == CANARY


def is_fixable(document: VirtualService) -> bool:
    """Tell whether a document is of a kind that ``meshcors fix`` changes."""
    return _group_and_kind(document)[1] in {"VirtualService", "HTTPRoute"}


def _group_and_kind(document: VirtualService) -> tuple[str, str]:
    return group_and_kind(Cursor(document.node, "", Report(document.place.file)))


def _made(mesh: MeshDocuments) -> Iterator[VirtualService]:
    for other in mesh.others:
        if group_and_kind(other) == CANARY:
            # what is wrong with it is not reported
            report = Report(*other.report.document)
            found = _virtual_service(replace(other, report=report))
            if found is not None and not report.problems:
                yield found


def _virtual_service(canary: Cursor) -> VirtualService | None:
    """Return what Flagger makes for Istio; None for other providers."""
    spec = value_at(canary, "spec")
    service = value_at(spec, "service")
    namespace, name = service_of_canary(canary)
    provider = text_of(value_at(spec, "provider"))
    is_delegate = text_of(value_at(service, "delegation")) == "true"
    is_elsewhere = is_delegate or value_at(service, "gatewayRefs")
    if service is None or not name or provider not in {"", "istio"} or is_elsewhere:
        return None
    hosts = [text_of(item) for item in items_of(value_at(service, "hosts"))]
    if not {name, "*"} & set(hosts):
        hosts.append(name)
    gateways = [text_of(item) for item in items_of(value_at(service, "gateways"))]
    cors = value_at(service, "corsPolicy")
    stable = HttpRule(
        service.place,
        f"{namespace}/{name} spec.service",
        canary.report.document,
        _PATH,
        match=tuple(map(read_match, items_of(value_at(service, "match")))),
        route=(Destination(service.place, f"{name}-primary"),),
        cors_policy=read_cors_policy(cors) if cors else None,
    )
    tested = [read_match(item) for item in items_of(value_at(spec, "analysis", "match"))]
    return VirtualService(
        kind="VirtualService",
        place=canary.place,
        namespace=namespace,
        name=name,
        hosts=tuple(hosts),
        gateways=tuple(resolve_gateway(each, namespace) for each in gateways) or (MESH,),
        http=(*([_of_canary(stable, tested)] if tested else []), stable),
        number=canary.report.number,
        node=canary.node,
    )


def _of_canary(stable: HttpRule, tested: list[HttpMatch]) -> HttpRule:
    """Return the first rule of an A/B test: its conditions, and those of the service."""
    merged = [
        replace(
            base,
            headers=match.headers or base.headers,
            source_labels=match.source_labels or base.source_labels,
        )
        for match in tested
        for base in stable.match or (match,)
    ]
    return replace(stable, match=tuple(merged), label=f"{stable.label} (canary)")
