"""What ``fix`` refuses and notes: the pod's policy, controllers, and what stays blocked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshcors import _cli as cli
from meshcors.mesh import GatewayRequest
from meshcors.mesh._fix import FixOptions, Responder, fix
from tests.test_comparison import CORS_A, CORS_B, KEY, TO_A, TO_B, document

KEY_J = KEY.replace("k:", "j:")
TRUSTED = ", allowCredentials: true}"
WITH = CORS_A.replace("}]", "}]" + TRUSTED[:-1], 1)
B_WITH = CORS_B.replace("}]", "}]" + TRUSTED[:-1], 1)
OPEN_REGEX = "corsPolicy: {allowOrigins: [{regex: 'https://.*.acme.io'}], allowCredentials: true}"


def two(first: str, second: str) -> str:
    """Two teams' documents of one host."""
    return (
        document(f"{KEY}; {first}; {TO_A}", name="a")
        + "---\n"
        + document(f"{KEY_J}; {second}; {TO_B}", name="b")
    )


@pytest.mark.parametrize("responder", ["pod", "both"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            two(WITH, OPEN_REGEX),
            "model.yaml:20:41: the pod refuses https://.*.acme.io; with credentials any site",
            id="an open regex",
        ),
        pytest.param(
            two(CORS_A, B_WITH),
            "model.yaml:9:17: another policy of this host allows credentials",
            id="credentials of another policy",
        ),
        pytest.param(
            document(f"{KEY}; {TO_A}"),
            "model.yaml:7:3: no corsPolicy says which pages may call; name the pages' origins:"
            " --allow-origin",
            id="no origins",
        ),
    ],
)
def test_a_policy_that_the_pod_cannot_have_is_refused(
    text: str,
    message: str,
    responder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("model.yaml")
    file.write_text(text)
    assert cli.run(["fix", "model.yaml", "--with", responder, "--write"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"meshcors: {message}")
    assert printed.err.count("\n") == 1
    assert file.read_text() == text


def test_envoy_can_have_a_rule_for_each_of_two_policies() -> None:
    result = fix(two(CORS_A, B_WITH), "a.yaml", FixOptions("mesh"))
    trusted = {
        origin.value: rule.cors_policy.allow_credentials
        for each in result.after.documents
        for rule in each.http
        if rule.cors_policy and rule.name.startswith("preflight")
        for origin in rule.cors_policy.allow_origins
    }
    assert trusted == {"https://a.example": None, "https://b.example": True}


def test_one_rule_of_envoy_mixes_no_credentials_either() -> None:
    """Not even where the options name the origins of both, and one rule could take all calls."""
    text = document(f"{KEY}; {CORS_A}; {TO_A}", f"{KEY_J}; {B_WITH}; {TO_B}".replace("[c", "[j, c"))
    origins = (("exact", "https://a.example"), ("exact", "https://b.example"))
    result = fix(text, "a.yaml", FixOptions("mesh", origins=origins))
    trusted = {
        origin.value
        for rule in result.after.documents[0].http
        if rule.cors_policy and rule.cors_policy.allow_credentials
        for origin in rule.cors_policy.allow_origins
    }
    assert trusted == {"https://b.example"}


def pod(text: str, **options: Any) -> tuple[Any, str]:
    result = fix(text, "a.yaml", FixOptions(**options))
    return result.pod, "\n".join(result.notes)


def test_a_note_says_whose_policies_are_added_up() -> None:
    policy, notes = pod(two(CORS_A, CORS_B))
    assert policy["corsPolicy"]["allowOrigins"] == ["https://a.example", "https://b.example"]
    assert "the pod allows the sum of the policies at a.yaml:9:17 and a.yaml:20:17" in notes
    assert "sum" not in pod(two(CORS_A, CORS_A))[1]


def test_hosts_with_different_policies_get_rules_exact_hosts_first() -> None:
    hosts = ("*.example", "x.api.example", "*.api.example")
    policies = (WITH, CORS_B, WITH)
    text = "---\n".join(
        document(f"{KEY}; {cors}; {TO_A}", name=f"n{at}", hosts=host)
        for at, (host, cors) in enumerate(zip(hosts, policies, strict=True))
    )
    rules = pod(text)[0]["rules"]
    assert [rule["hosts"] for rule in rules] == [
        ["x.api.example"],
        ["*.api.example"],
        ["*.example"],
    ]
    assert [rule["corsPolicy"].get("allowCredentials") for rule in rules] == [None, True, True]


def test_a_header_that_a_rule_of_the_same_url_does_without_is_no_key() -> None:
    named = document(f"{KEY}; {CORS_A}; {TO_A}")
    assert pod(named)[0]["key"] == {"header": "k"}
    canary = document(f"{KEY}; {CORS_A}; {TO_A}", f"{CORS_A}; {TO_B}".replace("[k]", "[]"))
    policy = pod(canary)[0]
    assert "key" not in policy
    assert policy["corsPolicy"]["allowHeaders"] == ["k"]


def test_a_note_says_whose_requests_the_last_rule_takes() -> None:
    notes = pod(two(CORS_A, CORS_A))[1]
    assert notes.count("that no other rule in these files takes, to api.example: pass") == 1
    assert "the last rule" not in pod(two(CORS_A, CORS_A), unmatched=False)[1]
    every = document(f"{KEY}; {CORS_A}; {TO_A}", hosts="*")
    assert "that no other rule in these files takes, to any host: pass" in pod(every)[1]


CANARY = """\
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: model}
spec: {targetRef: {name: model}, service: {port: 80}}
"""
OWNER = "{name: model, ownerReferences: [{apiVersion: v1, kind: InferenceService, name: m}]}"
ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: model, labels: {serving.kserve.io/inferenceservice: m}}
spec:
  parentRefs: [{name: public}]
  rules:
  - matches: [{headers: [{name: k, value: v}]}]
    backendRefs: [{name: a, port: 80}]
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            document(f"{KEY}; {CORS_A}; {TO_A}").replace("{name: model}", OWNER),
            "KServe (InferenceService m) writes default/model and overwrites changes; write the"
            " rule in a second document: meshcors fix model.yaml --separate",
            id="owner",
        ),
        pytest.param(
            document(f"{KEY}; {CORS_A}; {TO_A}") + CANARY,
            "Flagger (Canary model) writes default/model and overwrites changes; change"
            " spec.service of the Canary, or write the rule in a second document: meshcors fix"
            " model.yaml --separate",
            id="canary",
        ),
        pytest.param(
            ROUTE,
            "KServe writes default/model and overwrites changes; change the object that it is made"
            " from, or write the rule in a second document: meshcors fix model.yaml --separate",
            id="HTTPRoute",
        ),
    ],
)
def test_what_a_controller_writes_is_left_to_it(
    text: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("model.yaml")
    file.write_text(text)
    assert cli.run(["fix", "model.yaml", "--write"]) == 2
    assert capsys.readouterr().err == f"meshcors: model.yaml:1:1: {message}\n"
    assert file.read_text() == text
    ui = ["--allow-origin", "https://ui.example"]
    assert cli.run(["fix", "model.yaml", "--separate", "--write", *ui]) == 0
    # Nothing is left to change there.
    assert cli.run(["fix", "model.yaml", "model-preflight.yaml"]) == 0


def test_what_a_controller_writes_does_not_stop_the_others() -> None:
    owned = document(f"{KEY}; {CORS_A}; {TO_A}").replace("{name: model}", OWNER)
    other = document(f"{KEY}; {CORS_A}; {TO_A}", name="other", hosts="other.example")
    result = fix(f"{owned}---\n{other}", "a.yaml", FixOptions())
    assert result.text.startswith(owned)
    assert [each.service.name for each in result.blocked] == ["other"]
    assert "a.yaml:1:1: KServe (InferenceService m) writes default/model" in result.notes[-1]


def test_several_namespaces_get_the_same_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [
        document(f"{KEY}; {CORS_A}; {TO_A}", hosts=f"{name}.example").replace(
            "{name: model}", f"{{name: model, namespace: {name}}}"
        )
        for name in ("one", "two")
    ]
    Path("a.yaml").write_text("---\n".join(texts))
    assert cli.run(["fix", "a.yaml"]) == 0
    notes = capsys.readouterr().err.splitlines()
    assert "note: or deploy one pod in each of these namespaces: one, two" in notes
    assert sum('"corsPolicy"' in note for note in notes) == 1
    (write,) = (note.partition("first: ")[2] for note in notes if "first: " in note)
    (loop,) = (note.partition("then: ")[2] for note in notes if "then: " in note)
    assert any("build the pod's image and name it" in note for note in notes)
    stub = 'meshcors() { python -m meshcors "$@"; }; kubectl() { echo "$@"; }; '
    done = subprocess.run(
        ["sh", "-c", f"{stub}{write} && {loop}".replace("python", sys.executable)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "apply -k meshcors-dummy-one" in done.stdout
    for name in ("one", "two"):
        made = Path(f"meshcors-dummy-{name}", "kustomization.yaml").read_text()
        assert f"namespace: {name}" in made


GUARD = """\
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: guard, namespace: istio-system}
spec:
  action: ACTION
  rules: [{to: [{operation: {methods: [METHOD]}}]}]
"""


@pytest.mark.parametrize(
    ("action", "method", "denies"),
    [("DENY", "OPTIONS", True), ("DENY", "PUT", False), ("ALLOW", "POST", True)],
)
def test_what_still_denies_preflights_is_named_and_counted(
    action: str,
    method: str,
    denies: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    text = document(f"{KEY}; {CORS_A}; {TO_A}").replace("[gateway]", "[istio-system/gateway]")
    guard = GUARD.replace("ACTION", action).replace("METHOD", method)
    Path("a.yaml").write_text(text + guard)
    assert cli.run(["fix", "a.yaml"]) == 0
    err = capsys.readouterr().err
    named = "note: AuthorizationPolicy istio-system/guard (a.yaml:"
    assert (named in err and "still denies preflights of these calls: " in err) is denies
    assert ("left for you to fix: meshcors lint a.yaml" in err) is denies


@pytest.mark.parametrize(
    ("responder", "taker"), [("pod", "preflight"), ("both", "preflight"), ("mesh", "")]
)
def test_json_calls_are_meant_where_the_pod_answers(responder: Responder, taker: str) -> None:
    """A policy need not list content-type for the pod, whatever is beside it."""
    text = document(f"{KEY}; {CORS_A}; {TO_A}", TO_B)
    result = fix(text, "a.yaml", FixOptions(responder))
    asked = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,k"),
    ]
    (gateway,) = {each.name: each for each, _, _ in result.after.hosts}.values()
    answer = gateway.handle(GatewayRequest("OPTIONS", "api.example", "/", asked))
    assert answer.route is not None
    assert answer.route.source.name == taker
    if responder == "both":
        assert "content-type" in dict(answer.headers)["access-control-allow-headers"]
