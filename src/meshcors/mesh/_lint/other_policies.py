"""The CORS policies of other objects than VirtualServices and HTTPRoutes.

Envoy Gateway's SecurityPolicy sets up the same filter of Envoy: ``buildCORS`` and
``wildcard2regex`` in ``internal/gatewayapi/securitypolicy.go`` of envoyproxy/gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.located_policy import LocatedPolicy
from meshcors.mesh._analysis.untyped_objects import (
    fields_of,
    group_and_kind,
    items_of,
    text_of,
    value_at,
)
from meshcors.mesh._documents.checks import regex_error
from meshcors.mesh._documents.cursor import Cursor, Report
from meshcors.mesh._documents.model import CorsPolicy, HttpRule, StringMatch, VirtualService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments

_PATH: Final = ("spec", "cors")


def all_policies(mesh: MeshDocuments) -> Iterator[LocatedPolicy]:
    """Yield every corsPolicy, and every policy of a SecurityPolicy."""
    yield from mesh.policies
    yield from security_policies(mesh)


def policies_for_preflights(mesh: MeshDocuments) -> Iterator[LocatedPolicy]:
    """Yield the policies that answer preflights, or would if preflights reached them."""
    yield from mesh.preflight_policies
    yield from security_policies(mesh)


def security_policies(mesh: MeshDocuments) -> Iterator[LocatedPolicy]:
    """Yield the policy of each of Envoy Gateway's SecurityPolicies that has one."""
    for other in mesh.others:
        cors = value_at(other, *_PATH)
        if group_and_kind(other) == ("gateway.envoyproxy.io", "SecurityPolicy") and cors:
            policy = _policy(cors)
            is_part = value_at(other, "spec", "mergeType") is not None
            if policy is None or (is_part and not policy.allow_origins):
                continue
            rule = HttpRule(cors.place, "cors", other.report.document, _PATH, cors_policy=policy)
            name = text_of(value_at(other, "metadata", "name"))
            namespace = text_of(value_at(other, "metadata", "namespace")) or "default"
            document = VirtualService(
                "VirtualService", other.place, namespace, name, (), (), (rule,),
                number=other.report.number, node=other.node,
            )  # fmt: skip
            yield LocatedPolicy(document, rule, policy, _PATH)


def _policy(cors: Cursor) -> CorsPolicy | None:
    """Return the policy; None if Kubernetes would refuse its origins."""
    fields = fields_of(cors)
    origins = items_of(fields.get("allowOrigins"))
    if not all(map(text_of, origins)):
        return None
    methods, headers, exposed = (
        tuple(map(text_of, items_of(fields.get(name))))
        for name in ("allowMethods", "allowHeaders", "exposeHeaders")
    )
    return CorsPolicy(
        place=cors.place,
        allow_origins=tuple(origin for item in origins if (origin := _origin(item))),
        allow_methods=methods,
        allow_headers=headers,
        expose_headers=exposed,
        max_age=_seconds(fields.get("maxAge")),
        allow_credentials=text_of(fields.get("allowCredentials")).lower() == "true" or None,
    )


def _origin(item: Cursor) -> StringMatch | None:
    text = text_of(item)
    if "*" not in text:
        return StringMatch("exact", text, item.place)
    regex = text.replace(".", "\\.").replace("*", ".*")
    return None if regex_error(regex) else StringMatch("regex", regex, item.place)


def _seconds(item: Cursor | None) -> int | None:
    if not text_of(item) or item is None:
        return None
    report = Report("")
    seconds = Cursor(item.node, item.path, report).seconds()
    return None if report.problems else int(seconds)
