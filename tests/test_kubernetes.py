"""The Kubernetes examples: valid, consistent, routed as described, and served by a real pod.

Built-in kinds are checked against Kubernetes' own schemas, Istio's against its model, HTTPRoutes by
the reader of `meshcors.mesh`. Kustomizations are rendered here and, where it is installed, by
kubectl. ServiceMonitor and PrometheusRule have no offline schema: what they refer to is checked.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from cloudcoil.models.istio.networking.v1 import DestinationRule, VirtualService
from cloudcoil.models.istio.networking.v1alpha3 import EnvoyFilter
from cloudcoil.models.istio.security.v1 import AuthorizationPolicy, PeerAuthentication
from ruamel.yaml import YAML

from meshcors import Policy, RuleSet, config
from meshcors._decision.answers import Answer
from meshcors._decision.rule_engine import NO_RULE, RuleEngine
from meshcors.config._loading import load
from meshcors.dummy._command import main as pod_command
from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh._analysis.pod_traffic import (
    backend_traffic,
    http_route_traffic,
    traffic_policy,
    virtual_service_traffic,
)
from tests.dummy_process import PodProcess, run, running
from tests.e2e.parts import need_kubernetes_program

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "kubernetes"
# What tests/test_chart.py looks at.
CHART = {
    EXAMPLES / name
    for name in ("Chart.yaml", "values.yaml", "values.schema.json", "templates/manifests.yaml")
}
TOPS = sorted(path.parent for path in EXAMPLES.rglob("kustomization.yaml"))
RETRIES = EXAMPLES / "istio-retries"
OVERLAYS = [top for top in TOPS if top.parent.name == "overlays"]
NAMESPACE = "meshcors"
# The oldest version that Kubernetes still supports, and the newest one known here.
VERSIONS = ("1.34", kubernetes_validate.latest_version())
ISTIO = {
    ("networking.istio.io/v1", "DestinationRule"): DestinationRule,
    ("networking.istio.io/v1", "VirtualService"): VirtualService,
    ("networking.istio.io/v1alpha3", "EnvoyFilter"): EnvoyFilter,
    ("security.istio.io/v1", "AuthorizationPolicy"): AuthorizationPolicy,
    ("security.istio.io/v1", "PeerAuthentication"): PeerAuthentication,
}
# Kinds without a schema here; each has a test of its own (BackendTrafficPolicy's is in
# tests/test_envoy_gateway.py).
UNCHECKED = {"BackendTrafficPolicy", "HTTPRoute", "PrometheusRule", "ServiceMonitor"}
SELECTING = ("AuthorizationPolicy", "Deployment", "PeerAuthentication", "PodDisruptionBudget")
UI = "https://ui.example.com"

Document = dict[str, Any]


def read(path: Path) -> Document:
    document: Document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return document


def resources(
    top: Path, read: Callable[[Path], Document] = read
) -> Iterator[tuple[Path, Document]]:
    """The documents of a kustomization, with their namespace and images as kustomize sets them."""
    kustomization = read(top / "kustomization.yaml")
    images = {each["name"]: each["newTag"] for each in kustomization.get("images", [])}
    for name in kustomization["resources"]:
        path = (top / name).resolve()
        found = resources(path, read) if path.is_dir() else iter([(path, read(path))])
        for place, document in found:
            if document["kind"] != "Namespace":
                document["metadata"]["namespace"] = kustomization["namespace"]
            for container in containers(document):
                tag = images.get(container["image"])
                container["image"] += f":{tag}" if tag else ""
            yield place, document
    for generator in kustomization.get("configMapGenerator", []):
        paths = [top / name for name in generator["files"]]
        options = generator["options"]
        # kustomize would add a hash to its name
        assert options["disableNameSuffixHash"]
        yield (
            paths[0],
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": generator["name"],
                    "namespace": kustomization["namespace"],
                    "labels": options["labels"],
                },
                "data": {path.name: path.read_text(encoding="utf-8") for path in paths},
            },
        )


def containers(document: Document) -> list[Document]:
    if document["kind"] != "Deployment":
        return []
    found: list[Document] = document["spec"]["template"]["spec"]["containers"]
    return found


def rendered(top: Path, read: Callable[[Path], Document] = read) -> dict[tuple[str, str], Document]:
    """The documents by kind and name."""
    found: dict[tuple[str, str], Document] = {}
    for _, document in resources(top, read):
        key = (document["kind"], document["metadata"]["name"])
        assert key not in found, f"{key} stands twice"
        found[key] = document
    return found


EVERYTHING = {path: document for top in TOPS for path, document in resources(top)}
BASE = rendered(EXAMPLES / "base")
MONITORING = rendered(EXAMPLES / "monitoring")
DEPLOYMENT = BASE["Deployment", "meshcors-dummy"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
CONTAINER = POD["containers"][0]
LABELS = DEPLOYMENT["template"]["metadata"]["labels"]


def relative(path: Path) -> str:
    return str(path.relative_to(EXAMPLES))


# --- each for itself


def test_every_file_is_part_of_a_kustomization() -> None:
    files = {
        path
        for path in EXAMPLES.rglob("*")
        if path.suffix in {".yaml", ".json"} and path.name != "kustomization.yaml"
        if path not in CHART
    }
    assert set(EVERYTHING) == files


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", sorted(EVERYTHING), ids=relative)
def test_manifests_are_valid(path: Path, version: str) -> None:
    document = EVERYTHING[path]
    model = ISTIO.get((document["apiVersion"], document["kind"]))
    if model is not None:
        made = model.model_validate(document)
        # The model drops unknown fields.
        assert made.model_dump(mode="json", by_alias=True, exclude_unset=True) == document
    elif document["kind"] not in UNCHECKED:
        kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_refuse_what_they_do_not_know() -> None:
    broken = {**BASE["Service", "meshcors-dummy"], "spec": {"portz": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


@pytest.mark.parametrize("top", TOPS, ids=relative)
def test_kustomize_renders_the_same(top: Path) -> None:
    kubectl = need_kubernetes_program("kubectl")
    version = subprocess.run(
        [kubectl, "version", "--client"], capture_output=True, text=True, check=False
    )
    assert "Kustomize Version: v5" in version.stdout, version.stdout
    command = [kubectl, "kustomize", str(top)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    documents = list(YAML(typ="safe", pure=True).load_all(done.stdout))
    found = {(each["kind"], each["metadata"]["name"]): each for each in documents}
    assert found == rendered(top)


# --- of one piece


@pytest.mark.parametrize("top", [top for top in TOPS if top != RETRIES], ids=relative)
def test_all_that_selects_pods_selects_these(top: Path) -> None:
    selectors = []
    for document in rendered(top).values():
        spec = document.get("spec", {})
        if document["kind"] == "Service":
            selectors.append(spec["selector"])
        elif document["kind"] == "NetworkPolicy":
            selectors.append(spec["podSelector"]["matchLabels"])
        elif document["kind"] in SELECTING:
            selectors.append(spec["selector"]["matchLabels"])
        if document["kind"] == "Deployment":
            spread = spec["template"]["spec"]["topologySpreadConstraints"]
            selectors += [each["labelSelector"]["matchLabels"] for each in spread]
    assert selectors
    for selector in selectors:
        assert selector
        assert selector.items() <= LABELS.items()


def test_ports_agree() -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"http": 8080, "admin": 9090}
    assert f"--port={ports['http']}" in CONTAINER["args"]
    assert f"--admin-port={ports['admin']}" in CONTAINER["args"]
    (port,) = BASE["Service", "meshcors-dummy"]["spec"]["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("http", 8080, "http")
    (admin,) = MONITORING["Service", "meshcors-dummy-admin"]["spec"]["ports"]
    assert (admin["port"], admin["targetPort"]) == (9090, "admin")
    named = [
        port["port"]
        for document in EVERYTHING.values()
        if document["kind"] == "NetworkPolicy"
        for rule in document["spec"].get("ingress", [])
        for port in rule["ports"]
    ]
    assert set(named) == {"http", "admin", 15008}


def test_the_deployment_is_as_safe_as_it_can_be() -> None:
    # Applied again, it would undo what the autoscaler has set.
    assert "replicas" not in DEPLOYMENT
    scaler = BASE["HorizontalPodAutoscaler", "meshcors-dummy"]["spec"]
    assert scaler["minReplicas"] == 2
    assert (
        scaler["scaleTargetRef"]["name"] == BASE["Deployment", "meshcors-dummy"]["metadata"]["name"]
    )
    assert POD["serviceAccountName"] == BASE["ServiceAccount", "meshcors-dummy"]["metadata"]["name"]
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (drain,) = [arg for arg in CONTAINER["args"] if arg.startswith("--drain=")]
    grace = POD["terminationGracePeriodSeconds"]
    assert int(drain.removeprefix("--drain=")) < grace
    # What bounds the harm of a SIGTERM that Python, as process 1, did not get yet.
    page = (ROOT / "docs" / "pod.md").read_text(encoding="utf-8")
    assert f"`terminationGracePeriodSeconds: {grace}`" in page
    assert "preStop" not in json.dumps(POD)


@pytest.mark.parametrize("top", OVERLAYS, ids=relative)
def test_the_gateway_treats_the_pod_as_rendered_routes_say(top: Path) -> None:
    for document in rendered(top).values():
        spec = document.get("spec", {})
        if document["kind"] == "VirtualService":
            assert virtual_service_traffic().items() <= spec["http"][0].items()
        elif document["kind"] == "HTTPRoute":
            assert http_route_traffic().items() <= spec["rules"][0].items()
        elif document["kind"] == "DestinationRule":
            assert spec["trafficPolicy"] == traffic_policy()
        elif document["kind"] == "BackendTrafficPolicy":
            assert backend_traffic().items() <= spec.items()


def test_the_retries_are_for_the_preflights_of_the_ambient_overlay() -> None:
    ambient = rendered(EXAMPLES / "overlays" / "istio-ambient")
    route = ambient["HTTPRoute", "meshcors-dummy"]
    (filters,) = rendered(RETRIES).values()
    (parent,), (target,) = route["spec"]["parentRefs"], filters["spec"]["targetRefs"]
    assert (target["name"], filters["metadata"]["namespace"]) == tuple(parent.values())
    (patch,) = filters["spec"]["configPatches"]
    # Istio's name of an HTTPRoute's rule: pilot/pkg/config/kube/gateway/conversion.go.
    home = route["metadata"]
    named = patch["match"]["routeConfiguration"]["vhost"]["route"]["name"]
    assert named == f"{home['namespace']}.{home['name']}.0"
    assert {each["method"] for each in route["spec"]["rules"][0]["matches"]} == {"OPTIONS"}
    wanted = virtual_service_traffic()["retries"]
    assert patch["patch"]["value"]["route"]["retry_policy"] == {
        "num_retries": wanted["attempts"],
        # Envoy's spelling of a duration.
        "per_try_timeout": {"500ms": "0.5s"}[wanted["perTryTimeout"]],
        "retry_on": wanted["retryOn"],
    }


def test_the_gateway_closes_idle_connections_before_the_pod() -> None:
    idle = traffic_policy()["connectionPool"]["http"]["idleTimeout"]
    assert not any(argument.startswith("--keep-alive") for argument in CONTAINER["args"])
    (keep_alive,) = (flag for flag in pod_command.params if flag.name == "keep_alive")
    assert float(idle.removesuffix("s")) < float(str(keep_alive.default))


def test_the_policy_is_mounted_where_the_pod_reads_it() -> None:
    mount, kept = CONTAINER["volumeMounts"]
    volume, empty = POD["volumes"]
    assert (volume["name"], empty["name"]) == (mount["name"], kept["name"])
    assert f"--last-good={kept['mountPath']}/policy.yaml" in CONTAINER["args"]
    assert "subPath" not in mount
    data = BASE["ConfigMap", volume["configMap"]["name"]]["data"]
    paths = [f"{mount['mountPath']}/{name}" for name in data]
    assert f"--config={paths[0]}" in CONTAINER["args"]


def test_the_image_is_made_for_the_deployment() -> None:
    lines = (EXAMPLES / "Containerfile").read_text(encoding="utf-8").splitlines()
    words = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    base, again = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert re.fullmatch(r"docker\.io/library/python:3\.13-slim@sha256:[0-9a-f]{64}", base)
    assert again == base
    context = POD["securityContext"]
    assert words["USER"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert json.loads(words["ENTRYPOINT"]) == CONTAINER["command"]
    assert set(json.loads(words["CMD"])) <= set(CONTAINER["args"])
    assert words["EXPOSE"].split() == [str(port["containerPort"]) for port in CONTAINER["ports"]]
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert CONTAINER["image"] == f"meshcors:{version[1]}"
    assert f'org.opencontainers.image.version="{version[1]}"' in "\n".join(lines)


# --- the policy and the routes


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    ((name, text),) = BASE["ConfigMap", "meshcors-dummy-policy"]["data"].items()
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def decide(rules: RuleSet, method: str, path: str, **fields: str) -> Answer | str:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in fields.items()}
    decision = RuleEngine(rules, NO_RULE).decide(method, path, given)
    return decision if isinstance(decision, Answer) else decision.reason


def test_the_policy_is_one_that_the_loader_takes(policy_file: Path) -> None:
    rules = load({}, {}, config=policy_file)
    assert isinstance(rules, RuleSet)
    assert all(isinstance(rule.policy, Policy) for rule in rules.rules)
    preflight = {"origin": UI, "access_control_request_method": "POST"}
    answer = decide(rules, "OPTIONS", "/v1/chat", host="api.example.com", **preflight)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.reason) == (204, "allowed")
    assert "model-api-key" in dict(answer.headers)["access-control-allow-headers"]
    assert decide(rules, "OPTIONS", "/v1", host="other.example.com", **preflight) is NO_RULE


def gateway(top: Path) -> Gateway:
    routed = [
        document
        for document in rendered(top).values()
        if document["kind"] in ("VirtualService", "HTTPRoute")
    ]
    if top.name != "istio-sidecar":
        # A model's own route, as its team would write it.
        routed.append(MODEL_ROUTE)
    return Gateway.from_yaml("\n---\n".join(map(json.dumps, routed)))


MODEL_ROUTE: Document = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "xyz", "namespace": "models"},
    "spec": {
        "hostnames": ["api.example.com"],
        "parentRefs": [{"name": "public", "namespace": "istio-system"}],
        "rules": [
            {
                "matches": [{"headers": [{"name": "model-api-key", "value": "xyz"}]}],
                "backendRefs": [{"name": "xyz", "port": 8000}],
            }
        ],
    },
}
ORIGIN = ("origin", UI)
ASKED = ("access-control-request-method", "POST")


@pytest.mark.parametrize("top", OVERLAYS, ids=relative)
@pytest.mark.parametrize(
    ("method", "headers", "destination"),
    [
        pytest.param("OPTIONS", [ORIGIN, ASKED], "meshcors-dummy:8080", id="preflight"),
        pytest.param(
            "OPTIONS",
            [ORIGIN, ASKED, ("model-api-key", "xyz")],
            "meshcors-dummy:8080",
            id="preflight-with-a-key",
        ),
        pytest.param(
            "POST",
            [ORIGIN, ("model-api-key", "xyz")],
            "xyz:8000",
            id="key",
        ),
        pytest.param(
            "OPTIONS",
            [ORIGIN, ("model-api-key", "xyz")],
            "xyz:8000",
            id="plain-options",
        ),
        pytest.param(
            "POST", [ORIGIN, ("model-api-key", "nobody")], "meshcors-dummy:8080", id="unmatched-key"
        ),
        pytest.param("POST", [ORIGIN], "meshcors-dummy:8080", id="no-key"),
    ],
)
def test_the_gateway_routes_as_the_overlays_say(
    top: Path, method: str, headers: list[tuple[str, str]], destination: str
) -> None:
    answer = gateway(top).handle(
        GatewayRequest(method, "api.example.com", "/v1/chat", headers=headers)
    )
    assert answer.kind == "forward"
    assert answer.destination is not None
    # A VirtualService names a service in full, an HTTPRoute by name and namespace.
    assert (
        re.sub(r"\.(meshcors|models)\.svc\.cluster\.local", "", answer.destination) == destination
    )


@pytest.mark.parametrize("top", OVERLAYS, ids=relative)
def test_routes_and_policy_speak_of_the_same_hosts(top: Path, policy_file: Path) -> None:
    hosts = {host for rule in config.rules_from_file(policy_file).rules for host in rule.hosts}
    for document in rendered(top).values():
        if document["kind"] == "VirtualService":
            assert set(document["spec"]["hosts"]) == hosts
        elif document["kind"] == "HTTPRoute":
            assert set(document["spec"]["hostnames"]) == hosts


def test_the_authorization_lets_preflights_pass_and_no_other_options() -> None:
    spec = rendered(EXAMPLES / "overlays" / "istio-sidecar")[
        "AuthorizationPolicy", "meshcors-dummy"
    ]
    preflights, others = spec["spec"]["rules"]
    assert preflights["to"][0]["operation"]["methods"] == ["OPTIONS"]
    assert [(when["key"], when["values"]) for when in preflights["when"]] == [
        ("request.headers[origin]", ["*"]),
        ("request.headers[access-control-request-method]", ["*"]),
    ]
    assert others["to"][0]["operation"]["notMethods"] == ["OPTIONS"]


# --- a real pod


def with_paths(policy: Path) -> tuple[str, ...]:
    """The Deployment's arguments for a policy elsewhere, beside which the last good one is kept."""
    paths = {"--config": policy, "--last-good": policy.with_name("last-good.yaml")}
    flags = ((each.partition("=")[0], each) for each in CONTAINER["args"])
    return tuple(f"{flag}={paths[flag]}" if flag in paths else each for flag, each in flags)


