"""Delegates in the tools: whose rule it is, what is not known, and where a fix goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshcors import _cli as cli
from meshcors.mesh import Gateway, GatewayRequest, read_documents
from meshcors.mesh._analysis.mesh_documents import read_mesh
from meshcors.mesh._lint import lint
from tests.mesh_cases import ALLOW, PREFLIGHT, TO_OTHER, delegate, delegating, to, vs

KEY = "match: [{headers: {model-api-key: {exact: xyz}}}]"
POLICY = f"corsPolicy: {{{ALLOW}, unmatchedPreflights: IGNORE, allowHeaders: [model-api-key]}}"
ROOT = vs(f"{{{TO_OTHER}}}")
MODELS = delegate(f"{{{KEY}, {POLICY}, {to()}}}")


def found(**texts: str) -> list[tuple[str, str, str]]:
    files = {f"{name}.yaml": text for name, text in texts.items()}
    return [(each.rule.id, each.severity, each.place.file) for each in lint(files)]


def test_a_delegates_policy_is_checked_where_it_is_written() -> None:
    assert found(root=ROOT, models=MODELS) == [("MC001", "error", "models.yaml")]


def test_the_roots_policy_is_checked_through_the_delegates_rules() -> None:
    root = vs(f"{{{POLICY}, {TO_OTHER}}}")
    models = delegate(f"{{{KEY}, {to()}}}")
    assert found(root=root, models=models) == [("MC001", "error", "root.yaml")]
    own = delegate(f"{{{KEY}, {POLICY}, {to()}}}\n{{match: [{{uri: {{prefix: /}}}}], {to()}}}")
    assert ("MC001", "error", "root.yaml") not in found(root=root, models=own)


def test_what_is_not_given_is_a_note_and_not_an_error() -> None:
    assert found(models=MODELS.replace(POLICY, "name: x")) == [("MC000", "note", "models.yaml")]
    assert found(root=ROOT) == [("MC000", "note", "root.yaml")]
    (finding,) = lint({"root.yaml": ROOT})
    assert str(finding.place) == "root.yaml:8:6"
    assert finding.reason == (
        "spec.http[0].delegate: its delegate other/d is not in the given files or could not be"
        " read, so its effect is not known"
    )


def test_a_missing_delegate_answers_nobody_knows_what() -> None:
    gateway = Gateway.from_yaml(vs(f"{{match: [{{uri: {{prefix: /a}}}}], {TO_OTHER}}}\n{{{to()}}}"))
    answers = [gateway.handle(GatewayRequest("GET", "a", path)) for path in ("/a", "/b")]
    assert [(it.kind, it.status) for it in answers] == [("unknown", None), ("forward", None)]


@pytest.mark.parametrize(
    ("root", "own", "fits"),
    [
        ("uri: {exact: /a}", "uri: {exact: /a}", True),
        ("uri: {exact: /a}", "uri: {exact: /b}", False),
        ("uri: {exact: /a}", "uri: {prefix: /a}", False),
        ("uri: {prefix: /a}", "uri: {exact: /ab}", True),
        ("uri: {prefix: /a}", "uri: {prefix: /}", False),
        ("uri: {regex: /a}", "uri: {regex: /a}", False),
        ("uri: {regex: /a}", "method: {exact: GET}", True),
        ("headers: {x: {}}", "headers: {x: {exact: v}}", False),
        ("headers: {x: {exact: v}}", "headers: {x: {}}", False),
        ("headers: {x: {exact: v}}", "headers: {z: {}}", True),
        ("withoutHeaders: {x: {prefix: v}}", "withoutHeaders: {x: {exact: vz}}", True),
        ("queryParams: {x: {exact: v}}", "queryParams: {x: {exact: w}}", False),
        ("ignoreUriCase: true", "port: 80", False),
        ("port: 80", "port: 81", False),
        ("port: 80", "port: 80", True),
        ("sourceNamespace: ns", "port: 80", False),
        ("port: 80", "sourceNamespace: ns", True),
        ("sourceLabels: {a: b}", "sourceLabels: {a: c}", False),
        ("sourceLabels: {a: b}", "sourceLabels: {c: d}", True),
        ("gateways: [ns/gate, mesh]", "gateways: [mesh]", True),
        ("gateways: [ns/gate]", "gateways: [mesh]", False),
        ("gateways: [gate]", "gateways: [gate]", False),  # each in its own namespace
    ],
)
def test_conditions_of_both_fit_or_the_rule_is_dropped(root: str, own: str, fits: bool) -> None:
    text = delegating(
        f"{{match: [{{{root}}}], {TO_OTHER}}}", delegate(f"{{match: [{{{own}}}], {to()}}}")
    )
    ((rule,),) = [document.http for document in Gateway.of(read_documents(text)).documents]
    assert rule.left_out == ("" if fits else "conflict")


def test_a_rule_has_a_key_of_its_own_in_each_root_rule() -> None:
    text = delegating(f"{{match: [{{port: 80}}], {TO_OTHER}}}\n{{{TO_OTHER}}}", MODELS)
    mesh = read_mesh({"a.yaml": text})
    ((root, own),) = [(rules[0], rules[1]) for rules in (each.http for each in mesh.merged)]
    written = mesh.documents[1].http[0].key
    assert root.key != own.key
    assert root.policy_key == own.policy_key == written


def test_a_fix_goes_into_the_root(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(f"{ROOT}---\n{MODELS}")
    assert cli.run(["fix", str(path), "--write"]) == 0
    root, models = read_documents(path.read_text())
    assert [rule.name for rule in root.http][:2] == ["preflight", ""]
    assert len(models.http) == 1
    assert cli.run(["lint", str(path)]) == 0


def test_a_fix_takes_no_preflights_from_a_delegate_that_is_not_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "root.yaml"
    text = vs(f"{{match: [{{uri: {{prefix: /a}}}}], {TO_OTHER}}}\n{{{KEY}, {POLICY}, {to()}}}")
    path.write_text(text)
    assert cli.run(["fix", str(path), "--write"]) == 2
    said = capsys.readouterr().err
    assert "ns/a http[0] match[0] answers today" in said or "is not given" in said
    headers = [*PREFLIGHT, ("access-control-request-headers", "model-api-key")]
    preflight = GatewayRequest("OPTIONS", "api.example.com", "/a/b", headers)
    for each in (text, path.read_text()):
        assert Gateway.from_yaml(each).handle(preflight).kind == "unknown"


def test_explain_says_that_the_delegate_is_not_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "root.yaml"
    path.write_text(ROOT)
    assert cli.run(["explain", str(path), "--origin", "https://ui.example"]) == 0
    printed = capsys.readouterr()
    assert "its delegate other/d is not in the given files" in printed.err
    assert "depends" in printed.out
