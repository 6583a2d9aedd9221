"""A lint rule about routing by header that has no corsPolicy at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.routing import how_to_add

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._analysis.routed_call import RoutedCall

# Beginnings of the headers that proxies and load balancers set. A page could set them too, but
# nobody routes pages by them.
_BY_PROXIES: Final = (
    "cf-", "traceparent", "tracestate", "true-client-ip", "x-amzn-", "x-b3-", "x-client-ip",
    "x-envoy-", "x-goog-", "x-istio-", "x-original-", "x-real-ip", "x-request-id",
)  # fmt: skip


def unanswered_preflights(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find routing by header, without a corsPolicy, whose preflights nothing answers.

    One finding for each document, at its first such rule.
    """
    for document in mesh.documents:
        # browsers call gateways
        if set(document.gateways) <= {MESH}:
            continue
        lost = [call for call in mesh.calls_of_document(document) if _is_lost(call)]
        rules = {call.route.source.key for call in lost}
        if not lost:
            continue
        first = min(lost, key=lambda call: call.route.place)
        names = ", ".join(name for name in first.names if not name.startswith(_BY_PROXIES))
        answer = first.preflight_answer
        end = "no rule matches it" if answer.route is None else f"{answer.rule} takes it"
        others = len(rules) - 1
        more = f" ({others} more rule{'s' * (others > 1)} like this)" if others else ""
        reason = (
            f"a page cannot call this rule: its preflight names {names} but does not carry it,"
            f" {end}, Envoy answers {answer.status}{more}"
        )
        hint = f"if pages call it, {how_to_add(document)}"
        yield Finding(first.route.place, reason, hint)


def _is_lost(call: RoutedCall) -> bool:
    rule = call.route.source
    by_pages = any(not name.startswith(_BY_PROXIES) for name in call.names)
    is_grpc = call.call.value("content-type").startswith("application/grpc")
    return (
        call.is_unanswered
        and call.route.is_forward
        and rule.cors_policy is None
        and by_pages
        and not is_grpc
    )
