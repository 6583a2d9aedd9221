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


def test_lists_are_shown_alike_for_documents_and_dumps(
    mesh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = "corsPolicy: {allowMethods: [GET, PUT], allowHeaders: [a, b], "
    mesh.write_text(SERVICE.replace("corsPolicy: {", policy))
    lists = [rules(mesh, capsys=capsys)[0]["cors_policy"][1:3]]
    for joined in ("GET,PUT", "GET, PUT"):
        dump = json.loads((DATA / "envoy/routes.json").read_text())
        (route,) = dump[0]["virtualHosts"][0]["routes"]
        cors = route["typedPerFilterConfig"]["envoy.filters.http.cors"]
        cors.update(allowMethods=joined, allowHeaders="a,b")
        mesh.write_text(json.dumps(dump))
        lists.append(rules(mesh, capsys=capsys)[0]["cors_policy"][1:3])
    assert lists == [["methods GET, PUT", "headers a, b"]] * 3


def test_the_help_says_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("routes", "render"):
        assert cli.run([verb, "--help"]) == 0
        assert "Exit code 0" in capsys.readouterr().out


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


@pytest.fixture
def proxy(tmp_path: Path) -> tuple[str, str]:
    """What ``istioctl proxy-config`` prints of one pod: the listeners, and the routes."""
    routes = DATA / "envoy/routes.json"
    (config, *_) = json.loads(routes.read_text())
    typed = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{typed}.network.http_connection_manager.v3.HttpConnectionManager",
        "rds": {"routeConfigName": config["name"]},
        "httpFilters": [
            {"name": "authz", "typedConfig": {"@type": f"{typed}.http.ext_authz.v3.ExtAuthz"}},
            {
                "name": "envoy.filters.http.cors",
                "typedConfig": {"@type": f"{typed}.http.cors.v3.Cors"},
            },
        ],
    }
    own = {
        "@type": manager["@type"],
        "routeConfig": {"name": "stats", "virtualHosts": [{"domains": ["*"], "routes": []}]},
    }
    listeners = [
        {"name": name, "filterChains": [{"filters": [{"name": "http", "typedConfig": made}]}]}
        for name, made in (("0.0.0.0_8080", manager), ("stats", own))
    ]
    path = tmp_path / "listeners.json"
    path.write_text(json.dumps(listeners))
    return str(path), str(routes)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_listener_and_its_routes_may_be_in_two_files(
    reverse: bool, proxy: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = run(*(reversed(proxy) if reverse else proxy), capsys=capsys)
    assert "  listener 0.0.0.0_8080, filters: authz, cors\n" in shown
    assert "not certain: authz (" in shown
    assert "no file has its listener" not in shown
    assert shown.count("gateway http.8080\n") == 1


def test_listeners_of_another_pod_are_not_joined(
    proxy: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listeners, routes = proxy
    other = tmp_path / "other.json"
    other.write_text(Path(routes).read_text().replace("http.8080", "http.9090"))
    assert cli.run(["routes", listeners, str(other)]) == 0
    said = capsys.readouterr()
    assert said.err == (
        f"note: {listeners}:1:1: no file has the routes that these listeners name: http.8080; pass"
        " the routes of the same pod: istioctl proxy-config routes POD -o json\n"
    )
    assert "no file has its listener" in said.out
    # a pod whose own listener has the routes does not get another one's filters
    whole = tmp_path / "whole.json"
    made = json.loads(Path(listeners).read_text())
    made[0]["filterChains"][0]["filters"][0]["typedConfig"]["httpFilters"] = []
    whole.write_text(json.dumps([*made, *json.loads(Path(routes).read_text())]))
    assert "authz" not in run(str(whole), listeners, capsys=capsys)


def test_listeners_alone_are_one_line(
    proxy: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "alone.json"
    path.write_text(json.dumps(json.loads(Path(proxy[0]).read_text())[:1]))
    assert cli.run(["routes", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"meshcors: {path}:1:1: this file has listeners only; pass the routes too:"
        " istioctl proxy-config routes POD -o json\n"
    )
    # those that a listener has itself are shown all the same
    assert cli.run(["routes", proxy[0]]) == 0
    said = capsys.readouterr()
    assert "this file has listeners only" in said.err
    assert said.out.startswith("gateway stats\n")


def test_what_has_neither_does_not_ask_for_what_is_there(
    proxy: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bootstrap.json"
    path.write_text('{"static_resources": {"clusters": []}}')
    assert cli.run(["routes", str(path)]) == 2
    hint = "pass the routes too: kubectl exec POD -- pilot-agent request GET config_dump"
    assert capsys.readouterr().err.endswith(f"has no routes; {hint}\n")
    assert cli.run(["routes", str(path), proxy[1]]) == 0
    assert capsys.readouterr().err.endswith("has no routes; leave it out\n")


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
