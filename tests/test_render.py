"""``meshcors render``: every form of a policy is valid and says the same as the policy."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
from cloudcoil.models.istio.networking.v1 import DestinationRule, VirtualService
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meshcors import Policy
from meshcors._cli import run
from meshcors._cli.files import write
from meshcors._policy.rule_map import RuleMap
from meshcors._policy.rules import Rule, RuleSet
from meshcors.config import from_environment, from_file, rules_from_file
from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh._render.hosts import host_groups
from meshcors.mesh._render.http_routes import http_routes
from meshcors.mesh._render.names import RouteNames
from meshcors.mesh._render.virtual_services import virtual_services
from tests.e2e.parts import need_kubernetes_program
from tests.test_mesh_index import work

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
    if form == "kubernetes" and "--image" not in flags:
        flags = (*flags, "--image", "meshcors")
    if form in ("virtualservice", "httproute") and "--gateway" not in flags:
        flags = (*flags, "--gateway", "gateway")
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
@pytest.mark.parametrize("responder", ["pod", "both"])
def test_virtual_services_are_valid(
    config: str, responder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = rendered(config, "virtualservice", capsys, "--with", responder, "--gateway", "public")
    *routes, traffic = documents(text)
    for document in routes:
        VirtualService.model_validate(document)
    made = DestinationRule.model_validate(traffic)
    # The model drops unknown fields.
    assert made.model_dump(mode="json", by_alias=True, exclude_unset=True) == traffic
    assert ("corsPolicy" in text) == (responder == "both")
    assert Gateway.from_yaml(text).names == ("default/public",)


@pytest.mark.parametrize("config", [ONE, SEVERAL], indirect=True, ids=["one", "several"])
def test_kubernetes_objects_are_valid(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    for document in documents(rendered(config, "kubernetes", capsys)):
        kubernetes_validate.validate(document, "1.30", strict=True)


def test_an_image_that_is_not_named_is_said(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = rendered(config, "kubernetes", capsys)
    assert run(["render", "--config", config, "--to", "kubernetes"]) == 0
    said = capsys.readouterr()
    assert said.out == named
    assert said.err.startswith("note: build the pod's image and name it with --image")
    assert said.err.count("\n") == 1


def test_the_deployment_is_the_example_s(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, deployment, service = documents(rendered(config, "kubernetes", capsys))
    (example,) = documents((EXAMPLES / "deployment.yaml").read_text())
    pod = example["spec"]["template"]  # type: ignore[index]
    # No autoscaler comes with it.
    example["spec"]["replicas"] = 2  # type: ignore[index]
    # Only a cluster with a mesh needs these.
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
        args = [
            "render",
            "--config",
            str(path),
            "--to",
            form,
            "--image",
            "meshcors",
            "--gateway",
            "g",
        ]
        assert run(args) == 0
        said = capsys.readouterr()
        assert said.err == "note: the key's values are left out\n"
        assert "never-shown" not in said.out


STEERING = {"corsPolicy": {"allowOrigins": [{"regex": "https://a\x1b\u202e"}]}}


@pytest.mark.parametrize("config", [STEERING], indirect=True, ids=["escapes"])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_is_not_steered_by_a_policy(
    terminal: bool,
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A shell gets the variables as they are, a terminal only what it can print."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    printed = rendered(config, "env", capsys)
    shown = r"\x1b\u202e" if terminal else "\x1b\u202e"
    assert printed == f"MESHCORS_ALLOW_ORIGINS='regex:https://a{shown}'\n"


WRONG_NAMES = [
    ("virtualservice", ["--name", "Pod_1"], "at most 63 lower-case letters, digits and -, with"),
    ("virtualservice", ["--name", "1pod"], "with a letter first, such as meshcors-dummy"),
    ("virtualservice", ["--name", "p" * 64], "at most 63"),
    ("virtualservice", ["--namespace", "a.b"], "at most 63 lower-case letters"),
    ("virtualservice", ["--gateway", "a/b/c"], "name or namespace/name, such as"),
    ("virtualservice", ["--gateway", "/b"], "name or namespace/name, such as"),
    ("virtualservice", ["--gateway", "mesh"], "sidecars do not merge the documents of one host"),
    ("httproute", ["--pod", "pod.internal.example.com:80"], "write NAME or NAME.NAMESPACE"),
    ("kubernetes", ["--pod", "pod.internal.example.com:80"], "write NAME or NAME.NAMESPACE"),
    ("kubernetes", ["--name", "a", "--pod", "b:80"], "--name a, but --pod names b: leave one"),
    ("kubernetes", ["--namespace", "a", "--pod", "b.c:80"], "--namespace a, but --pod names c"),
    ("httproute", ["--directory", "d"], "--directory is for --to kubernetes"),
    ("virtualservice", ["--for", "istio"], "--for is for --to httproute"),
    ("httproute", ["--for", "kong"], "--for: write istio"),
    ("policy", ["--beside", "d"], "--beside is for --to virtualservice and httproute"),
]


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        pytest.param(
            ["--config", "missing.json", "--to", "env"], "--config: No such file", id="no-file"
        ),
        pytest.param(
            ["--config", "CONFIG", "--to", "xml"], "--to: write virtualservice, ", id="no-such-form"
        ),
        pytest.param(["--config", "CONFIG", "--to", "env", "--pod", "x"], "host:port", id="pod"),
        pytest.param(["--to", "env"], "--config", id="no-config"),
        *(
            pytest.param(["--config", "CONFIG", "--to", form, *flags], line, id=" ".join(flags))
            for form, flags, line in WRONG_NAMES
        ),
    ],
)
def test_a_mistake_is_one_line(
    flags: list[str], line: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", *(config if flag == "CONFIG" else flag for flag in flags)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert line in said.err


@pytest.mark.parametrize(
    ("flags", "name", "destination", "backend"),
    [
        ([], "meshcors-dummy", "meshcors-dummy:8080", {"name": "meshcors-dummy", "port": 8080}),
        (["--name", "cors"], "cors", "cors:8080", {"name": "cors", "port": 8080}),
        (["--pod", "cors:81"], "cors", "cors:81", {"name": "cors", "port": 81}),
        (
            ["--pod", "cors.web:81", "--namespace", "web"],
            "cors",
            "cors.web.svc.cluster.local:81",
            {"name": "cors", "port": 81},
        ),
        (["--pod", "cors:81", "--name", "a"], "a", "cors:81", {"name": "cors", "port": 81}),
    ],
)
def test_the_names_follow_from_each_other(
    flags: list[str],
    name: str,
    destination: str,
    backend: dict[str, object],
    config: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for form in ("virtualservice", "httproute"):
        text = rendered(config, form, capsys, *flags)
        document, *traffic = documents(text)
        assert document["metadata"]["name"] == name  # type: ignore[index]
        hosts = [each["spec"]["host"] for each in traffic]  # type: ignore[index]
        assert hosts == [destination.rpartition(":")[0]] * (form == "virtualservice")
        preflight = GatewayRequest(
            "OPTIONS", "a.test", "/", [("access-control-request-method", "PUT")]
        )
        host, _, port = destination.rpartition(":")
        if form == "virtualservice":
            assert Gateway.from_yaml(text).handle(preflight).destination == destination
        else:
            assert document["spec"]["rules"][0]["backendRefs"] == [backend]  # type: ignore[index]
    if "--name" in flags and "--pod" in flags:
        return
    *_, service = documents(rendered(config, "kubernetes", capsys, *flags))
    assert service["metadata"]["name"] == host.partition(".")[0]  # type: ignore[index]
    assert service["spec"]["ports"][0]["port"] == int(port)  # type: ignore[index]


def test_another_namespace_needs_a_grant(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--pod", "cors.web.svc.cluster.local:8080", "--gateway", "istio-system/public"]
    assert run(["render", "--config", config, "--to", "httproute", *flags]) == 0
    said = capsys.readouterr()
    assert said.err == "note: the pod is in another namespace: this needs a ReferenceGrant in web\n"
    spec = documents(said.out)[0]["spec"]
    assert spec["parentRefs"] == [{"name": "public", "namespace": "istio-system"}]  # type: ignore[index]
    backend = {"name": "cors", "namespace": "web", "port": 8080}
    assert all(rule["backendRefs"] == [backend] for rule in spec["rules"])  # type: ignore[index]


def test_what_yaml_1_1_would_misread_is_quoted(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("y", "no", "on", "off", "yes", "n"):
        text = rendered(config, "virtualservice", capsys, "--name", name, "--namespace", "1e3")
        assert f"name: '{name}'\n  namespace: '1e3'\n" in text
        assert Gateway.from_yaml(text).documents[0].label == f"1e3/{name}"


@pytest.mark.parametrize("form", ["virtualservice", "httproute"])
def test_paths_are_encoded_as_in_a_url(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"rules": [{"pathPrefix": "/v1 ä", **ONE}]}))
    made = Gateway.from_yaml(rendered(str(path), form, capsys))
    asks = [("access-control-request-method", "PUT")]
    for sent, rule in (("/v1%20%C3%A4/x", "[0]"), ("/v1%20%C3%A4", "[0]"), ("/v1", "[1]")):
        answer = made.handle(GatewayRequest("OPTIONS", "a.test", sent, asks))
        assert rule in str(answer.rule)


def test_an_http_route_that_istio_would_refuse_is_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"rules": [{"hosts": ["10.0.0.1"], **ONE}]}))
    assert run(["render", "--config", str(path), "--to", "httproute"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "--config: an HTTPRoute cannot say this:" in said.err


def sayable(document: Any) -> Any:
    """The same without the origin that a CORS filter cannot allow."""
    return json.loads(json.dumps(document).replace("http://localhost:*", "http://localhost:3000"))


@pytest.mark.parametrize(
    "config", [sayable(ONE), sayable(SEVERAL)], indirect=True, ids=["one", "several"]
)
def test_envoy_answers_with_the_cors_filter_of_an_http_route(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with the corsPolicy of a VirtualService, if the origin is allowed."""
    routes, istio = (
        Gateway.from_yaml(rendered(config, form, capsys, "--with", "both"))
        for form in ("httproute", "virtualservice")
    )
    method = ("access-control-request-method", "PUT")
    for host, path in (("api.example.com", "/v1/x"), ("x.example.com", "/"), ("o.test", "/")):
        for origin in ("https://ui.example", "https://admin.example", "http://localhost:3000"):
            asks = GatewayRequest("OPTIONS", host, path, [("origin", origin), method])
            answer, same = routes.handle(asks), istio.handle(asks)
            if same.kind == "cors":
                # without maxAge the API has 5 seconds, and answers to preflights expose nothing
                expected = {"access-control-max-age": "5", **dict(same.headers)}
                expected.pop("access-control-expose-headers", None)
                assert (answer.kind, dict(answer.headers)) == ("cors", expected)
            elif same.route is not None:
                # a refused origin: a CORS filter leaves nothing to the pod
                assert (answer.kind, answer.status, same.destination) == ("cors", 200, POD)
        assert routes.handle(GatewayRequest("GET", host, path)).kind != "cors"