@pytest.fixture
def arguments(policy_file: Path) -> tuple[str, ...]:
    """The Deployment's arguments, with the policy at another path."""
    return with_paths(policy_file)


@pytest.fixture
def pod(arguments: tuple[str, ...]) -> Iterator[PodProcess]:
    # The ports and the drain that `running` adds take the place of these.
    with running(policy=arguments) as started:
        yield started


def test_the_arguments_are_the_pods(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_probes_are_answered(pod: PodProcess) -> None:
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = CONTAINER[probe]["httpGet"]
        assert get["port"] == "admin"
        assert pod.admin(get["path"]).status == 200
    pod.signal(signal.SIGTERM)
    pod.await_(lambda: pod.admin(CONTAINER["readinessProbe"]["httpGet"]["path"]).status == 503)
    assert pod.wait() == 0


def test_a_pod_that_is_started_again_with_a_bad_file_answers_as_before(
    arguments: tuple[str, ...], policy_file: Path
) -> None:
    preflight = {"Host": "api.example.com", "Origin": UI, "Access-Control-Request-Method": "POST"}
    with running(policy=arguments):
        pass
    policy_file.write_text("rules: [", encoding="utf-8")
    with running(policy=arguments) as again:
        assert again.ask("OPTIONS", "/v1/chat", preflight).status == 204
        assert again.metric("meshcors_config_last_reload_successful") == 0


def test_the_alerts_name_metrics_that_the_pod_has(pod: PodProcess) -> None:
    preflight = {"Host": "api.example.com", "Origin": UI, "Access-Control-Request-Method": "POST"}
    assert pod.ask("OPTIONS", "/v1/chat", preflight).status == 204
    monitor = MONITORING["ServiceMonitor", "meshcors-dummy"]["spec"]
    service = MONITORING["Service", "meshcors-dummy-admin"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] == service["spec"]["ports"][0]["name"]
    shown = pod.admin(endpoint["path"]).text
    (group,) = MONITORING["PrometheusRule", "meshcors-dummy"]["spec"]["groups"]
    for rule in group["rules"]:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
        metrics = re.findall(r"(meshcors_\w+)\{(.*?)\}", rule["expr"])
        assert metrics
        assert re.findall(r"meshcors_\w+", rule["expr"]) == [name for name, _ in metrics]
        for name, labels in metrics:
            assert re.search(rf"^{name}(\{{.*)? \S+$", shown, re.MULTILINE), name
            for label, value in re.findall(r'(\w+)!?="(.*?)"', labels):
                if label == "job":
                    assert value == service["metadata"]["name"]
                else:
                    assert f'{name}{{{label}="{value}"}}' in shown


# --- the docs


PAGE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")


def test_the_page_names_every_directory_and_every_alert() -> None:
    for top in TOPS:
        assert f"| `{relative(top)}` |" in PAGE
    (group,) = MONITORING["PrometheusRule", "meshcors-dummy"]["spec"]["groups"]
    rows = re.findall(r"^\| `(Meshcors\w+)` \|", PAGE, re.MULTILINE)
    assert rows == [rule["alert"] for rule in group["rules"]]


def http_route(name: str, created: str, match: Document, *hosts: str) -> Document:
    rule = {"matches": [match], "backendRefs": [{"name": name, "port": 80}]}
    spec = {"parentRefs": [{"name": "public"}], "rules": [rule]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {**spec, "hostnames": list(hosts)} if hosts else spec,
    }


def virtual_service(name: str, created: str, match: Document | None, *hosts: str) -> Document:
    rule: Document = {"route": [{"destination": {"host": name, "port": {"number": 80}}}]}
    http = [{"match": [match], **rule}] if match else [rule]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "creationTimestamp": created},
        "spec": {"hosts": list(hosts) or ["*"], "gateways": ["public"], "http": http},
    }


