"""The pod's objects as a directory for ``kubectl apply -k``: files by name, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors.mesh._render.kubernetes import POLICY_FILE, kubernetes, policy_name

if TYPE_CHECKING:
    from meshcors.mesh._render.names import Document


def kustomization(
    *, name: str, port: int, image: str, namespace: str | None = None
) -> dict[str, Document]:
    """Return the files beside the policy's own, which is called `POLICY_FILE`.

    The parameters are those of `kubernetes`. The last file is ``kustomization.yaml``, without which
    kubectl applies nothing.
    """
    _, deployment, service = kubernetes("", name=name, port=port, image=image)
    made: Document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        **({"namespace": namespace} if namespace else {}),
        "resources": ["deployment.yaml", "service.yaml"],
        "configMapGenerator": [
            {
                "name": policy_name(name),
                "files": [POLICY_FILE],
                # The pod applies a changed policy by itself, if the ConfigMap keeps its name.
                "options": {
                    "disableNameSuffixHash": True,
                    "labels": service["metadata"]["labels"],
                },
            }
        ],
    }
    return {"deployment.yaml": deployment, "service.yaml": service, "kustomization.yaml": made}
