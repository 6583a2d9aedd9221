"""The pod's Service has one name and one port, in every default, page and example.

What `fix` and `render` route to is then what `render --to kubernetes` and the examples deploy.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from meshcors._cli import run
from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh._analysis.service_host import service_of_host
from meshcors.mesh._fix import FixOptions
from tests.test_kubernetes import BASE, OVERLAYS, rendered

ROOT = Path(__file__).parent.parent
NAME, PORT = "meshcors-dummy", 8080
# A Service of ours and its port: in a VirtualService, in an HTTPRoute, and in a sentence.
HOST = r"((?:[a-z-]+-)?(?:meshcors|preflight)(?:-[a-z]+)*(?:\.[a-z.]+)?)"
REFERENCES = [
    re.compile(rf"\bhost: {HOST}\b(?:, port: \{{number: (\d+)\}}|\s+port:\s+number: (\d+))"),
    re.compile(rf"- name: {HOST}\n\s+(?:namespace: .*\s+)?port: (\d+)"),
    re.compile(rf"(?<![\w/.]){HOST}:(\d{{2,5}})\b"),
]
EXAMPLES = (each for each in (ROOT / "examples").rglob("*.*") if each.suffix != ".pyc")
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *EXAMPLES])


def references(text: str) -> list[tuple[str, str]]:
    """The Services that a text names, each with its port."""
    found = [match for pattern in REFERENCES for match in pattern.findall(text)]
    return [(host, next(filter(None, ports), "")) for host, *ports in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("destination: {host: preflight-pod, port: {number: 80}}", ("preflight-pod", "80")),
        ("host: meshcors.cors.svc\n  port:\n    number: 81", ("meshcors.cors.svc", "81")),
        ("backendRefs:\n- name: meshcors\n  port: 82", ("meshcors", "82")),
        ("the pod behind cors-preflight:83 answers", ("cors-preflight", "83")),
    ],
)
def test_other_names_would_be_found(text: str, found: tuple[str, str]) -> None:
    assert references(text) == [found]


def test_pages_and_examples_use_it() -> None:
    found = {path: references(path.read_text(encoding="utf-8")) for path in PAGES if path.is_file()}
    named = {name.relative_to(ROOT).as_posix() for name, hosts in found.items() if hosts}
    assert {"README.md", "docs/fix.md", "docs/render.md"} <= named
    for path, hosts in found.items():
        for host, port in hosts:
            service = service_of_host(host)
            assert service is not None, path
            assert (service[0], port) == (NAME, str(PORT)), path


def test_examples_deploy_it() -> None:
    (port,) = BASE["Service", NAME]["spec"]["ports"]
    assert port["port"] == PORT
    for top in OVERLAYS:
        there = rendered(top)
        assert {("Service", NAME), ("Deployment", NAME)} <= there.keys()


def test_fix_and_render_use_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert FixOptions().pod == (NAME, PORT)
    assert run(["fix", "--help"]) == 0
    assert f"{NAME}:{PORT}" in re.sub(r"\s", "", capsys.readouterr().out)
    config = str(ROOT / "tests" / "data" / "policy.yaml")
    made = {}
    for form in ("virtualservice", "httproute", "kubernetes"):
        assert run(["render", "--config", config, "--to", form]) == 0
        for document in YAML(typ="safe", pure=True).load_all(capsys.readouterr().out):
            made[document["kind"]] = document.get("spec", {})
            assert document["metadata"]["name"].startswith(NAME)
    destinations = [rule["route"][0]["destination"] for rule in made["VirtualService"]["http"]]
    backends = [rule["backendRefs"][0] for rule in made["HTTPRoute"]["rules"]]
    assert destinations == [{"host": NAME, "port": {"number": PORT}}] * 2
    assert backends == [{"name": NAME, "port": PORT}] * 2
    assert [port["port"] for port in made["Service"]["ports"]] == [PORT]


@pytest.mark.parametrize(
    ("file", "pod"),
    [
        ("virtualservice_original.yaml", []),
        ("virtualservice_original.yaml", ["--pod", "cors.web.svc.cluster.local:81"]),
        ("http_route.yaml", []),
        ("http_route.yaml", ["--pod", "cors.web:81"]),
    ],
)
def test_what_fix_tells_to_deploy_is_what_its_rules_name(
    file: str,
    pod: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The commands are run as a shell would run them, and the names are compared."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "tests" / "data" / file).read_text(encoding="utf-8")
    Path("model.yaml").write_text(text, encoding="utf-8")
    flags = ["--allow-origin", "https://ui.example", "--write", *pod]
    assert run(["fix", "model.yaml", *flags]) == 0
    notes = capsys.readouterr().err.splitlines()
    (render,) = [note for note in notes if "meshcors render" in note]
    (apply,) = [note for note in notes if "kubectl apply" in note]
    printf, words = render.partition("printf ")[2].split(" && ", 1)
    _, policy, _, config = shlex.split(printf)
    Path(config).write_text(policy, encoding="utf-8")
    assert run(shlex.split(words)[1:]) == 0
    directory = Path(apply.rpartition("kubectl apply -k ")[2])
    yaml = YAML(typ="safe", pure=True)
    service = yaml.load((directory / "service.yaml").read_text(encoding="utf-8"))
    namespace = yaml.load((directory / "kustomization.yaml").read_text()).get("namespace")
    fixed = Gateway.from_yaml(Path("model.yaml").read_text(encoding="utf-8"))
    asks = [
        ("origin", "https://ui.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "model-api-key"),
    ]
    answer = fixed.handle(GatewayRequest("OPTIONS", "api.example", "/v1/chat", asks))
    host, _, port = str(answer.destination).rpartition(":")
    found = service_of_host(host)
    assert found is not None
    assert answer.route is not None
    assert (found[0], int(port)) == (
        service["metadata"]["name"],
        service["spec"]["ports"][0]["port"],
    )
    assert (found[1] or answer.route.document.namespace) == (namespace or "default")
