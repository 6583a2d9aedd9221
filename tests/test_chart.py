"""The Helm chart writes what kustomize writes, for equal settings."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.e2e.parts import need_kubernetes_program
from tests.test_cluster_policies import Place
from tests.test_kubernetes import BASE, EXAMPLES, NAMESPACE, OVERLAYS, ROOT, rendered

EVERYTHING = {"monitoring": {"enabled": True}, "namespace": {"create": True}}


def helm(*arguments: str, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    program = need_kubernetes_program("helm")
    return subprocess.run(
        [program, *arguments, "--namespace", NAMESPACE, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )


def template(values: dict[str, Any]) -> dict[tuple[str, str], Any]:
    done = helm("template", "release", str(EXAMPLES), values=values)
    assert (done.returncode, done.stderr) == (0, "")
    found = list(YAML(typ="safe", pure=True).load_all(done.stdout))
    by_name = {(each["kind"], each["metadata"]["name"]): each for each in found}
    assert len(by_name) == len(found)
    return by_name


@pytest.mark.parametrize(
    "place", [Place("istio-system"), Place("ingress", "observability")], ids=["as-it-is", "moved"]
)
@pytest.mark.parametrize("name", [top.name for top in OVERLAYS])
def test_the_chart_writes_what_kustomize_writes(name: str, place: Place) -> None:
    documents = place.documents(EXAMPLES / "overlays" / name)
    expected = {(each["kind"], each["metadata"]["name"]): each for each in documents}
    gateway = {"namespace": place.gateway, "podsNamespace": place.gateway}
    values = {"overlay": name, **EVERYTHING, "gateway": gateway}
    values["monitoring"] = {"enabled": True, "namespace": place.prometheus}
    assert template(values) == expected


@pytest.mark.parametrize("name", [top.name for top in OVERLAYS])
def test_without_a_place_of_the_gateways_pods_it_is_the_overlays(name: str) -> None:
    documents = rendered(EXAMPLES / "overlays" / name).values()
    expected = [each for each in documents if each["kind"] == "NetworkPolicy"]
    found = template({"overlay": name})
    assert [found["NetworkPolicy", each["metadata"]["name"]] for each in expected] == expected


def test_the_values_have_their_place() -> None:
    values = {
        "image": {"repository": "registry.example/pod", "tag": "1.2"},
        "policy": "corsPolicy: {allowOrigins: [https://ui.example]}",
        "hosts": ["models.example"],
        "gateway": {"name": "edge"},
        "keyHeader": "x-key",
        "services": {"abc": None, "xyz": None, "one": {"host": "one.web", "port": 81}},
    }
    found = template(values)
    assert not [kind for kind, _ in found if kind in ("Namespace", "PrometheusRule")]
    (container,) = found["Deployment", "meshcors-dummy"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/pod:1.2"
    assert found["ConfigMap", "meshcors-dummy-policy"]["data"]["policy.yaml"] == values["policy"]
    spec = found["VirtualService", "models"]["spec"]
    assert (spec["hosts"], spec["gateways"]) == (["models.example"], ["istio-system/edge"])
    assert [rule["name"] for rule in spec["http"]] == ["preflights", "one", "unmatched"]
    assert spec["http"][1] == {
        "name": "one",
        "match": [{"headers": {"x-key": {"exact": "one"}}}],
        "route": [{"destination": {"host": "one.web", "port": {"number": 81}}}],
    }
    alone = template({"overlay": "none"})
    assert alone.keys() == BASE.keys()


def test_retries_are_for_the_gateway_and_the_route_of_the_release() -> None:
    gateway = {"namespace": "ingress", "name": "edge", "retries": True}
    found = template({"overlay": "istio-ambient", "gateway": gateway})
    (expected,) = rendered(EXAMPLES / "istio-retries").values()
    expected["metadata"]["namespace"] = "ingress"
    expected["spec"]["targetRefs"][0]["name"] = "edge"
    assert found["EnvoyFilter", "meshcors-dummy-retries"] == expected
    assert len(found) == len(template({"overlay": "istio-ambient"})) + 1


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"overlay": "linkerd"}, "/overlay"),
        ({"image": {"tag": 1}}, "/image/tag"),
        ({"hosts": []}, "/hosts"),
        ({"gateway": {"retries": True}}, "/overlay"),
        ({"gateway": {"name": "A b"}}, "/gateway/name"),
        ({"services": {"xyz": {"host": "xyz"}}, "service": {}}, "'service'"),
        ({"services": {"xyz": {"port": "http"}}}, "/services/xyz/port"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], place: str) -> None:
    done = helm("template", "release", str(EXAMPLES), values=values)
    assert done.returncode != 0
    assert place in done.stderr


def test_helm_finds_nothing_wrong_with_the_chart() -> None:
    done = helm("lint", "--strict", str(EXAMPLES), values=EVERYTHING)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_charts_versions_are_the_projects() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"', project, re.MULTILINE)
    assert version
    yaml = YAML(typ="safe", pure=True)
    chart = yaml.load((EXAMPLES / "Chart.yaml").read_text(encoding="utf-8"))
    values = yaml.load((EXAMPLES / "values.yaml").read_text(encoding="utf-8"))
    assert {chart["version"], chart["appVersion"], values["image"]["tag"]} == {version[1]}
