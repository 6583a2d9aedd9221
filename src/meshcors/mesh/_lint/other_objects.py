"""Rules about what stands around a corsPolicy: authorization, inference pools, owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._documents.cursor import Cursor, Report
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._lint.authorization import fate_of_preflights
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.untyped_objects import (
    fields_of,
    group_and_kind,
    items_of,
    text_of,
    value_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import VirtualService

_ASKS: Final = {
    "ALLOW": "no rule of it lets an OPTIONS request without credentials in",
    "DENY": "this rule denies an OPTIONS request without credentials",
    "CUSTOM": "its provider is asked about preflights, which carry no credentials",
}
# Labels and annotations that controllers put on what they own.
_MARKS: Final = {
    "serving.kserve.io/": "KServe",
    "serving.knative.dev/": "Knative",
    "networking.internal.knative.dev/": "Knative",
    "rollouts.argoproj.io/": "Argo Rollouts",
}
_OWNERS: Final = {
    "InferenceService": "KServe",
    "InferenceGraph": "KServe",
    "LLMInferenceService": "KServe",
    "Ingress": "Knative",
    "Rollout": "Argo Rollouts",
}
_KEEP_APART: Final = "keep it in a VirtualService of its own: meshcors fix --separate"
_ROOT_NAMESPACE: Final = "istio-system"
_EXT_AUTHZ: Final = "ext_authz"
# What Istio calls the service it makes for an InferencePool: its name, -ip- and a hash.
_POOL_SERVICE: Final = "-ip-"


def authorization_in_front(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find authorization that denies preflights: it comes before Envoy's cors filter."""
    if not _answers_preflights(mesh):
        return
    namespaces = _namespaces(mesh)
    for other in mesh.others:
        group, kind = group_and_kind(other)
        if not _is_in_front(other, namespaces):
            continue
        if (group, kind) == ("security.istio.io", "AuthorizationPolicy"):
            found = fate_of_preflights(value_at(other, "spec"))
            if found is not None:
                action, cursor = found
                hint = "let OPTIONS with access-control-request-method pass"
                reason = f"authorization comes before CORS, and {_ASKS[action]}"
                yield Finding(cursor.place, reason, hint)
        elif kind == "EnvoyFilter":
            for patch in items_of(value_at(other, "spec", "configPatches")):
                value = value_at(patch, "patch", "value")
                named = (
                    text_of(value_at(value, "name")),
                    text_of(value_at(value, "typed_config", "@type")),
                )
                context = text_of(value_at(patch, "match", "context"))
                if context.startswith("SIDECAR"):
                    continue
                if any(_EXT_AUTHZ in text for text in named):
                    reason = f"authorization comes before CORS, and {_ASKS['CUSTOM']}"
                    hint = "match preflights and disable ext_authz for them"
                    yield Finding(patch.place, reason, hint)


def _is_in_front(other: Cursor, namespaces: set[str]) -> bool:
    """Tell whether an object is about the gateway, or about what preflights are sent to."""
    spec = value_at(other, "spec")
    targets = [value_at(spec, "targetRef"), *items_of(value_at(spec, "targetRefs"))]
    kinds = {text_of(value_at(target, "kind")) for target in targets if target}
    labels = {
        **fields_of(value_at(spec, "selector", "matchLabels")),
        **fields_of(value_at(spec, "workloadSelector", "labels")),
    }
    if kinds or labels:
        named = any("gateway" in f"{name}={text_of(value)}" for name, value in labels.items())
        return named or "Gateway" in kinds
    return (text_of(value_at(other, "metadata", "namespace")) or "default") in namespaces


def _namespaces(mesh: MeshDocuments) -> set[str]:
    """Return the namespaces of gateways, as far as is certain, and of preflight pods."""
    found = {_ROOT_NAMESPACE}
    for document in mesh.documents:
        own = document.namespace
        elsewhere = {name.partition("/")[0] for name in document.gateways if name != MESH}
        found |= elsewhere - {own}
        if mesh.has_preflight_rule(document):
            found.add(own)
    return found


def pool_with_policy(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a corsPolicy on a rule to an InferencePool."""
    for document in mesh.documents:
        policies = mesh.policies_of(document)
        pools = {text for text in _backend_kinds(document) if text} if policies else set()
        for policy in policies:
            hosts = [to.host for to in policy.rule.route]
            if any(host.split(".")[0] in pools or _POOL_SERVICE in host for host in hosts):
                reason = (
                    "on a rule to an InferencePool it displaces the endpoint picker's own settings"
                )
                yield Finding(policy.place(), reason, "answer preflights on a rule of their own")


def owned_by_a_controller(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find CORS in a VirtualService that a controller writes."""
    managed = _managed_by_rollouts(mesh)
    for document in mesh.documents:
        own = mesh.policies_of(document)
        if not own and not mesh.has_preflight_rule(document):
            continue
        owner = _owner(document) or managed.get(document.label, "")
        if owner:
            place = own[0].place() if own else document.place
            reason = f"{owner} writes {document.label}, and this is lost when it does"
            yield Finding(place, reason, _KEEP_APART)


def _answers_preflights(mesh: MeshDocuments) -> bool:
    return bool(mesh.policies) or any(map(mesh.has_preflight_rule, mesh.documents))


def _root(document: VirtualService) -> Cursor:
    return Cursor(document.node, "", Report(document.place.file))


def _backend_kinds(document: VirtualService) -> Iterator[str]:
    """Yield the names of the InferencePools that an HTTPRoute sends to."""
    for rule in items_of(value_at(_root(document), "spec", "rules")):
        for backend in items_of(value_at(rule, "backendRefs")):
            if text_of(value_at(backend, "kind")) == "InferencePool":
                yield text_of(value_at(backend, "name"))


def _owner(document: VirtualService) -> str:
    metadata = value_at(_root(document), "metadata")
    for reference in items_of(value_at(metadata, "ownerReferences")):
        kind, group = (
            text_of(value_at(reference, "kind")),
            text_of(value_at(reference, "apiVersion")),
        )
        if kind in _OWNERS and not group.startswith("networking.k8s.io/"):
            return f"{_OWNERS[kind]} ({kind} {text_of(value_at(reference, 'name'))})"
    for field in ("labels", "annotations"):
        for name in fields_of(value_at(metadata, field)):
            for mark, owner in _MARKS.items():
                if name.startswith(mark):
                    return owner
    return ""


def _managed_by_rollouts(mesh: MeshDocuments) -> dict[str, str]:
    """Return the VirtualServices, by label, that a Rollout shifts traffic with."""
    managed: dict[str, str] = {}
    for other in mesh.others:
        if group_and_kind(other) != ("argoproj.io", "Rollout"):
            continue
        namespace = text_of(value_at(other, "metadata", "namespace")) or "default"
        owner = f"Argo Rollouts (Rollout {text_of(value_at(other, 'metadata', 'name'))})"
        istio = value_at(other, "spec", "strategy", "canary", "trafficRouting", "istio")
        one = value_at(istio, "virtualService")
        for entry in [*([one] if one else []), *items_of(value_at(istio, "virtualServices"))]:
            name, _, elsewhere = text_of(value_at(entry, "name")).partition(".")
            managed[f"{elsewhere or namespace}/{name}"] = owner
    return managed
