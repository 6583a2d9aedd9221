"""Rendered documents beside a model's own, on a real Envoy: they take nothing from the model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from meshcors._cli import run
from meshcors.mesh import Gateway
from tests.e2e.mesh_wire import Case, expect, observe

POLICY = {
    "rules": [
        {
            "pathPrefix": "/v1",
            "corsPolicy": {"allowOrigins": ["https://ui.example"]},
            "key": {"header": "model-api-key"},
        }
    ]
}
# A model that is picked by its key alone.
MODELS: dict[str, dict[str, Any]] = {
    "httproute": {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "spec": {
            "parentRefs": [{"name": "gateway"}],
            "rules": [
                {
                    "matches": [{"headers": [{"name": "model-api-key", "value": "xyz"}]}],
                    "backendRefs": [{"name": "model", "port": 8000}],
                }
            ],
        },
    },
    "virtualservice": {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "spec": {
            "hosts": ["*"],
            "gateways": ["gateway"],
            "http": [
                {
                    "match": [{"headers": {"model-api-key": {"exact": "xyz"}}}],
                    "route": [{"destination": {"host": "model", "port": {"number": 8000}}}],
                }
            ],
        },
    },
}
KEY, WRONG_KEY = ("model-api-key", "xyz"), ("model-api-key", "abc")
ORIGIN = ("origin", "https://ui.example")
ASKED = (("access-control-request-method", "POST"), ("access-control-request-headers", KEY[0]))
MODEL, POD = "model:8000", "meshcors-dummy:8080"
CALLS: list[tuple[str, str, tuple[tuple[str, str], ...], str]] = [
    ("POST", "/v1/chat", (KEY,), MODEL),
    ("POST", "/v1/chat", (ORIGIN, KEY), MODEL),
    ("OPTIONS", "/v1/chat", (ORIGIN, KEY), MODEL),
    ("POST", "/elsewhere", (ORIGIN, KEY), MODEL),
    ("OPTIONS", "/v1/chat", (ORIGIN, *ASKED), POD),
    ("POST", "/v1/chat", (ORIGIN, WRONG_KEY), POD),
    ("POST", "/v1/chat", (ORIGIN,), POD),
    ("GET", "/elsewhere", (), POD),
]


@pytest.mark.parametrize("form", MODELS)
def test_a_model_keeps_its_calls(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "policy.json"
    config.write_text(json.dumps(POLICY))
    command = ["render", "--config", str(config), "--to", form, "--gateway", "gateway"]
    assert run(command) == 0
    rendered = capsys.readouterr().out
    other = tmp_path / "model.json"
    other.write_text(json.dumps({**MODELS[form], "metadata": {"name": "model"}}))
    assert run([*command, "--beside", str(other)]) == 0
    assert capsys.readouterr() == (rendered, "")
    # Whichever is older, and whichever comes first by name.
    gateways = {}
    for at, (name, created) in enumerate(
        [("a", "2020-01-01T00:00:00Z"), ("z", "2040-01-01T00:00:00Z"), ("a", ""), ("z", "")]
    ):
        metadata = {"name": name, **({"creationTimestamp": created} if created else {})}
        model = json.dumps({**MODELS[form], "metadata": metadata})
        ours, *_ = YAML(typ="safe", pure=True).load_all(rendered)
        if created:
            ours["metadata"]["creationTimestamp"] = "2030-01-01T00:00:00Z"
        gateways[f"order-{at}"] = Gateway.from_yaml(f"{model}\n---\n{json.dumps(ours)}")
    cases = [
        Case(gateway, method, "api.example", path, headers)
        for gateway in gateways
        for method, path, headers, _ in CALLS
    ]
    names = sorted({_destination(gateways[case.gateway], case) for case in cases})
    seen = asyncio.run(observe(gateways, names, cases))
    for case, result in zip(cases, seen, strict=True):
        gateway = gateways[case.gateway]
        assert result == expect(gateway, case, result["destination"])
    wanted = [wanted for _, _, _, wanted in CALLS] * len(gateways)
    assert [result["destination"] for result in seen] == wanted


def _destination(gateway: Gateway, case: Case) -> str:
    return str(gateway.handle(case.request).destination)
