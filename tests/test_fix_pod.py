"""What ``fix`` refuses and notes: the pod's policy, controllers, and what stays blocked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshcors import _cli as cli
from meshcors.mesh import DocumentError
from meshcors.mesh._fix import FixOptions, fix
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
    text = document(
        f"{KEY}; {CORS_A}; {TO_A}", f"{KEY.replace('exact: v', 'exact: w')}; {B_WITH}; {TO_B}"
    )
    try:
        result = fix(text, "a.yaml", FixOptions("mesh", origins=(("exact", "https://c.example"),)))
    except DocumentError as error:
        assert "credentials" in str(error)  # noqa: PT017
        return
    for calls in result.blocked:
        assert len({policy.allow_credentials for policy in calls.policies}) == 1


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
    assert notes.count("the last rule takes every request to api.example that no rule") == 1
    assert "the last rule" not in pod(two(CORS_A, CORS_A), unmatched=False)[1]
    every = document(f"{KEY}; {CORS_A}; {TO_A}", hosts="*")
    assert "the last rule takes every request to any host that" in pod(every)[1]


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
            " rule beside it: meshcors fix model.yaml --separate",
            id="owner",
        ),
        pytest.param(
            document(f"{KEY}; {CORS_A}; {TO_A}") + CANARY,
            "Flagger (Canary model) writes default/model and overwrites changes; change"
            " spec.service of the Canary, or write the rule beside it: meshcors fix model.yaml"
            " --separate",
            id="canary",
        ),
        pytest.param(
            ROUTE,
            "KServe writes default/model and overwrites changes; change the object that it is made"
            " from, or write the rule beside it: meshcors fix model.yaml --separate",
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
