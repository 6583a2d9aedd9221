"""The model of the mesh and a real Envoy agree on random requests to random documents.

Set ``DIFFERENTIAL_SEED`` for other documents, and ``DIFFERENTIAL_DOCUMENTS`` for more.
"""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from meshcors.mesh import Gateway
from tests import mesh_generator
from tests.e2e.mesh_wire import Case, expect, observe

REQUESTS = 50
# One Envoy serves this many documents, each with its own listener.
BATCH = 100
KINDS = ("no_route", "cors", "forward", "direct_response", "redirect")


@pytest.fixture(scope="module")
def seed() -> int:
    return int(os.environ.get("DIFFERENTIAL_SEED", "20261"))


def test_model_and_envoy_agree(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    documents = int(os.environ.get("DIFFERENTIAL_DOCUMENTS", "80"))
    count, kinds = 0, dict.fromkeys(KINDS, 0)
    for first in range(0, documents, BATCH):
        numbers = range(first, min(first + BATCH, documents))
        # Each document has its own generator, so more documents do not change the first ones.
        specs = {
            f"d{number}": mesh_generator.spec(random.Random(f"{seed}-{number}"), REQUESTS)
            for number in numbers
        }
        gateways = {name: Gateway.from_yaml(spec.text, file=name) for name, spec in specs.items()}
        cases = [
            Case(gateway=name, **made) for name, spec in specs.items() for made in spec.requests
        ]
        seen = asyncio.run(observe(gateways, mesh_generator.DESTINATIONS, cases))
        for case, real in zip(cases, seen, strict=True):
            model = expect(gateways[case.gateway], case, real["destination"])
            assert model == real, f"{case}\n{specs[case.gateway].text}"
            kinds[gateways[case.gateway].handle(case.request).kind] += 1
            count += 1
    with capsys.disabled():
        print(f"\nmodel and Envoy agree on {count} requests to {documents} documents: {kinds}")
    assert count >= REQUESTS * min(documents, 60)
    assert all(kinds.values()), "the generator no longer reaches every kind of answer"
