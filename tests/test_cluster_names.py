"""What the manifests, `render` and `fix` write fits together when it is applied as it is."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from meshcors._cli import run
from meshcors.mesh._analysis.pod_traffic import virtual_service_traffic
from tests.cluster_names import Applied, Document
from tests.test_kubernetes import EXAMPLES, OVERLAYS, ROOT, relative, rendered

DATA = ROOT / "tests" / "data"
CONFIG = str(DATA / "policy.yaml")
# Where the examples' models are.
MODELS = ("models",)


def together(top: Path) -> list[Document]:
    return [*rendered(top).values(), *rendered(EXAMPLES / "monitoring").values()]


def load_all(text: str) -> list[Document]:
    return list(YAML(typ="safe", pure=True).load_all(text))


@pytest.mark.parametrize("top", OVERLAYS, ids=relative)
def test_an_overlay_and_the_monitoring_have_no_loose_end(top: Path) -> None:
    assert Applied(together(top), foreign=MODELS).loose_ends() == []


SIDECAR = EXAMPLES / "overlays" / "istio-sidecar"


def change(kind: str, *path: str | int, to: Any) -> Callable[[list[Document]], None]:
    """Replace what is at a path in the first document of a kind."""

    def made(documents: list[Document]) -> None:
        node: Any = next(each for each in documents if each["kind"] == kind)
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = to

    return made


POD = ("spec", "template", "spec")
BREAKS = {
    "selector": change("Service", "spec", "selector", to={"app.kubernetes.io/name": "other"}),
    "target port": change("Service", "spec", "ports", 0, "targetPort", to="web"),
    "service name": change("Service", "metadata", "name", to="other"),
    "service port": change("Service", "spec", "ports", 0, "port", to=80),
    "namespace": change("Service", "metadata", "namespace", to="other"),
    "service account": change("ServiceAccount", "metadata", "name", to="other"),
    "config map": change("ConfigMap", "metadata", "name", to="other"),
    "policy file": change("ConfigMap", "data", to={"other.yaml": ""}),
    "volume": change("Deployment", *POD, "volumes", 1, "name", to="other"),
    "image": change("Deployment", *POD, "containers", 0, "image", to="meshcors"),
    "flag": change("Deployment", *POD, "containers", 0, "ports", 0, "containerPort", to=80),
    "replicas": change("Deployment", "spec", "replicas", to=2),
    "container": change("Deployment", *POD, "containers", 0, "name", to="other"),
    "deployment": change("Deployment", "metadata", "name", to="other"),
    "disruption": change("PodDisruptionBudget", "spec", "selector", "matchLabels", to={"a": "b"}),
    "destination": change("DestinationRule", "spec", "host", to="other"),
    "dotted host": change("DestinationRule", "spec", "host", to="meshcors-dummy.web"),
    "who may call": change(
        "AuthorizationPolicy", "spec", "rules", 0, "to", 0, "operation", "ports", to=["80"]
    ),
    "monitor": change("ServiceMonitor", "spec", "endpoints", 0, "port", to="web"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_loose_end_is_found(name: str) -> None:
    documents = copy.deepcopy(together(SIDECAR))
    BREAKS[name](documents)
    assert Applied(documents, foreign=MODELS).loose_ends()


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--name", "cors"],
        ["--pod", "cors:81"],
        ["--pod", "cors.web:81"],
        ["--pod", "cors.web:81", "--namespace", "web"],
        ["--namespace", "web"],
    ],
    ids=" ".join,
)
def test_what_render_writes_fits_together(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    documents = []
    more = {
        "kubernetes": ["--image", "meshcors:0.1.0"],
        "virtualservice": [],
        "httproute": ["--for", "envoy-gateway"],
    }
    for form, its in more.items():
        assert run(["render", "--config", CONFIG, "--to", form, *its, *flags]) == 0
        documents += load_all(capsys.readouterr().out)
    applied = Applied(documents)
    assert applied.loose_ends() == []
    for each in documents:
        if each["kind"] in ("DestinationRule", "VirtualService"):
            names = [each["spec"].get("host")]
            names += [it["route"][0]["destination"]["host"] for it in each["spec"].get("http", [])]
            hosts = {name for name in names if name}
            # Istio completes no name with a dot.
            assert all("." not in host or host.endswith(".cluster.local") for host in hosts)


@pytest.mark.parametrize(
    ("file", "pod"),
    [
        ("virtualservice_original.yaml", []),
        ("virtualservice_original.yaml", ["--pod", "cors.web:81"]),
        ("http_route.yaml", []),
        ("http_route.yaml", ["--pod", "cors.web:81"]),
    ],
)
def test_what_fix_writes_and_tells_to_deploy_fits_together(
    file: str,
    pod: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (DATA / file).read_text(encoding="utf-8")
    Path("model.yaml").write_text(before, encoding="utf-8")
    flags = ["--allow-origin", "https://ui.example", "--write", *pod]
    assert run(["fix", "model.yaml", *flags]) == 0
    notes = capsys.readouterr().err
    policy, config = re.findall(r"printf %s (.*) > (\S+) && meshcors", notes)[0]
    Path(config).write_text(shlex.split(policy)[0], encoding="utf-8")
    (render,) = re.findall(r"&& meshcors (render .*)", notes)
    assert run([*shlex.split(render), "--image", "meshcors:0.1.0"]) == 0
    capsys.readouterr()
    (kustomization,) = load_all(next(tmp_path.glob("*/kustomization.yaml")).read_text())
    (directory,) = (path.parent for path in tmp_path.glob("*/kustomization.yaml"))
    assert f"kubectl apply -k {directory.name}" in notes
    documents = [load_all((directory / it).read_text())[0] for it in kustomization["resources"]]
    (generator,) = kustomization["configMapGenerator"]
    files = dict.fromkeys(generator["files"], "")
    documents.append({"kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": files})
    for each in documents:
        each["metadata"]["namespace"] = kustomization.get("namespace", "default")
    fixed = load_all(Path("model.yaml").read_text())
    others = {service for each in load_all(before) for service in services(each)}
    for each in fixed:
        if "http" in each["spec"]:
            each["spec"]["http"] = [
                rule for rule in each["spec"]["http"] if not set(of_rule(rule)) <= others
            ]
        else:
            each["spec"]["rules"] = [
                rule for rule in each["spec"]["rules"] if not set(of_rule(rule)) <= others
            ]
    assert Applied([*documents, *fixed]).loose_ends() == []


def services(document: Document) -> list[str]:
    """The services that the rules of a document lead to."""
    spec = document["spec"]
    return [name for rule in spec.get("http", spec.get("rules", [])) for name in of_rule(rule)]


def of_rule(rule: Document) -> list[str]:
    if "route" in rule:
        return [to["destination"]["host"] for to in rule["route"]]
    return [to["name"] for to in rule.get("backendRefs", [])]


def test_image_tags_agree() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *EXAMPLES.rglob("*")]
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    seen = 0
    for page in pages:
        if page.is_file():
            text = page.read_text(encoding="utf-8")
            tags = re.findall(r"\bmeshcors:([0-9][\w.]*)|newTag: (\S+)", text)
            seen += len(tags)
            assert {"".join(tag) for tag in tags} <= {version[1]}, page
    assert seen > 3


def test_the_readmes_documents_name_the_pods_service_and_try_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["render", "--config", CONFIG, "--to", "kubernetes", "--image", "a:1"]) == 0
    pod = load_all(capsys.readouterr().out)
    blocks = re.findall(
        r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    routed = [each for block in blocks for each in load_all(block) if "spec" in each]
    assert routed
    for document in routed:
        assert virtual_service_traffic().items() <= document["spec"]["http"][0].items()
        ends = Applied([*pod, document]).loose_ends()
        # The models are the reader's.
        assert [end for end in ends if "model-" not in end] == []