def test_paths_share_a_cors_filter_if_their_policies_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"corsPolicy": {"allowOrigins": ["https://admin.example"]}}
    rules = [{"pathPrefix": f"/{at}", **(other if at % 2 else sayable(ONE))} for at in range(4)]
    (tmp_path / "policy.json").write_text(json.dumps({"rules": rules}))
    text = rendered(str(tmp_path / "policy.json"), "httproute", capsys, "--with", "both")
    (route,) = documents(text)
    made = route["spec"]["rules"]  # type: ignore[index]
    paths = [[match["path"]["value"] for match in rule["matches"]] for rule in made]
    assert paths == [["/0", "/2"], ["/1", "/3"], ["/"]]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"allowOrigins": ["http://localhost:*"]}, "the origin http://localhost:*"),
        ({"allowOrigins": [{"regex": "https://a[0-9]"}]}, "the origin regex:https://a[0-9]"),
        (
            {"allowOrigins": ["https://ui.example"], "allowMethods": ["PURGE"]},
            "the method PURGE",
        ),
        (
            {"allowOrigins": [f"https://u{at}.example" for at in range(65)]},
            "at most 64 origins",
        ),
    ],
)
def test_what_a_cors_filter_cannot_say_is_one_line(
    policy: dict[str, Any], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"corsPolicy": policy}))
    args = ["render", "--config", str(path), "--to", "httproute"]
    assert run(args) == 0
    capsys.readouterr()
    assert run([*args, "--with", "both"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "--config: an HTTPRoute cannot say this: a CORS filter " in said.err
    assert reason in said.err


@pytest.mark.parametrize("form", ["kubernetes", "env", "policy"])
def test_only_routes_have_a_responder(
    form: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "--config", config, "--to", form, "--with", "both"]) == 2
    assert "--with both is for --to virtualservice and httproute" in capsys.readouterr().err


def test_istio_treats_the_pod_alike_behind_both_kinds_of_routes(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, expected = documents(rendered(config, "virtualservice", capsys))
    *routes, found = documents(rendered(config, "httproute", capsys, "--for", "istio"))
    assert {each["kind"] for each in routes} == {"HTTPRoute"}
    assert (found["kind"], found) == ("DestinationRule", expected)


def test_http_routes_keep_the_limits_of_the_api() -> None:
    """At most 16 hostnames and 16 rules, and 8 matches in a rule."""
    policy = Policy(allow_origins=["https://ui.example"])
    hosts = [f"h{at}.example.com" for at in range(40)]
    rules = RuleSet([Rule(policy, hosts=hosts, path_prefix=f"/p{at}") for at in range(300)])
    made = http_routes(rules, RouteNames("pod", "public", ("meshcors-dummy", 8080)))
    assert len({document["metadata"]["name"] for document in made}) == len(made) == 9
    for document in made:
        assert len(document["spec"]["hostnames"]) <= 16
        assert len(document["spec"]["rules"]) <= 16
        assert all(len(rule["matches"]) <= 8 for rule in document["spec"]["rules"])
    gateway = Gateway.from_yaml("\n---\n".join(map(json.dumps, made)))
    asks = [("access-control-request-method", "PUT")]
    for host in hosts:
        for path in ("/p0/x", "/p299"):
            answer = gateway.handle(GatewayRequest("OPTIONS", host, path, asks))
            assert answer.route is not None
            assert answer.route.match.path.value == path.removesuffix("/x")
        assert gateway.handle(GatewayRequest("POST", host, "/")).destination == POD


# --- a directory for kubectl apply -k


def applied(directory: Path) -> dict[str, Any]:
    """The objects of a directory by kind, with the ConfigMap as kustomize makes it."""
    (kustomization,) = documents((directory / "kustomization.yaml").read_text())
    found = [documents((directory / name).read_text())[0] for name in kustomization["resources"]]  # type: ignore[attr-defined]
    (generator,) = kustomization["configMapGenerator"]  # type: ignore[misc]
    assert generator["options"].pop("disableNameSuffixHash") is True
    found.append(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": generator["name"], **generator["options"]},
            "data": {name: (directory / name).read_text() for name in generator["files"]},
        }
    )
    if "namespace" in kustomization:
        for document in found:
            document["metadata"]["namespace"] = kustomization["namespace"]  # type: ignore[index]
    return {str(document["kind"]): document for document in found}


@pytest.mark.parametrize("config", [ONE, SEVERAL], indirect=True, ids=["one", "several"])
@pytest.mark.parametrize("flags", [[], ["--pod", "cors.web:81"]], ids=["default", "named"])
def test_a_directory_has_what_is_printed(
    config: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "it's"
    printed = {
        str(it["kind"]): it for it in documents(rendered(config, "kubernetes", capsys, *flags))
    }
    said = rendered(config, "kubernetes", capsys, *flags, "--directory", str(directory))
    assert (
        said
        == f"{directory}: written; deploy it with: kubectl apply -k {shlex.quote(str(directory))}\n"
    )
    assert applied(directory) == printed
    for document in printed.values():
        kubernetes_validate.validate(document, "1.34", strict=True)
    assert rules_from_file(directory / "policy.yaml") == rules_from_file(config)
    # The same again changes nothing.
    before = {path: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert rendered(config, "kubernetes", capsys, *flags, "--directory", str(directory)) == said
    assert {path: path.stat().st_mtime_ns for path in directory.iterdir()} == before


@pytest.mark.parametrize("name", ["policy.yaml", "service.yaml", "kustomization.yaml"])
def test_a_directory_is_written_whole_or_not_at_all(
    name: str, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "pod"
    directory.mkdir()
    (directory / name).write_text("mine\n")
    flags = ["render", "--config", config, "--to", "kubernetes", "--directory", str(directory)]
    assert run(flags) == 2
    message = "already exists with different content; remove it, or name another directory"
    assert capsys.readouterr().err == f"meshcors: {directory / name}: {message}\n"
    assert [path.name for path in directory.iterdir()] == [name]
    assert (directory / name).read_text() == "mine\n"


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "there"])
def test_a_directory_is_left_as_it_was_when_the_disk_is_full(
    is_new: bool,
    config: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directory = tmp_path / "pod"
    if not is_new:
        directory.mkdir()

    def full(name: str, content: bytes, **options: Any) -> None:
        if name.endswith("service.yaml"):
            raise click.ClickException(f"{name}: No space left on device; nothing is written")
        write(name, content, **options)

    monkeypatch.setattr("meshcors._cli.directory.write", full)
    flags = ["render", "--config", config, "--to", "kubernetes", "--directory", str(directory)]
    assert run(flags) == 2
    assert "No space left" in capsys.readouterr().err
    assert directory.exists() is not is_new
    assert is_new or not list(directory.iterdir())


def test_a_directory_below_nothing_is_one_line(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "missing" / "pod"
    flags = ["render", "--config", config, "--to", "kubernetes", "--directory", str(directory)]
    assert run(flags) == 2
    said = "meshcors: --directory: No such file or directory; nothing is written\n"
    assert capsys.readouterr().err == said


def test_kubectl_reads_the_directory(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl = need_kubernetes_program("kubectl")
    directory = tmp_path / "pod"
    rendered(config, "kubernetes", capsys, "--directory", str(directory))
    command = [kubectl, "kustomize", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {str(it["kind"]): it for it in documents(done.stdout)} == applied(directory)


HOSTS = st.sampled_from(
    ["api.example.com", "ui.example.com", "*.example.com", "*.api.example.com", "x.api.example.com",
     "*.x.api.example.com", "other.example"]
)  # fmt: skip
RULES = st.lists(
    st.tuples(
        st.none() | st.lists(HOSTS, min_size=1, max_size=3, unique=True),
        st.sampled_from(["/", "/v1", "/v1/x", "/v2"]),
    ),
    min_size=1,
    max_size=6,
)


def kept_rules(shapes: list[tuple[list[str] | None, str]]) -> RuleSet:
    """Return rules of these hosts and path prefixes, without those that no URL reaches."""
    policy = Policy(allow_origins=["https://ui.example"])
    kept: list[Rule] = []
    for hosts, prefix in shapes:
        with suppress(ValueError):
            kept = list(RuleSet([*kept, Rule(policy, hosts=hosts, path_prefix=prefix)]).rules)
    return RuleSet(kept)


def covers(hosts: tuple[str, ...], host: str) -> bool:
    """Whether a rule for some hosts (none: for all) covers a host or a wildcard."""
    return not hosts or any(
        each == host or (each.startswith("*.") and host.endswith(each[1:])) for each in hosts
    )


@given(RULES)
def test_hosts_are_grouped_as_a_plain_scan_groups_them(
    shapes: list[tuple[list[str] | None, str]],
) -> None:
    rules = kept_rules(shapes)
    expected: dict[tuple[int, ...], list[str]] = {}
    for host in dict.fromkeys(host for rule in rules.rules for host in rule.hosts or ("*",)):
        covering = [at for at, rule in enumerate(rules.rules) if covers(rule.hosts, host)]
        expected.setdefault(tuple(covering), []).append(host)
    assert [(group.hosts, group.rules) for group in host_groups(rules)] == [
        (
            [
                host
                for host in hosts
                if not any(
                    other == "*" or covers((other,), host) for other in hosts if other != host
                )
            ],
            [rules.rules[at] for at in numbers],
        )
        for numbers, hosts in expected.items()
    ]


MANY: list[Any] = [
    pytest.param(lambda n: [([f"h{at}.example.com"], "/") for at in range(n)], id="a host each"),
    pytest.param(lambda n: [([f"h{at}.example.com" for at in range(n)], "/")], id="one rule"),
    pytest.param(lambda n: [(["a.test"], f"/{at}") for at in range(n)], id="paths of one host"),
    pytest.param(
        lambda n: [
            *((["a.test"], f"/{at}") for at in range(n)),
            ([f"h{at}.test" for at in range(n)], "/"),
            (None, "/"),
        ],
        id="paths and hosts",
    ),
]


@pytest.mark.parametrize("shape", MANY)
def test_twice_the_rules_are_twice_the_work(
    shape: Callable[[int], list[tuple[list[str] | None, str]]],
) -> None:
    """The test counts calls, not seconds."""
    policy = Policy(allow_origins=["https://ui.example"])
    small, large = (
        RuleSet([Rule(policy, hosts=hosts, path_prefix=path) for hosts, path in shape(number)])
        for number in (100, 200)
    )
    names = RouteNames("pod", "public", ("meshcors-dummy", 8080))
    for make in (partial(virtual_services, responder="both"), http_routes):
        make(small, names)  # fills the caches
        twice = work(partial(make, large, names))
        assert twice < 2.15 * work(partial(make, small, names))


@given(
    RULES,
    st.sampled_from(
        ["api.example.com", "x.example.com", "x.api.example.com", "other.example", "else.test"]
    ),
    st.sampled_from(["/", "/v1", "/v1/", "/v1x", "/v1/x/y", "/v2/z"]),
)
def test_the_mesh_sends_to_the_pod_what_the_rules_cover(
    shapes: list[tuple[list[str] | None, str]], host: str, path: str
) -> None:
    rules = kept_rules(shapes)
    names = RouteNames("pod", "public", ("meshcors-dummy", 8080))
    asks = [("origin", "https://ui.example"), ("access-control-request-method", "PUT")]
    covered = RuleMap(rules, range(len(rules.rules)), -1, -1).find(host.encode(), path) != -1
    has_host = any(covers(rule.hosts, host) for rule in rules.rules)
    for make in (partial(virtual_services, responder="pod"), http_routes):
        made = make(rules, names)
        bare = make(rules, names, without_unmatched=[it["metadata"]["name"] for it in made])
        for documents, preflight, others in ((made, has_host, has_host), (bare, covered, False)):
            gateway = Gateway.from_yaml("\n---\n".join(map(json.dumps, documents)))
            for method, headers, taken in (("OPTIONS", asks, preflight), ("POST", [], others)):
                answer = gateway.handle(GatewayRequest(method, host, path, headers))
                assert answer.destination == (POD if taken else None)


def test_a_symbolic_link_to_nothing_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.json").write_text('{"allowOrigins": ["https://ui.example"]}')
    Path("pod").mkdir()
    Path("pod/policy.yaml").symlink_to(tmp_path / "outside.yaml")
    command = ["render", "--config", "policy.json", "--to", "kubernetes", "--directory"]
    assert run([*command, "pod"]) == 2
    assert "pod/policy.yaml: is a symbolic link to nothing" in capsys.readouterr().err
    assert not Path("outside.yaml").exists()
    assert run([*command, "-x"]) == 0
    assert "kubectl apply -k ./-x\n" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["virtualservice", "httproute"])
def test_a_gateway_that_nobody_has_named_is_a_note(
    form: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["render", "--config", str(config), "--to", form]
    assert run(flags) == 0
    assert capsys.readouterr().err == (
        'note: bound to a gateway called "gateway", as none is named: name yours, such as'
        " --gateway istio-system/public\n"
    )
    assert run([*flags, "--gateway", "gateway"]) == 0
    assert capsys.readouterr().err == ""
