"""``meshcors routes``: the rules of gateways, from documents and from what an Envoy runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meshcors import _cli as cli
from tests.mesh_cases import vs

DATA = Path(__file__).parent / "data"
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: ns}
spec:
  parentRefs: [{name: gate}]
  hostnames: [shop.example, www.shop.example]
  rules:
  - matches: [{path: {type: PathPrefix, value: /cart}, queryParams: [{name: key, value: s3cret}]}]
    backendRefs: [{name: cart, port: 80}]
  - filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example}}]
"""
SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: ns}
spec:
  gateways: [gate]
  hosts: [api.example]
  http:
  - match: [{port: 80}]
    route: [{destination: {host: plain}}]
  - match: [{headers: {x-key: {exact: s3cret}}, withoutHeaders: {origin: {}}}]
    corsPolicy: {allowOrigins: [{exact: "https://ui.example"}], unmatchedPreflights: IGNORE}
    route:
    - {destination: {host: a, port: {number: 80}}, weight: 90}
    - {destination: {host: b}, weight: 10}
  - directResponse: {status: 404}
"""


def run(*args: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run(["routes", *args]) == 0
    printed = capsys.readouterr()
    assert not printed.err
    return printed.out


def rules(path: Path, *args: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    data = json.loads(run(str(path), "--format", "json", *args, capsys=capsys))
    return [rule for gate in data["gateways"] for host in gate["hosts"] for rule in host["rules"]]


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    path = tmp_path / "mesh.yaml"
    path.write_text(f"{ROUTE}---{SERVICE}")
    return path


def test_a_rule_has_its_conditions_its_destination_and_its_preflights(
    mesh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rules(mesh, "--host", "api.example", capsys=capsys)
    assert [rule["conditions"] for rule in found] == [
        ["header origin not present", 'header x-key exact "…"'],
        [],
    ]
    assert [rule["destination"] for rule in found] == [
        "a:80 (90), b:443 (10)",
        "answer 404 directly",
    ]
    assert found[0]["cors_policy"] == [
        'origins exact "https://ui.example"',
        "preflights of other origins are answered",
    ]
    assert [rule["preflights"]["text"] for rule in found] == [
        "rule 2 answers them with 404, without CORS headers",
        "this rule answers them with 404, without CORS headers",
    ]


def test_hosts_that_share_a_table_are_listed_once(
    mesh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run(str(mesh), capsys=capsys).splitlines()
    assert "  shop.example, www.shop.example" in lines
    assert sum("path prefix" in line for line in lines) == 1
    (left_out,) = (line for line in lines if "left out" in line)
    assert left_out.endswith("it is for port 80")


def test_a_value_that_may_be_a_key_is_not_shown(
    mesh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "s3cret" not in run(str(mesh), capsys=capsys)
    assert "s3cret" not in run(str(mesh), "--format", "json", capsys=capsys)


def test_a_preflight_may_end_at_another_rule(capsys: pytest.CaptureFixture[str]) -> None:
    found = rules(DATA / "virtualservice_with_pod.yaml", capsys=capsys)
    assert [rule["preflights"]["text"] for rule in found] == [
        "this rule is for them",
        *["rule 1 sends them to meshcors-dummy:8080"] * 3,
    ]


def test_a_dump_has_its_listener_and_what_is_not_certain(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(DATA / "envoy" / "config_dump.json")
    (gateway,) = json.loads(run(path, "--format", "json", capsys=capsys))["gateways"]
    assert gateway["listener"]["address"] == "0.0.0.0:8443"
    assert [name.rpartition(".")[2] for name in gateway["listener"]["filters"]] == [
        "ext_authz",
        "cors",
        "router",
    ]
    certain = [bool(rule["not_certain"]) for rule in gateway["hosts"][0]["rules"]]
    assert certain == [True, False, True]
    assert gateway["hosts"][0]["rules"][0]["preflights"]["kind"] == "unknown"


def test_documents_and_a_dump_are_listed_together(
    mesh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = str(DATA / "envoy" / "static.yaml")
    lines = run(str(mesh), dump, capsys=capsys).splitlines()
    names = [line for line in lines if line.startswith("gateway ")]
    assert names == ["gateway ns/gate", "gateway local"]


@pytest.mark.parametrize(
    ("text", "args", "said"),
    [
        ("a: [", [], "not YAML"),
        ("apiVersion: v1\nkind: Service\n", [], "pass VirtualServices or a config dump"),
        (SERVICE, ["--host", "other.example"], "no gateway in these files serves it"),
        ('{"static_resources": {"listeners": []}}', [], "this Envoy configuration has no routes"),
    ],
)
def test_nothing_to_list_is_one_line(
    text: str,
    args: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert cli.run(["routes", str(path), *args]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_a_problem_does_not_hide_the_rest(mesh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mesh.write_text(mesh.read_text() + "---\n" + SERVICE.replace("status: 404", "status: none"))
    assert cli.run(["routes", str(mesh)]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("note: ")
    assert "gateway ns/gate" in printed.out


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("verb", [["routes"], ["explain", "--origin", "https://a.example"]])
def test_no_redirect_shows_a_password_or_a_query(
    verb: list[str], form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "redirect.yaml"
    path.write_text(vs("{redirect: {uri: '/x?token=SECRET-1', authority: 'u:SECRET-2@x.test'}}"))
    cli.run([*verb, str(path), "--format", form])
    printed = capsys.readouterr().out
    assert "x.test" in printed
    assert "SECRET" not in printed
