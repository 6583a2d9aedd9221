"""``meshcors render``: every form of a policy is valid and says the same as the policy."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

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
from meshcors.mesh._render.hosts import host_groups
from meshcors.mesh._render.http_routes import http_routes
from meshcors.mesh._render.virtual_services import virtual_services
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
    for document in documents(text):
        VirtualService.model_validate(document)
    assert ("corsPolicy" in text) == (responder == "both")
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
        assert run(["render", "--config", str(path), "--to", form]) == 0
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
    named: Any = {"name": "pod", "gateway": "public", "pod": ("meshcors-dummy", 8080)}
    for make in (partial(virtual_services, responder="both"), http_routes):
        make(small, **named)  # fills the caches
        twice = work(partial(make, large, **named))
        assert twice < 2.15 * work(partial(make, small, **named))


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
    named = {"name": "pod", "gateway": "public", "pod": ("meshcors-dummy", 8080)}
    asks = [("origin", "https://ui.example"), ("access-control-request-method", "PUT")]
    covered = RuleMap(rules, range(len(rules.rules)), -1, -1).find(host.encode(), path) != -1
    for made in (virtual_services(rules, **named, responder="pod"), http_routes(rules, **named)):
        gateway = Gateway.from_yaml("\n---\n".join(map(json.dumps, made)))
        for method, headers in (("OPTIONS", asks), ("POST", [])):
            answer = gateway.handle(GatewayRequest(method, host, path, headers))
            assert answer.destination == (POD if covered else None)