def taker(*documents: Document) -> str | None:
    """Which of the documents takes a preflight for /v1/chat."""
    headers = [ORIGIN, ASKED, ("x-one", "1"), ("x-two", "2")]
    request = GatewayRequest("OPTIONS", "api.example.com", "/v1/chat?q=1", headers)
    answer = Gateway.from_yaml("\n---\n".join(map(json.dumps, documents))).handle(request)
    return answer.route.document.name if answer.route else None


def path(kind: str, value: str) -> Document:
    return {"path": {"type": kind, "value": value}}


ONE_HEADER = {"headers": [{"name": "x-one", "value": "1"}]}
TWO_HEADERS = {"headers": [*ONE_HEADER["headers"], {"name": "x-two", "value": "2"}]}
# From the highest to the lowest: each differs from the next only in what the page's list names.
LADDER = [
    path("Exact", "/v1/chat"),
    {**path("PathPrefix", "/v1/chat")},
    {**path("PathPrefix", "/v1"), "method": "OPTIONS"},
    {**path("PathPrefix", "/v1"), **TWO_HEADERS},
    {**path("PathPrefix", "/v1"), **ONE_HEADER, "queryParams": [{"name": "q", "value": "1"}]},
    {**path("PathPrefix", "/v1"), **ONE_HEADER},
    path("PathPrefix", "/v1"),
    path("PathPrefix", "/"),
    path("RegularExpression", "/v1/cha.+"),
]
OLD, NEW = "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"


