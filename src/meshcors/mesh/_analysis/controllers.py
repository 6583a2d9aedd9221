"""Controllers that write documents: what a person changes there, they overwrite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._analysis.untyped_objects import (
    fields_of,
    group_and_kind,
    items_of,
    text_of,
    value_at,
)
from meshcors.mesh._documents.cursor import Cursor, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh._analysis.mesh_documents import MeshDocuments
    from meshcors.mesh._documents.model import VirtualService

CANARY: Final = ("flagger.app", "Canary")
# Prefixes of the labels and annotations that controllers put on their objects.
_PREFIXES: Final = {
    "serving.kserve.io/": "KServe",
    "serving.knative.dev/": "Knative",
    "networking.internal.knative.dev/": "Knative",
    "rollouts.argoproj.io/": "Argo Rollouts",
    "flagger.app/": "Flagger",
}
_CONTROLLERS: Final = {
    "InferenceService": "KServe",
    "Canary": "Flagger",
    "InferenceGraph": "KServe",
    "LLMInferenceService": "KServe",
    "Ingress": "Knative",
    "Rollout": "Argo Rollouts",
}
_ROLLOUT: Final = ("argoproj.io", "Rollout")
_INFERENCE_SERVICE: Final = ("serving.kserve.io", "InferenceService")
_GATEWAY_PLUGIN: Final = "argoproj-labs/gatewayAPI"


def named_controller(document: VirtualService) -> str:
    """Return the controller that a document's metadata names, or ``""``."""
    metadata = value_at(Cursor(document.node, "", Report(document.place.file)), "metadata")
    for reference in items_of(value_at(metadata, "ownerReferences")):
        kind = text_of(value_at(reference, "kind"))
        version = text_of(value_at(reference, "apiVersion"))
        if kind in _CONTROLLERS and not version.startswith("networking.k8s.io/"):
            return f"{_CONTROLLERS[kind]} ({kind} {text_of(value_at(reference, 'name'))})"
    for field in ("labels", "annotations"):
        for name in fields_of(value_at(metadata, field)):
            for prefix, controller in _PREFIXES.items():
                if name.startswith(prefix):
                    return controller
    return ""


def managed_documents(mesh: MeshDocuments) -> dict[str, str]:
    """Return the documents, by label, that a controller writes because of an object beside them."""
    managed: dict[str, str] = {}
    for other in mesh.others:
        kind = group_and_kind(other)
        name = text_of(value_at(other, "metadata", "name"))
        namespace = text_of(value_at(other, "metadata", "namespace")) or "default"
        if kind == _ROLLOUT:
            for label in _shifted_by(other, namespace):
                managed[label] = f"Argo Rollouts (Rollout {name})"
        elif kind == CANARY:
            managed["/".join(service_of_canary(other))] = f"Flagger (Canary {name})"
        elif kind == _INFERENCE_SERVICE:
            # KServe's names: the VirtualService, and the HTTPRoutes of its components
            for end in ("", "-predictor", "-transformer", "-explainer"):
                managed[f"{namespace}/{name}{end}"] = f"KServe (InferenceService {name})"
    return managed


def _shifted_by(rollout: Cursor, namespace: str) -> Iterator[str]:
    """Yield the labels of the documents that a Rollout shifts traffic with."""
    routing = value_at(rollout, "spec", "strategy", "canary", "trafficRouting")
    istio = value_at(routing, "istio")
    one = value_at(istio, "virtualService")
    for entry in [*([one] if one else []), *items_of(value_at(istio, "virtualServices"))]:
        name, _, other = text_of(value_at(entry, "name")).partition(".")
        yield f"{other or namespace}/{name}"
    plugin = value_at(routing, "plugins", _GATEWAY_PLUGIN)
    there = text_of(value_at(plugin, "namespace")) or namespace
    names = [value_at(entry, "name") for entry in items_of(value_at(plugin, "httpRoutes"))]
    for name in filter(None, map(text_of, (value_at(plugin, "httpRoute"), *names))):
        yield f"{there}/{name}"


def service_of_canary(canary: Cursor) -> tuple[str, str]:
    """Return the namespace and name of what Flagger makes for a Canary (``GetServiceNames``)."""
    spec = value_at(canary, "spec")
    name = text_of(value_at(spec, "service", "name")) or text_of(
        value_at(spec, "targetRef", "name")
    )
    return text_of(value_at(canary, "metadata", "namespace")) or "default", name
