"""``meshcors render``: every projection of a policy is valid, and says what the policy says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import kubernetes_validate
import pytest
from cloudcoil.models.istio.networking.v1 import VirtualService
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meshcors import Policy
from meshcors._cli import run
from meshcors._policy.rules import Rule, RuleMap, RuleSet
from meshcors.config import from_environment, from_file, rules_from_file
from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh._render.projection import http_routes, virtual_services

EXAMPLES = Path(__file__).parent.parent / "examples" / "kubernetes" / "base"
POD = "meshcors-dummy:8080"
ONE = {
    "corsPolicy": {
        "allowOrigins": ["https://ui.example", "https://*.apps.example", "http://localhost:*"],
        "allowMethods": ["PUT"],
        "allowHeaders": ["authorization"],
        "exposeHeaders": ["x-request-id"],
        "allowCredentials": True,
        "maxAge": "10m",
    },
    "key": {"header": "model-api-key"},
}
SEVERAL = {
    "rules": [
        {"hosts": ["api.example.com"], "pathPrefix": "/v1", **ONE},
        {"hosts": ["*.example.com"], "corsPolicy": {"allowOrigins": ["https://admin.example"]}},
        {"corsPolicy": {"allowOrigins": ["*"]}},
    ]
}
REFUSING = {"uncovered": "refuse", "rules": [{"pathPrefix": "/v1", **ONE}]}
FORMS = ("virtualservice", "httproute", "kubernetes", "policy")


@pytest.fixture
def config(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(getattr(request, "param", ONE)))
    return str(path)


def rendered(config: str, form: str, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert run(["render", "--config", config, "--to", form, *flags]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


def documents(text: str) -> list[dict[str, object]]:
    return list(YAML(typ="safe", pure=True).load_all(text))


@pytest.mark.parametrize("config", [ONE, SEVERAL], indirect=True, ids=["one", "several"])
@pytest.mark.parametrize("form", FORMS)
def test_the_same_policy_is_rendered_the_same(
    config: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = rendered(config, form, capsys)
    assert rendered(config, form, capsys) == first
    assert "&" not in first


@pytest.mark.parametrize("config", [ONE, SEVERAL], indirect=True, ids=["one", "several"])
@pytest.mark.parametrize("way", ["pod", "both"])
def test_virtual_services_are_valid(
    config: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = rendered(config, "virtualservice", capsys, "--with", way, "--gateway", "public")
    for document in documents(text):
        VirtualService.model_validate(document)
    assert ("corsPolicy" in text) == (way == "both")
    assert Gateway.from_yaml(text).names == ("default/public",)


@pytest.mark.parametrize("config", [ONE, SEVERAL], indirect=True, ids=["one", "several"])
def test_kubernetes_objects_are_valid(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    for document in documents(rendered(config, "kubernetes", capsys)):
        kubernetes_validate.validate(document, "1.30", strict=True)


def test_the_deployment_is_the_example_s(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--name", "meshcors")
    _, deployment, service = documents(rendered(config, "kubernetes", capsys, *flags))
    (example,) = documents((EXAMPLES / "deployment.yaml").read_text())
    pod = example["spec"]["template"]  # type: ignore[index]
    # what only a cluster with a mesh needs
    del pod["metadata"]["annotations"]
    del pod["spec"]["serviceAccountName"]
    assert deployment == example
    assert [service] == documents((EXAMPLES / "service.yaml").read_text())


@pytest.mark.parametrize(
    "config", [ONE, SEVERAL, REFUSING], indirect=True, ids=["one", "several", "uncovered"]
)
def test_the_policy_comes_back(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = rules_from_file(config)
    again = tmp_path / "again.yaml"
    again.write_text(rendered(config, "policy", capsys))
    assert rules_from_file(again) == wanted
    config_map, *_ = documents(rendered(config, "kubernetes", capsys))
    again.write_text(config_map["data"]["policy.yaml"])  # type: ignore[index]
    assert rules_from_file(again) == wanted


def test_the_variables_come_back(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = rendered(config, "env", capsys).splitlines()
    variables = dict(shlex.split(line)[0].split("=", 1) for line in lines)
    assert from_environment(variables) == from_file(config)


@pytest.mark.parametrize("config", [SEVERAL], indirect=True, ids=["several"])
def test_variables_hold_no_rules(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "--config", config, "--to", "env"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_key_values_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "keys").write_text("never-shown\n")
    path = tmp_path / "policy.json"
    key = {"header": "model-api-key", "valuesFile": "keys"}
    path.write_text(json.dumps({**ONE, "key": key}))
    for form in (*FORMS, "env"):
        assert run(["render", "--config", str(path), "--to", form]) == 0
        said = capsys.readouterr()
        assert said.err == "note: the key's values are left out\n"
        assert "never-shown" not in said.out


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        pytest.param(
            ["--config", "missing.json", "--to", "env"], "--config: No such file", id="no-file"
        ),
        pytest.param(["--config", "CONFIG", "--to", "xml"], "xml", id="no-such-form"),
        pytest.param(["--config", "CONFIG", "--to", "env", "--pod", "x"], "host:port", id="pod"),
        pytest.param(["--to", "env"], "--config", id="no-config"),
    ],
)
def test_a_mistake_is_one_line(
    flags: list[str], line: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", *(config if flag == "CONFIG" else flag for flag in flags)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert line in said.err


HOSTS = st.sampled_from(["api.example.com", "ui.example.com", "*.example.com", "other.example"])
RULES = st.lists(
    st.tuples(
        st.none() | st.lists(HOSTS, min_size=1, max_size=2, unique=True),
        st.sampled_from(["/", "/v1", "/v1/x", "/v2"]),
    ),
    min_size=1,
    max_size=4,
)


@given(
    RULES,
    st.sampled_from(["api.example.com", "x.example.com", "other.example", "else.test"]),
    st.sampled_from(["/", "/v1", "/v1/", "/v1x", "/v1/x/y", "/v2/z"]),
)
def test_the_mesh_sends_to_the_pod_what_the_rules_cover(
    shapes: list[tuple[list[str] | None, str]], host: str, path: str
) -> None:
    policy = Policy(allow_origins=["https://ui.example"])
    kept: list[Rule] = []
    for hosts, prefix in shapes:
        try:
            rules = RuleSet([*kept, Rule(policy, hosts=hosts, path_prefix=prefix)])
        except ValueError:  # a rule that no URL reaches
            continue
        kept = list(rules.rules)
    rules = RuleSet(kept)
    named = {"name": "pod", "gateway": "public", "pod": ("meshcors-dummy", 8080)}
    asks = [("origin", "https://ui.example"), ("access-control-request-method", "PUT")]
    covered = RuleMap(rules, range(len(kept)), -1, -1).find(host.encode(), path) != -1
    for made in (virtual_services(rules, **named, way="pod"), http_routes(rules, **named)):
        gateway = Gateway.from_yaml("\n---\n".join(map(json.dumps, made)))
        for method, headers in (("OPTIONS", asks), ("POST", [])):
            answer = gateway.handle(GatewayRequest(method, host, path, headers))
            assert answer.destination == (POD if covered else None)