def test_http_routes_come_in_the_order_that_the_page_states() -> None:
    for at, higher in enumerate(LADDER):
        for lower in LADDER[at + 1 :]:
            assert taker(http_route("b", NEW, higher), http_route("a", OLD, lower)) == "b"
    same = LADDER[0]
    assert taker(http_route("a", NEW, same), http_route("b", OLD, same)) == "b"
    assert taker(http_route("b", OLD, same), http_route("a", OLD, same)) == "a"
    exact = "api.example.com"
    lowest = http_route("b", NEW, LADDER[-1], exact)
    assert taker(lowest, http_route("a", OLD, LADDER[0], "*.example.com")) == "b"


def test_virtual_services_come_in_the_order_that_the_page_states() -> None:
    ours = {"method": {"exact": "OPTIONS"}, "headers": {"access-control-request-method": {}}}
    theirs = {"uri": {"prefix": "/v1"}}
    assert taker(virtual_service("a", NEW, ours), virtual_service("b", OLD, theirs)) == "b"
    assert taker(virtual_service("a", OLD, ours), virtual_service("b", OLD, theirs)) == "a"
    # A rule without any condition moves to the end, and the oldest of these remains.
    assert taker(virtual_service("a", NEW, ours), virtual_service("b", OLD, None)) == "a"
    assert taker(virtual_service("a", NEW, None), virtual_service("b", OLD, None)) == "b"
    # Hosts are not joined.
    pair = (
        virtual_service("a", OLD, ours, "*.example.com"),
        virtual_service("b", NEW, {"uri": {"prefix": "/v2"}}, "api.example.com"),
    )
    assert taker(*pair) is None


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_what_the_page_shows_is_valid(block: str) -> None:
    document = YAML(typ="safe", pure=True).load(block)
    if document["kind"] == "Gateway":
        listed = document["spec"]["listeners"][0]["allowedRoutes"]["namespaces"]
        assert NAMESPACE in listed["selector"]["matchExpressions"][0]["values"]
        return
    made = ISTIO[document["apiVersion"], document["kind"]].model_validate(document)
    assert made.model_dump(mode="json", by_alias=True, exclude_unset=True) == document
