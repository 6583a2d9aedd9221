"""How a gateway treats the pod so that a page never notices a pod that dies, hangs or is replaced.

A preflight has no body and no effect, so it may be sent again. The pod answers in well under a
millisecond: one that has not answered after `_TRY` hangs. A retry may meet the same dead pod again,
because Envoy looks only a few times for another one, and it takes up to a second to leave it out.
Therefore it is tried four times. ``tests/e2e/test_pod_rollout.py`` holds these numbers against a
real Envoy.
"""

from __future__ import annotations

from typing import Any, Final

TIMEOUT: Final = "2s"
_TRY: Final = "500ms"
_RETRIES: Final = 4
# For a rule of a VirtualService: what Istio's own default leaves out is reset and gateway-error.
_RETRY_ON: Final = "connect-failure,refused-stream,reset,gateway-error"


def virtual_service_traffic() -> dict[str, Any]:
    """Return the ``timeout`` and the ``retries`` of a VirtualService's rule for preflights."""
    return {
        "timeout": TIMEOUT,
        "retries": {"attempts": _RETRIES, "perTryTimeout": _TRY, "retryOn": _RETRY_ON},
    }


def http_route_traffic() -> dict[str, Any]:
    """Return the ``timeouts`` of an HTTPRoute's rule for preflights.

    The API's ``retry`` is in the experimental channel, and what Istio and Envoy Gateway make of it
    covers neither a connection that breaks nor a pod that hangs. Without it both take a
    ``backendRequest`` for the timeout of the whole request, so that is left out.
    """
    return {"timeouts": {"request": TIMEOUT}}


def backend_traffic() -> dict[str, Any]:
    """Return what Envoy Gateway's BackendTrafficPolicy says for an HTTPRoute to the pod.

    It is what `virtual_service_traffic` and `traffic_policy` say to Istio, but the timeout, which
    the HTTPRoute has.
    """
    policy = traffic_policy()
    outliers = dict(policy["outlierDetection"])
    return {
        "loadBalancer": {"type": "RoundRobin"},
        "retry": {
            "numRetries": _RETRIES,
            "perRetry": {"timeout": _TRY},
            "retryOn": {"triggers": _RETRY_ON.split(",")},
        },
        "timeout": {
            "tcp": dict(policy["connectionPool"]["tcp"]),
            "http": {"connectionIdleTimeout": policy["connectionPool"]["http"]["idleTimeout"]},
        },
        "healthCheck": {
            "passive": {"consecutive5XxErrors": outliers.pop("consecutive5xxErrors"), **outliers}
        },
    }


def traffic_policy() -> dict[str, Any]:
    """Return the ``trafficPolicy`` of the pod's DestinationRule."""
    return {
        # By default Envoy prefers the pod with the fewest requests: a dead one, until it is out.
        "loadBalancer": {"simple": "ROUND_ROBIN"},
        "connectionPool": {
            "tcp": {"connectTimeout": "1s"},
            # Below the pod's --keep-alive, so that the gateway closes a connection first.
            "http": {"idleTimeout": "60s"},
        },
        "outlierDetection": {
            "consecutive5xxErrors": 3,
            "consecutiveGatewayErrors": 3,
            "interval": "1s",
            "baseEjectionTime": "5s",
            # Never more than half of the pods.
            "maxEjectionPercent": 50,
        },
    }
