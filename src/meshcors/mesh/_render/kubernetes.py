"""The pod as Kubernetes objects: the policy's ConfigMap, a Deployment and a Service. Plain data.

This is the least that a cluster should run. ``examples/kubernetes`` adds what depends on the
cluster: disruption budget, autoscaling, network policy, monitoring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from meshcors.mesh._render.names import Document

_USER: Final = 65532
_POLICY_DIRECTORY: Final = "/etc/meshcors"


def kubernetes(policy: str, *, name: str, port: int, image: str) -> list[Document]:
    """Return the objects, with names that begin with `name`.

    `policy` is the text of the policy file (YAML), `image` the pod's image, and `port` the port of
    the Service. The pod itself listens on 8080, and on 9090 for its admin pages.
    """
    labels = {"app.kubernetes.io/name": name}

    def metadata(called: str) -> Document:
        return {"name": called, "labels": dict(labels)}

    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(f"{name}-policy"),
        "data": {"policy.yaml": policy},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": dict(labels)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": _pod_spec(name, image, labels),
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name),
        "spec": {
            "selector": dict(labels),
            # Istio takes the protocol from the port's name.
            "ports": [{"name": "http", "port": port, "targetPort": "http"}],
        },
    }
    return [config_map, deployment, service]


def _pod_spec(name: str, image: str, labels: dict[str, str]) -> Document:
    return {
        "automountServiceAccountToken": False,
        # Otherwise a Service called meshcors would set MESHCORS_* variables, which the pod reads.
        "enableServiceLinks": False,
        # Longer than --drain, so that the pod exits before it is killed.
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(labels)},
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
        "containers": [_container(name, image)],
        "volumes": [{"name": "policy", "configMap": {"name": f"{name}-policy"}}],
    }


def _container(name: str, image: str) -> Document:
    return {
        "name": name,
        "image": image,
        "command": ["python", "-m", "meshcors.dummy"],
        "args": [
            f"--config={_POLICY_DIRECTORY}/policy.yaml",
            "--port=8080",
            "--admin-port=9090",
            "--drain=15",
        ],
        "ports": [
            {"name": "http", "containerPort": 8080},
            {"name": "admin", "containerPort": 9090},
        ],
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            # No CPU limit: throttling would delay every call of every browser.
            "limits": {"memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # A directory and no subPath: only a directory is updated with the ConfigMap.
        "volumeMounts": [{"name": "policy", "mountPath": _POLICY_DIRECTORY, "readOnly": True}],
    }


def _probe(path: str, *, period: int, failures: int) -> Document:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period,
        "failureThreshold": failures,
    }
