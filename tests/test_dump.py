"""What a cluster and a repository really hold: dumps, lists, and sources of documents."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from meshcors import _cli as cli
from meshcors.mesh._analysis.mesh_documents import read_mesh
from meshcors.mesh._lint import lint
from tests.mesh_cases import ALLOW, ORIGINAL, route, to, vs

DATA = Path(__file__).parent / "data"
DUMP = json.loads((DATA / "dump.json").read_text())
GOOD = vs(f"{{{to()}}}")


def summary(text: str) -> list[tuple[str, str, str]]:
    return [(it.rule.id, it.severity, it.reason.split(": ")[0]) for it in lint({"dump": text})]


EXPECTED = [
    ("MC000", "note", "shop/checkout is a delegate"),
    ("MC001", "error", "a browser's preflight names model-api-key but does not carry it"),
]


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_dump_is_checked_from_standard_input(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (DATA / f"dump.{form}").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert cli.run(["lint", "-", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [(it["id"], it["severity"], it["name"]) for it in found] == [
        ("MC000", "note", "not-checked"),
        ("MC001", "error", "lost-preflight"),
    ]
    assert len(read_mesh({"dump": content.decode()}).documents) == 10


def typed(kind: str) -> str:
    """Return a typed list as the API server gives it: its items have no apiVersion and kind."""
    items = [
        {name: value for name, value in item.items() if name not in {"apiVersion", "kind"}}
        for item in DUMP["items"]
        if item["kind"] == kind
    ]
    version = next(item["apiVersion"] for item in DUMP["items"] if item["kind"] == kind)
    return json.dumps({"apiVersion": version, "kind": f"{kind}List", "items": items})


def test_a_typed_list_is_a_dump_too() -> None:
    assert summary(typed("VirtualService")) == EXPECTED
    assert summary(typed("HTTPRoute")) == []
    mesh = read_mesh({"a": typed("VirtualService"), "b": typed("HTTPRoute")})
    assert (len(mesh.documents), mesh.problems) == (10, ())


# What is put into a dump, and what is found besides what was found before.
PUT: list[tuple[str, Any, list[tuple[str, str]]]] = [
    ("null", None, []),
    ("a text", "text", []),
    ("another kind", {"apiVersion": "v1", "kind": "Service"}, []),
    ("no kind", {"metadata": {"name": "a"}}, [("MC000", "error")]),
    ("no object", {}, [("MC000", "error")]),
    ("a list in it", {"apiVersion": "v1", "kind": "List", "items": None}, []),
    (
        "no hosts but a gateway",
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "b"},
            "spec": {"gateways": ["gate"], "http": [{"route": [{"destination": {"host": "a"}}]}]},
        },
        [("MC000", "error")],
    ),
    (
        "a spec that is null",
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "b"},
            "spec": None,
        },
        [("MC000", "error")],
    ),
]


@pytest.mark.parametrize(
    ("put", "more"), [pytest.param(put, more, id=name) for name, put, more in PUT]
)
@pytest.mark.parametrize("at", [0, 5, 10])
def test_nothing_in_a_dump_hides_the_rest(put: Any, more: list[Any], at: int) -> None:
    """Regression: one VirtualService without hosts kept the rest of a dump from being checked."""
    items = [*DUMP["items"][:at], put, *DUMP["items"][at:]]
    found = summary(json.dumps({**DUMP, "items": items}))
    assert [each for each in found if each in EXPECTED] == EXPECTED
    assert [each[:2] for each in found if each not in EXPECTED] == more


def test_what_kubernetes_adds_is_not_looked_at() -> None:
    item = json.loads(json.dumps(DUMP["items"][0]))
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    noise = "curl -X OPTIONS {{ .Values.host }} $(A) ${B}"
    text = json.dumps({"apiVersion": "v1", "note": noise, "spec": {"hosts": []}})
    item["metadata"]["annotations"] = {applied: text}
    item["metadata"]["managedFields"] = [{"fieldsV1": {"f:$patch": {}, "{{": {}}}]
    item["status"] = {"conditions": [{"message": "{{ x }} $(A) ${B}"}]}
    assert lint({"a.json": json.dumps(item, indent=2)}) == []


HELM = "helm template CHART | meshcors lint -"
KUSTOMIZE = "kubectl kustomize DIR | meshcors lint -"
ENVSUBST = "envsubst < a.yaml | meshcors lint -"
JSONNET = "jsonnet a.yaml | meshcors lint -"
SOURCES = [
    ("helm value", GOOD.replace('"*"', '"{{ .Values.host }}"'), HELM, 6),
    ("helm bare value", GOOD.replace("name: a", "name: {{ .Release.Name }}"), HELM, 3),
    ("helm block", GOOD + "{{- if .Values.cors }}\n  tls: []\n{{- end }}\n", HELM, 9),
    ("helm blocks", "{{- if .on }}\n" + GOOD + "{{- end }}\n---\n{{ x }}: [", HELM, 1),
    ("helm include", '{{ include "chart.route" . }}\n', HELM, 1),
    ("json patch", "- op: add\n  path: /spec/http/0\n  value: {}\n", KUSTOMIZE, 1),
    ("merge patch", GOOD + "  $patch: replace\n", KUSTOMIZE, 9),
    ("patch without rules", GOOD.replace("  http:", "  exportTo:").replace(f"{{{to()}}}", "'*'"),
     KUSTOMIZE, 5),
    ("kustomize variable", GOOD.replace('"*"', "$(HOST)"), KUSTOMIZE, 6),
    ("variable", GOOD.replace('"*"', "'${HOST}'"), ENVSUBST, 6),
    ("variable with default", GOOD.replace("host: one", "host: '${SERVICE:-one}'"), ENVSUBST, 8),
    ("httproute variable", route("{}", hostnames="['${HOST}']"), ENVSUBST, 6),
    ("jsonnet", "local lib = import 'lib.libsonnet';\nlib.route('a') { spec+: {} }\n", JSONNET, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "command", "line"),
    [pytest.param(text, command, line, id=name) for name, text, command, line in SOURCES],
)
def test_a_source_is_one_line_that_says_how_to_render_it(
    text: str, command: str, line: int
) -> None:
    (finding,) = lint({"a.yaml": text})
    # Istio refuses one without rules: it may be a patch, or a mistake
    note = ("error", "would-not-load") if "exportTo" in text else ("note", "not-checked")
    assert (finding.severity, finding.name) == note
    assert finding.hint.endswith(command)
    assert finding.place.line == line
    both = lint({"a.yaml": text, "b.yaml": ORIGINAL})
    assert [(it.rule, it.place) for it in both if it.place.file == "b.yaml"] == [
        (it.rule, it.place) for it in lint({"b.yaml": ORIGINAL})
    ]


def test_jsonnet_is_known_by_its_name() -> None:
    (finding,) = lint({"a.jsonnet": "{\n  a: (1),\n  b: [x for x in [1]] + "})
    assert finding.hint.endswith("jsonnet a.jsonnet | meshcors lint -")
    (finding,) = lint({"<stdin>": "local a = 1;\na {"})
    assert finding.hint.endswith("jsonnet FILE | meshcors lint -")


@pytest.mark.parametrize(
    ("name", "command"), [("kustomization.yaml", KUSTOMIZE), ("x/values.yaml", HELM)]
)
def test_a_file_for_another_program_says_so(name: str, command: str) -> None:
    (finding,) = lint({name: "resources: [a.yaml]\n"})
    assert finding.hint.endswith(command)


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: ConfigMap\ndata: {a: '{{ x }} $(B) ${C}'}\n",
        GOOD.replace("namespace: ns", "namespace: ns, annotations: {a: '{{ x }} ${C}'}"),
        GOOD.replace("{route", "{name: '$1 costs $', match: [{uri: {regex: '/a{2}$'}}], route"),
    ],
)
def test_what_only_looks_like_a_source_is_read(text: str) -> None:
    assert lint({"a.yaml": text}) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("values.yaml", "apiVersion: not one\nhosts: [a]\n"),
        ("values.yaml", "host: a\n"),
        ("kustomization.yaml", "resources: [a.yaml]\n"),
        ("list.yaml", "- apiVersion\n"),
        ("config.json", "// with comments\n{}"),
    ],
)
def test_what_is_not_for_kubernetes_is_passed_over_in_a_directory(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "good.yaml").write_text(GOOD)
    assert cli.run(["lint", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no problems found\n"
    is_source = name == "config.json"
    assert cli.run(["lint", str(tmp_path / name)]) == int(not is_source)
    assert ("note" if is_source else "error") + " MC000" in capsys.readouterr().out


def test_variants_of_one_document_are_noted() -> None:
    (note,) = lint({"base.yaml": GOOD, "overlay.yaml": GOOD})
    assert str(note) == (
        "overlay.yaml:1:1: note MC000 there-twice: ns/a is at base.yaml:1:1 too, and a cluster has"
        " only one of them: findings on either may be wrong; check each variant in a separate run"
    )
    assert lint({"a.yaml": GOOD, "b.yaml": GOOD.replace("namespace: ns", "namespace: other")}) == []


def test_of_two_versions_of_one_object_none_takes_calls_from_the_other() -> None:
    one = vs(f"{{corsPolicy: {{{ALLOW}, unmatchedPreflights: IGNORE}}, {to()}}}")
    findings = lint({"old.yaml": one, "new.yaml": vs(f"{{{to('two')}}}")})
    assert [each.name for each in findings] == ["there-twice"]


EXTENDED = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: model}
spec:
  parentRefs: [{name: gate}]
  rules:
  - matches: [{headers: [{name: model-api-key, value: xyz}]}]
    filters: [{type: ExtensionRef, extensionRef: {group: g.example, kind: Auth, name: a}}]
    backendRefs: [{name: model, port: 8000}]
"""


