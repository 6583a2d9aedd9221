"""The named cases of the mesh on a real Envoy: the table that the model is tested with too."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from meshcors.mesh import Gateway
from meshcors.mesh.envoy import bootstrap
from tests.e2e.envoy import validate
from tests.e2e.mesh_wire import Case, observe
from tests.mesh_cases import ALLOW, CASES, UI, MeshCase, to, vs


@pytest.fixture(scope="module")
def seen() -> dict[str, dict[str, Any]]:
    """What one Envoy does with every case, by the case's id."""
    gateways = {case.id: Gateway.from_yaml(case.text, file=case.id) for case in CASES}
    destinations = {case.destination for case in CASES if case.destination}
    wire = [
        Case(case.id, case.method, case.host, case.path, case.headers, case.answer)
        for case in CASES
    ]
    results = asyncio.run(observe(gateways, sorted(destinations), wire))
    return {case.id: result for case, result in zip(CASES, results, strict=True)}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_envoy_does_the_same(case: MeshCase, seen: dict[str, dict[str, Any]]) -> None:
    real = seen[case.id]
    assert real["rule"] == case.rule
    assert real["destination"] == case.destination
    assert real["status"] == case.status
    assert tuple(real["headers"]) == case.seen
    if case.forwarded_path is not None:
        assert (real["path"], real["host"]) == (case.forwarded_path, case.forwarded_host)


def test_a_service_that_is_not_there_answers_503_with_the_policys_headers() -> None:
    gateways = {"main": Gateway.from_yaml(vs(f"{{corsPolicy: {{{ALLOW}}}, {to()}}}"))}
    (real,) = asyncio.run(observe(gateways, [], [Case("main", "GET", "a", "/", (("origin", UI),))]))
    answer = gateways["main"].handle(Case("main", "GET", "a", "/", (("origin", UI),)).request)
    assert real["status"] == 503
    assert real["headers"] == answer.response_headers([])


def test_the_bootstrap_of_a_bad_regex_is_refused_by_envoy_too() -> None:
    config = bootstrap(
        {"main": Gateway.from_yaml(vs(f"{{match: [{{uri: {{regex: /a}}}}], {to()}}}"))}, {}
    )
    assert validate(config) is None
    text = json.dumps(config).replace('"regex": "/a"', '"regex": "("')
    assert "missing )" in (validate(json.loads(text)) or "")
