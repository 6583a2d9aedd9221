"""The pod as Kubernetes objects: the policy's ConfigMap, a Deployment and a Service. Plain data.

This is the least that a cluster should run. ``examples/kubernetes`` adds what depends on the
cluster: disruption budget, autoscaling, network policy, monitoring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meshcors.mesh._render.names import named

if TYPE_CHECKING:
    from meshcors.mesh._render.names import Document

_USER: Final = 65532
_POLICY_DIRECTORY: Final = "/etc/meshcors"
_LAST_GOOD_DIRECTORY: Final = "/var/lib/meshcors"
# The policy's file: in the ConfigMap, in the pod and in a directory.
POLICY_FILE: Final = "policy.yaml"


def kubernetes(
    policy: str, *, name: str, port: int, image: str, namespace: str | None = None
) -> list[Document]:
    """Return the objects, with names that begin with `name`.

    `policy` is the text of the policy file (YAML), `image` the pod's image, and `port` the port of
    the Service. The pod itself listens on 8080, and on 9090 for its admin pages. Without a
    `namespace`, whoever applies the objects chooses it.
    """
    labels = {"app.kubernetes.io/name": name}

    def metadata(called: str) -> Document:
        return {**named(called, namespace), "labels": dict(labels)}

    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(policy_name(name)),
        "data": {POLICY_FILE: policy},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name),
        "spec": _deployment_spec(name, image, labels),
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


def policy_name(name: str) -> str:
    """Return the name of the ConfigMap with the policy of a pod called `name`."""
    return f"{name}-policy"


def _deployment_spec(name: str, image: str, labels: dict[str, str]) -> Document:
    return {
        "replicas": 2,
        # Gateways know a new pod before an old one is stopped; a bad image is noticed.
        "minReadySeconds": 5,
        "progressDeadlineSeconds": 120,
        "selector": {"matchLabels": dict(labels)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "template": {
            "metadata": {"labels": dict(labels)},
            "spec": _pod_spec(name, image, labels),
        },
    }


def _pod_spec(name: str, image: str, labels: dict[str, str]) -> Document:
    return {
        "automountServiceAccountToken": False,
        # Otherwise this Service would add variables that begin with MESHCORS_, as the pod's own do.
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
        "volumes": [
            {"name": "policy", "configMap": {"name": policy_name(name)}},
            {"name": "last-good", "emptyDir": {"sizeLimit": "4Mi"}},
        ],
    }


def _container(name: str, image: str) -> Document:
    return {
        "name": name,
        "image": image,
        "command": ["python", "-m", "meshcors.dummy"],
        "args": [
            f"--config={_POLICY_DIRECTORY}/{POLICY_FILE}",
            # A container that is started again while the ConfigMap is bad answers as before.
            f"--last-good={_LAST_GOOD_DIRECTORY}/{POLICY_FILE}",
            # Not all pods take up a change at the same instant.
            "--reload-spread=10",
            "--port=8080",
            "--admin-port=9090",
            "--drain=15",
        ],
        "ports": [
            {"name": "http", "containerPort": 8080},
            {"name": "admin", "containerPort": 9090},
        ],
        "startupProbe": _probe("/healthz", period=1, failures=30),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        # A pod that hangs has nothing to drain.
        "livenessProbe": {
            **_probe("/healthz", period=10, failures=3),
            "terminationGracePeriodSeconds": 5,
        },
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            # No CPU limit: throttling would delay every call of every browser. A few rules take 40
            # MiB; a policy file of 1 MiB, the largest, up to 150 MiB while it is read.
            "limits": {"memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # A directory and no subPath: only a directory is updated with the ConfigMap.
        "volumeMounts": [
            {"name": "policy", "mountPath": _POLICY_DIRECTORY, "readOnly": True},
            {"name": "last-good", "mountPath": _LAST_GOOD_DIRECTORY},
        ],
    }


def _probe(path: str, *, period: int, failures: int) -> Document:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period,
        "failureThreshold": failures,
    }
