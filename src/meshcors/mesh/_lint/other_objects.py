"""Lint rules about objects around a corsPolicy: authorization, inference pools, controllers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.authorization import may_allow_preflights, stops_preflights
from meshcors.mesh._analysis.controllers import managed_documents, named_controller
from meshcors.mesh._analysis.guards import adds_ext_authz, is_dry_run
from meshcors.mesh._analysis.untyped_objects import (
    fields_of,
    group_and_kind,
    items_of,
    text_of,
    value_at,
)
from meshcors.mesh._documents.cursor import Cursor, Report
from meshcors.mesh._documents.virtual_service import MESH
from meshcors.mesh._lint.canaries import is_canary
from meshcors.mesh._lint.commands import SEPARATE
from meshcors.mesh._lint.finding import Finding
from meshcors.mesh._lint.running import filters_in_front

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import VirtualService

_EFFECTS: Final = {
    "ALLOW": "none of its rules allows an OPTIONS request without credentials",
    "DENY": "this rule denies OPTIONS requests without credentials",
    "CUSTOM": "its provider is asked about preflights, which carry no credentials",
}
_KEEP_APART: Final = f"keep it in a VirtualService of its own: {SEPARATE}"
_ROOT_NAMESPACE: Final = "istio-system"
_EVERYWHERE: Final = (_ROOT_NAMESPACE,)
_POLICY: Final = ("security.istio.io", "AuthorizationPolicy")
# The service that Istio makes for an InferencePool is named after the pool, with -ip- and a hash.
_POOL_SERVICE: Final = "-ip-"


def authorization_in_front(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find authorization that denies preflights: it runs before Envoy's cors filter."""
    yield from filters_in_front(mesh)
    if not _answers_preflights(mesh):
        return
    namespaces = _namespaces(mesh)
    in_front = [each for each in mesh.others if _is_in_front(each, namespaces)]
    policies = {
        each.report.document: _scope(each)
        for each in in_front
        if group_and_kind(each) == _POLICY and not is_dry_run(each)
    }
    # of all ALLOW policies of a workload, one has to match
    allowing = {
        policies[each.report.document]
        for each in in_front
        if each.report.document in policies and may_allow_preflights(value_at(each, "spec"))
    }
    for other in in_front:
        _, kind = group_and_kind(other)
        scope = policies.get(other.report.document)
        if scope is not None:
            found = stops_preflights(value_at(other, "spec"))
            is_allowed = not allowing.isdisjoint((scope, _EVERYWHERE))
            if found is not None and not (found[0] == "ALLOW" and is_allowed):
                action, cursor = found
                hint = "allow OPTIONS requests with access-control-request-method"
                yield Finding(cursor.place, _before_cors(action), hint)
        elif kind == "EnvoyFilter":
            for patch in items_of(value_at(other, "spec", "configPatches")):
                if adds_ext_authz(patch):
                    hint = "match preflights and disable ext_authz for them"
                    yield Finding(patch.place, _before_cors("CUSTOM"), hint)


def _scope(policy: Cursor) -> tuple[str, ...]:
    """Return what tells policies for the same workloads from others: those of the root for all."""
    spec = value_at(policy, "spec")
    targets = [value_at(spec, "targetRef"), *items_of(value_at(spec, "targetRefs"))]
    return (
        text_of(value_at(policy, "metadata", "namespace")) or "default",
        *sorted(
            f"{name}={text_of(value)}"
            for name, value in fields_of(value_at(spec, "selector", "matchLabels")).items()
        ),
        *sorted(
            f"{text_of(value_at(each, 'kind'))}/{text_of(value_at(each, 'name'))}"
            for each in targets
            if each is not None
        ),
    )


def _before_cors(action: str) -> str:
    return f"authorization runs before CORS, and {_EFFECTS[action]}"


def _is_in_front(other: Cursor, namespaces: set[str]) -> bool:
    """Tell whether an object applies to the gateway, or to what preflights are sent to."""
    spec = value_at(other, "spec")
    targets = [value_at(spec, "targetRef"), *items_of(value_at(spec, "targetRefs"))]
    kinds = {text_of(value_at(target, "kind")) for target in targets if target}
    labels = {
        **fields_of(value_at(spec, "selector", "matchLabels")),
        **fields_of(value_at(spec, "workloadSelector", "labels")),
    }
    if kinds or labels:
        of_gateway = any("gateway" in f"{name}={text_of(value)}" for name, value in labels.items())
        return of_gateway or "Gateway" in kinds
    return (text_of(value_at(other, "metadata", "namespace")) or "default") in namespaces


def _namespaces(mesh: MeshDocuments) -> set[str]:
    """Return the namespaces of gateways, where they are certain, and of preflight pods."""
    found = {_ROOT_NAMESPACE}
    for document in mesh.documents:
        own = document.namespace
        named = {name.partition("/")[0] for name in document.gateways if name != MESH}
        found |= named - {own}
        if mesh.has_preflight_rule(document):
            found.add(own)
    return found


def pool_with_policy(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find a corsPolicy on a rule to an InferencePool."""
    for document in mesh.documents:
        policies = mesh.policies_of(document)
        pools = {name for name in _pool_names(document) if name} if policies else set()
        for located in policies:
            hosts = [to.host for to in located.rule.route]
            if any(host.split(".")[0] in pools or _POOL_SERVICE in host for host in hosts):
                reason = (
                    "a corsPolicy on a rule to an InferencePool replaces the endpoint picker's"
                    " settings"
                )
                yield Finding(located.place(), reason, "answer preflights on a separate rule")


def owned_by_a_controller(mesh: MeshDocuments) -> Iterator[Finding]:
    """Find CORS in a VirtualService that a controller writes."""
    for document, controller in owned_documents(mesh):
        policies = mesh.policies_of(document)
        if policies or mesh.has_preflight_rule(document):
            place = policies[0].place() if policies else document.place
            reason = f"{controller} writes {document.label} and overwrites this"
            yield Finding(place, reason, _KEEP_APART)


def owned_documents(mesh: MeshDocuments) -> Iterator[tuple[VirtualService, str]]:
    """Yield the documents that a controller writes, and the controller."""
    managed = managed_documents(mesh)
    for document in mesh.documents:
        controller = named_controller(document) or managed.get(document.label, "")
        # a Canary's policy is where it belongs
        if controller and not is_canary(document):
            yield document, controller


def _answers_preflights(mesh: MeshDocuments) -> bool:
    return bool(mesh.policies) or any(map(mesh.has_preflight_rule, mesh.documents))


def _root(document: VirtualService) -> Cursor:
    return Cursor(document.node, "", Report(document.place.file))


def _pool_names(document: VirtualService) -> Iterator[str]:
    """Yield the names of the InferencePools that an HTTPRoute sends to."""
    for rule in items_of(value_at(_root(document), "spec", "rules")):
        for backend in items_of(value_at(rule, "backendRefs")):
            if text_of(value_at(backend, "kind")) == "InferencePool":
                yield text_of(value_at(backend, "name"))
