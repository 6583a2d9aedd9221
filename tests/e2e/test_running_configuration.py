"""What the model reads from a real Envoy's own config dump is what that Envoy does.

Set ``RUNNING_SEED`` for other configurations, and ``RUNNING_CONFIGURATIONS`` for more.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

from meshcors.mesh import Gateway
from meshcors.mesh._envoy.reading import read_envoy
from meshcors.mesh._envoy.running_routes import running_routes
from meshcors.mesh.envoy import bootstrap
from tests import envoy_generator, mesh_generator
from tests.e2e.mesh_wire import LOG_FORMAT, PORT, Case, expect, observe_configuration

SEED = os.environ.get("RUNNING_SEED", "1")
CONFIGURATIONS = int(os.environ.get("RUNNING_CONFIGURATIONS", "60"))
REQUESTS = 40


def test_a_plain_envoy_is_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    managers: dict[str, Any] = {}
    cases: list[Case] = []
    for number in range(CONFIGURATIONS):
        rng = random.Random(f"{SEED}-{number}")
        name = f"g{number}"
        managers[name] = envoy_generator.manager(rng, name, LOG_FORMAT)
        cases += [Case(name, **envoy_generator.request(rng)) for _ in range(REQUESTS)]
    seen, dump = asyncio.run(
        observe_configuration(
            lambda ports: envoy_generator.bootstrap(managers, dict(ports)),
            envoy_generator.CLUSTERS,
            cases,
        )
    )
    kinds = _compare(_gateways(dump), cases, seen)
    with capsys.disabled():
        print(f"\nmodel and Envoy agree on {len(cases)} requests to its own config dump: {kinds}")
    assert len(cases) >= 2000
    assert len(kinds) == 5, "the generator no longer reaches every kind of answer"


def test_istios_translation_is_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    specs = {f"d{n}": mesh_generator.spec(random.Random(f"{SEED}-{n}"), 25) for n in range(40)}
    gateways = {name: Gateway.from_yaml(spec.text, file=name) for name, spec in specs.items()}
    cases = [Case(gateway=name, **made) for name, spec in specs.items() for made in spec.requests]
    seen, dump = asyncio.run(
        observe_configuration(
            lambda ports: bootstrap(gateways, ports, port=PORT, log_format=LOG_FORMAT),
            mesh_generator.DESTINATIONS,
            cases,
        )
    )
    kinds = _compare(_gateways(dump), cases, seen)
    with capsys.disabled():
        print(f"\nmodel and Envoy agree on {len(cases)} requests to Istio's translation: {kinds}")


def _gateways(dump: str) -> dict[str, Gateway]:
    """Return the gateway of each listener in a dump."""
    read = read_envoy(dump, "config_dump")
    assert read is not None
    documents, problems = running_routes([read])
    assert not problems
    by_listener = {it.connection.name: it for it in documents}
    return {name: Gateway.of((document,)) for name, document in by_listener.items()}


def _compare(
    gateways: dict[str, Gateway], cases: list[Case], seen: list[dict[str, Any]]
) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for case, real in zip(cases, seen, strict=True):
        gateway = gateways[case.gateway]
        answer = gateway.handle(case.request)
        assert not answer.doubts
        model = expect(gateway, case, real["destination"])
        if model["rule"] and " virtual_hosts[" in model["rule"]:
            model["rule"] = None  # Envoy's log has no name for this route
        if answer.kind != "forward" and case.request.value("content-type"):
            # to a gRPC client Envoy's own answers are 200, with the status in a trailer
            model |= {"status": real["status"], "body": real["body"]}
        assert model == real, f"{case} {answer.rule} {answer.place}"
        kinds[answer.kind] = kinds.get(answer.kind, 0) + 1
    return kinds
