"""The pod as Kubernetes objects: the policy's ConfigMap, a Deployment and a Service. Plain data.

The smallest that a cluster should run; ``examples/kubernetes`` adds to it what is a cluster's own
(disruption budget, autoscaling, network policy, monitoring).
"""

from __future__ import annotations

from typing import Any, Final

_USER: Final = 65532
_POLICY_DIRECTORY: Final = "/etc/meshcors"


def kubernetes(policy: str, *, name: str, port: int, image: str) -> list[dict[str, Any]]:
    """Return the objects, called `name`; `policy` is the text of the policy file (YAML).

    The Service has the port `port`; the pod listens on 8080 and has its admin port on 9090.
    """
    labels = {"app.kubernetes.io/name": name}

    def metadata(called: str) -> dict[str, Any]:
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
            # The name tells Istio the protocol.
            "ports": [{"name": "http", "port": port, "targetPort": "http"}],
        },
    }
    return [config_map, deployment, service]


def _pod_spec(name: str, image: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        # Else a Service's variables would stand beside the pod's own, MESHCORS_*.
        "enableServiceLinks": False,
        # Longer than --drain, so that the pod ends by itself.
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


def _container(name: str, image: str) -> dict[str, Any]:
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
            # No limit on CPU: throttling would cost every browser's call.
            "limits": {"memory": "128Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # The directory, not a subPath: only a directory follows the ConfigMap.
        "volumeMounts": [{"name": "policy", "mountPath": _POLICY_DIRECTORY, "readOnly": True}],
    }


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period,
        "failureThreshold": failures,
    }
