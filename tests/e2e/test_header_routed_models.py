"""The case it began with: models behind one URL, picked by a header, called from a browser's page.

A real Envoy carries the VirtualService. First as it was, then with the corsPolicy its author tried,
then with the preflight pod; and the services again without a mesh, which must behave the same.
"""

from __future__ import annotations

import http.client
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from meshcors.mesh import Gateway
from meshcors.mesh.envoy import bootstrap
from tests.e2e.envoy import running_envoy
from tests.e2e.services import KEY_HEADER, ORIGIN, Services, running_services

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent.parent / "data"

PREFLIGHT = (
    "OPTIONS",
    {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": f"content-type,{KEY_HEADER}",
    },
)
REQUESTS = {
    "preflight": PREFLIGHT,
    "xyz": ("POST", {KEY_HEADER: "xyz"}),
    "abc": ("POST", {KEY_HEADER: "abc"}),
    "wrong": ("POST", {KEY_HEADER: "guess"}),
    "missing": ("POST", {}),
}


class Outcome(NamedTuple):
    """What a page gets: the status, the origin it is readable for, and what the body says."""

    status: int
    readable_by: str | None
    says: str | None


NO_ROUTE = Outcome(404, None, None)
MODEL_XYZ = Outcome(200, ORIGIN, "xyz")
MODEL_ABC = Outcome(200, ORIGIN, "abc")
PREFLIGHT_OK = Outcome(204, ORIGIN, None)
KEY_MISSING = Outcome(401, ORIGIN, "key_missing")
KEY_UNKNOWN = Outcome(403, ORIGIN, "key_unknown")

# virtual service -> request -> outcome, through the gateway
THROUGH_THE_MESH = {
    "before": {
        "preflight": NO_ROUTE,
        "xyz": Outcome(200, None, "xyz"),
        "abc": NO_ROUTE,
        "wrong": NO_ROUTE,
        "missing": NO_ROUTE,
    },
    # The policy is on the rule that a preflight never reaches; it only marks xyz's own answer.
    "original": {
        "preflight": NO_ROUTE,
        "xyz": MODEL_XYZ,
        "abc": NO_ROUTE,
        "wrong": NO_ROUTE,
        "missing": NO_ROUTE,
    },
    "with_pod": {
        "preflight": PREFLIGHT_OK,
        "xyz": MODEL_XYZ,
        "abc": MODEL_ABC,
        "wrong": Outcome(404, ORIGIN, "no_route"),
        "missing": KEY_MISSING,
    },
}
# service -> request -> outcome, without a mesh
STRAIGHT = {
    "fastapi": {
        "preflight": PREFLIGHT_OK,
        "xyz": MODEL_XYZ,
        "abc": KEY_UNKNOWN,
        "wrong": KEY_UNKNOWN,
        "missing": KEY_MISSING,
    },
    "flask": {
        "preflight": PREFLIGHT_OK,
        "xyz": KEY_UNKNOWN,
        "abc": MODEL_ABC,
        "wrong": KEY_UNKNOWN,
        "missing": KEY_MISSING,
    },
}


def call(port: int, name: str) -> Outcome:
    method, headers = REQUESTS[name]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, "/v1/predict", headers={"Origin": ORIGIN, **headers})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    allowed = answer.headers.get_all("access-control-allow-origin") or [None]
    assert len(allowed) == 1, f"{name}: one allow-origin, not {allowed}"
    says = json.loads(body) if body.startswith(b"{") else {}
    return Outcome(answer.status, allowed[0], says.get("model") or says.get("reason"))


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with running_services() as started:
        yield started


@pytest.fixture(scope="module")
def gateway_ports(services: Services) -> Iterator[dict[str, int]]:
    """The port of a real Envoy for each of the three VirtualServices."""
    with ExitStack() as started:
        ports = {}
        for name in THROUGH_THE_MESH:
            text = (DATA / f"virtualservice_{name}.yaml").read_text()
            xyz = services.fastapi if name == "with_pod" else services.bare
            config = bootstrap({name: Gateway.from_yaml(text)}, services.upstreams(xyz=xyz))
            ports[name] = started.enter_context(running_envoy(config)).port
        yield ports


@pytest.mark.parametrize(
    ("virtual_service", "request_name", "outcome"),
    [
        pytest.param(name, request, outcome, id=f"{name}-{request}")
        for name, outcomes in THROUGH_THE_MESH.items()
        for request, outcome in outcomes.items()
    ],
)
def test_through_a_real_envoy(
    gateway_ports: dict[str, int], virtual_service: str, request_name: str, outcome: Outcome
) -> None:
    assert call(gateway_ports[virtual_service], request_name) == outcome


@pytest.mark.parametrize(
    ("service", "request_name", "outcome"),
    [
        pytest.param(name, request, outcome, id=f"{name}-{request}")
        for name, outcomes in STRAIGHT.items()
        for request, outcome in outcomes.items()
    ],
)
def test_straight_to_a_service(
    services: Services, service: str, request_name: str, outcome: Outcome
) -> None:
    assert call(getattr(services, service), request_name) == outcome


def test_the_pod_and_the_services_answer_a_preflight_alike(services: Services) -> None:
    def fields(port: int) -> set[tuple[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            method, headers = PREFLIGHT
            connection.request(method, "/v1/predict", headers={"Origin": ORIGIN, **headers})
            sent = connection.getresponse().getheaders()
        finally:
            connection.close()
        return {(name.lower(), value) for name, value in sent} - _of_the_server(sent)

    answers = [fields(port) for port in (services.pod, services.fastapi, services.flask)]
    assert answers[0] == answers[1] == answers[2]
    assert ("access-control-allow-origin", ORIGIN) in answers[0]


def _of_the_server(fields: list[tuple[str, str]]) -> set[tuple[str, str]]:
    own = {"date", "server", "connection", "transfer-encoding"}
    return {(name.lower(), value) for name, value in fields if name.lower() in own}