def test_a_filter_of_an_extension_is_a_note_and_hides_nothing() -> None:
    found = lint({"route.yaml": EXTENDED})
    assert [(each.rule.id, each.severity) for each in found] == [
        ("MC026", "warning"),
        ("MC000", "note"),
    ]
    assert "ExtensionRef" in found[1].reason


@pytest.mark.parametrize(
    "neighbour",
    [
        pytest.param("spec: &a\n  <<: *a\n  gateways: [gw]", id="a merge key that leads to itself"),
        pytest.param("spec: {hosts: [a.example]}\nstatus: [", id="not YAML"),
        pytest.param("spec: {}\nkind: [VirtualService]", id="a kind that is a list"),
    ],
)
def test_fix_goes_on_beside_a_document_that_is_not_read(neighbour: str, tmp_path: Path) -> None:
    head = "apiVersion: networking.istio.io/v1\nmetadata: {name: other}\n"
    kind = "" if "kind" in neighbour else "kind: VirtualService\n"
    lost = vs(f"{{match: [{{headers: {{x-key: {{exact: a}}}}}}], {to()}}}", hosts="[b.example]")
    path = tmp_path / "all.yaml"
    path.write_text(f"{head}{kind}{neighbour}\n---\n{lost}")
    args = ["fix", str(path), "--allow-origin", "https://ui.example", "--write"]
    assert cli.run(args) == 0
    assert "name: preflight" in path.read_text()
