"""The routes of the Kubernetes examples in a real Envoy, in front of a pod with their policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshcors.mesh.envoy import bootstrap
from tests.dummy_process import Answer, request, running
from tests.e2e.envoy import running_envoy
from tests.test_kubernetes import BASE, OVERLAYS, UI, gateway, relative, with_paths

HOST = {"Host": "api.example.com", "Origin": UI}
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,model-api-key",
}
# The pod's service, as a VirtualService and as an HTTPRoute names it.
POD = ("meshcors-dummy.meshcors.svc.cluster.local:8080", "meshcors-dummy:8080")


class Overlay:
    """A gateway with an overlay's routes, and without any model behind it."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, headers: dict[str, str]) -> Answer:
        return request(("127.0.0.1", self._port), method, "/v1/chat", HOST | headers)


@pytest.fixture(params=OVERLAYS, ids=relative, scope="module")
def overlay(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Overlay]:
    policy = tmp_path_factory.mktemp("policy") / "policy.yaml"
    policy.write_text(
        BASE["ConfigMap", "meshcors-dummy-policy"]["data"][policy.name], encoding="utf-8"
    )
    with running(policy=with_paths(policy)) as pod:
        routes = bootstrap({"public": gateway(Path(request.param))}, dict.fromkeys(POD, pod.port))
        with running_envoy(routes) as envoy:
            yield Overlay(envoy.port)


def test_a_preflight_is_answered_by_the_pod(overlay: Overlay) -> None:
    answer = overlay.ask("OPTIONS", ASKED)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == UI
    assert "model-api-key" in answer.headers["access-control-allow-headers"]


def test_a_foreign_page_is_refused(overlay: Overlay) -> None:
    answer = overlay.ask("OPTIONS", {**ASKED, "Origin": "https://evil.example"})
    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        pytest.param({}, 401, "key_missing", id="no-key"),
        pytest.param({"model-api-key": "nobody"}, 404, "no_route", id="unmatched-key"),
    ],
)
def test_a_request_without_a_service_is_told_so_readably(
    overlay: Overlay, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = overlay.ask("POST", headers)
    assert (answer.status, json.loads(answer.body)["reason"]) == (status, reason)
    assert answer.headers["access-control-allow-origin"] == UI


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_a_known_key_goes_to_its_model(overlay: Overlay, method: str) -> None:
    # Envoy's own answer for a service that does not exist.
    assert overlay.ask(method, {"model-api-key": "xyz"}).status == 503
