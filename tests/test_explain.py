"""``meshcors explain``: the exchanges, the verdict and the fix, for a table of calls."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from meshcors import browser
from meshcors._cli import run
from meshcors.mesh import Gateway
from meshcors.mesh._analysis.page_call import trace_call
from meshcors.mesh._documents import reading
from meshcors.mesh._documents.yaml_nodes import parse_each

DATA = Path(__file__).parent / "data"
ORIGINAL = DATA / "virtualservice_original.yaml"
WITH_POD = DATA / "virtualservice_with_pod.yaml"
ORIGIN = ("--origin", "https://ui.example")


KEY = ("--header", "model-api-key: xyz")
POST = ("--method", "POST")

MESH_ONLY = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mesh-only}
spec:
  hosts: ["*.example.com"]
  gateways: [public]
  http:
  - name: preflight
    match: [{method: {exact: OPTIONS}, headers: {access-control-request-method: {}}}]
    corsPolicy:
      allowOrigins: [{exact: "https://ui.example"}]
      allowMethods: [PUT]
      allowHeaders: [model-api-key]
      exposeHeaders: [x-request-id]
      unmatchedPreflights: IGNORE
    route: [{destination: {host: model, port: {number: 8000}}}]
  - match: [{uri: {exact: /moved}}]
    redirect: {uri: /v2}
  - match: [{uri: {exact: /fixed}}]
    directResponse: {status: 200}
    corsPolicy: {allowOrigins: [{exact: "https://ui.example"}]}
  - match: [{uri: {exact: /app}}]
    route: [{destination: {host: app, port: {number: 80}}}]
  - match: [{headers: {model-api-key: {exact: xyz}}}]
    corsPolicy: {allowOrigins: [{exact: "https://ui.example"}], allowCredentials: true}
    route: [{destination: {host: model, port: {number: 8000}}}]
"""
REDIRECTS = MESH_ONLY.replace("http:\n", "http:\n  - redirect: {authority: elsewhere.example}\n", 1)
POLICY = {
    "corsPolicy": {"allowOrigins": ["https://ui.example"]},
    "key": {"header": "model-api-key"},
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    texts = {"mesh": MESH_ONLY, "policy": json.dumps(POLICY)}
    texts["redirects"] = REDIRECTS
    paths = {"original": str(ORIGINAL), "with_pod": str(WITH_POD)}
    for name, text in texts.items():
        path = tmp_path / f"{name}.{'json' if name == 'policy' else 'yaml'}"
        path.write_text(text)
        paths[name] = str(path)
    return paths


# file, flags, exit code, verdict, code, step, what the hint says
CASES = [
    pytest.param(
        *("original", (*POST, *KEY), 1, "blocked", "acao_missing", "preflight"),
        "Such a rule never takes a preflight",
        id="the-case-it-began-with",
    ),
    pytest.param(
        *("original", (*POST, *KEY), 1, "blocked", "acao_missing", "preflight"),
        "--allow-origin https://ui.example",
        id="fix-would-ask-for-the-origins",
    ),
    pytest.param(
        *("original", ("--header", "x-other: 1"), 1, "blocked", "acao_missing", "preflight"),
        "Send model-api-key",
        id="no-rule-for-the-call-either",
    ),
    pytest.param(
        *("original", (), 1, "blocked", "acao_missing", "response"),
        "as the last rule",
        id="no-preflight-and-no-rule",
    ),
    pytest.param(
        *("with_pod", (*POST, *KEY), 0, "depends", "acao_missing", "preflight"),
        "--allow-origin https://ui.example --allow-header model-api-key or pass its policy",
        id="it-depends-on-the-pod",
    ),
    pytest.param(
        *("mesh", ("--path", "/app"), 0, "depends", "acao_missing", "response"),
        "app:80 must send access-control-allow-origin",
        id="it-depends-on-the-answer",
    ),
    pytest.param(
        *("with_pod", (*POST, *KEY, "--config", "POLICY"), 0, "allowed", "allowed", "response"),
        "",
        id="a-policy-tells-what-pod-and-services-answer",
    ),
    pytest.param(
        *("with_pod", (*POST, *KEY, "--header", "x-more: 1", "--config", "POLICY")),
        *(1, "blocked", "header_not_allowed", "preflight"),
        "Add x-more to allowHeaders in that policy",
        id="a-policy-that-lacks-a-header",
    ),
    pytest.param(
        *("mesh", (*KEY,), 0, "allowed", "allowed", "response"), "", id="the-mesh-answers-itself"
    ),
    pytest.param(
        *("mesh", (*KEY, "--header", "x-more: 1"), 1, "blocked", "header_not_allowed"),
        *("preflight", "Add x-more to allowHeaders"),
        id="corsPolicy-lacks-a-header",
    ),
    pytest.param(
        *("mesh", (*KEY, "--method", "DELETE"), 1, "blocked", "method_not_allowed"),
        *("preflight", "Add DELETE to allowMethods"),
        id="corsPolicy-lacks-a-method",
    ),
    pytest.param(
        *("mesh", (*KEY, "--credentials"), 1, "blocked", "acac_not_true", "preflight"),
        "set allowCredentials: true",
        id="corsPolicy-lacks-credentials",
    ),
    pytest.param(
        *("mesh", (*KEY, "--origin", "https://other.example"), 1, "blocked", "acao_missing"),
        *("preflight", "Add {exact: https://other.example} to allowOrigins"),
        id="corsPolicy-lacks-the-origin",
    ),
    pytest.param(
        *("mesh", ("--path", "/fixed"), 1, "blocked", "acao_missing", "response"),
        "send these calls to a service: a corsPolicy needs a route",
        id="corsPolicy-beside-directResponse-does-nothing",
    ),
    pytest.param(
        *("redirects", (*KEY,), 1, "blocked", "preflight_redirect", "preflight"),
        "Move default/mesh-only http[1] match[0] before default/mesh-only http[0]",
        id="a-preflight-is-redirected",
    ),
    pytest.param(
        *("original", ("--origin", "https://api.example"), 0, "allowed", "allowed", "response"),
        "",
        id="the-page's-own-origin",
    ),
]


def from_page(flags: Sequence[str]) -> Sequence[str]:
    """The flags, and the page's origin unless they have one."""
    return flags if "--origin" in flags else (*ORIGIN, *flags)


@pytest.mark.parametrize(("file", "flags", "exit_code", "verdict", "code", "step", "hint"), CASES)
def test_verdict_and_hint(
    file: str,
    flags: tuple[str, ...],
    exit_code: int,
    verdict: str,
    code: str,
    step: str,
    hint: str,
    files: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = tuple(files["policy"] if flag == "POLICY" else flag for flag in flags)
    arguments = ("explain", files[file], *from_page(flags))
    assert run([*arguments, "--format", "json"]) == exit_code
    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], report["code"], report["step"]) == (verdict, code, step)
    assert hint in " ".join(report["hint"])
    assert bool(report["hint"]) == bool(hint)

    assert run(arguments) == exit_code
    text = capsys.readouterr().out
    assert all(line in text for line in report["hint"])
    assert list(report["messages"]) == (["chromium", "firefox", "safari"] if code else [])
    for message in report["messages"].values():
        assert all(line in text for line in message.splitlines())
    assert ("The script may read the answer." in text) == (verdict == "allowed")


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        pytest.param(
            ("--origin", "ui.example"), "--origin ui.example: write a scheme", id="origin"
        ),
        pytest.param(("--header", "nameless"), "--header: write NAME:VALUE", id="header"),
        pytest.param(("--method", "TRACE"), "TRACE", id="forbidden-method"),
        pytest.param(("--path", "no-slash"), "no-slash", id="path"),
        pytest.param(("--gateway", "else/where"), "name one of", id="gateway"),
        pytest.param(("--config", "missing.json"), "--config: No such file", id="policy-file"),
        pytest.param(("--scheme", "ftp"), "--scheme: write https or http", id="scheme"),
    ],
)
def test_a_mistake_is_one_line(
    flags: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", str(ORIGINAL), *from_page(flags)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert line in said.err


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_key_is_printed(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(ORIGINAL.read_text().replace('"xyz"', '"rule-secret"'))
    header = ("--header", "model-api-key: call-secret")
    assert run(["explain", str(file), *ORIGIN, *POST, *header, "--format", form]) == 1
    printed = capsys.readouterr().out
    assert "model-api-key" in printed
    assert "secret" not in printed


STAR = 'allowOrigins: [{exact: "*"}]'
CREDENTIALS = "allowCredentials: true, allowHeaders: [model-api-key]"
# What the rule's corsPolicy allows; None is a rule without one.
POLICIES = [
    pytest.param(f"{STAR}, {CREDENTIALS}", id="star"),
    pytest.param(f"allowOrigins: [{{regex: '.*'}}], {CREDENTIALS}", id="regex-for-any"),
    pytest.param(f"allowOrigins: [{{regex: 'https?://.+'}}], {CREDENTIALS}", id="regex-for-urls"),
    pytest.param(f"allowOrigins: [{{prefix: 'https://'}}], {CREDENTIALS}", id="prefix-for-any"),
    pytest.param(f"allowOrigin: ['*'], {CREDENTIALS}", id="the-older-field"),
    pytest.param(f"{STAR}, allowHeaders: [model-api-key]", id="star-without-credentials"),
    pytest.param(
        f"allowOrigins: [{{exact: 'https://ui.example'}}], {CREDENTIALS}", id="an-exact-origin"
    ),
    pytest.param("allowHeaders: [model-api-key]", id="no-origins"),
    pytest.param(None, id="no-corsPolicy"),
]


def model_yaml(*policies: str | None) -> str:
    """A VirtualService with a rule for each policy, picked by the header's value."""
    rules = [
        f"  - match: [{{headers: {{model-api-key: {{exact: k{number}}}}}}}]\n"
        + (f"    corsPolicy: {{{policy}}}\n" if policy else "")
        + f"    route: [{{destination: {{host: model-{number}, port: {{number: 80}}}}}}]\n"
        for number, policy in enumerate(policies)
    ]
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: model}\n"
        'spec:\n  hosts: ["*"]\n  gateways: [public]\n  http:\n' + "".join(rules)
    )


def fix_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The ``meshcors fix`` commands that explain prints for a call that a browser blocks."""
    assert run([*arguments, "--format", "json"]) == 1
    hint = json.loads(capsys.readouterr().out)["hint"]
    return [shlex.split(line)[1:] for line in hint if line.startswith("meshcors ")]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_printed_fix_works(
    policy: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Regression: for ``regex: ".*"`` with credentials the command lacked ``--allow-origin``."""
    file = tmp_path / "model one.yaml"
    file.write_text(model_yaml(policy))
    call = ["explain", str(file), *ORIGIN, *POST, "--header", "model-api-key: k0"]
    commands = fix_commands(call, capsys)
    assert [command[3] for command in commands] == ["pod", "mesh"]
    for command in commands:
        file.write_text(model_yaml(policy))
        assert run([*command, "--write"]) == 0
        assert "preflight" in file.read_text()
        capsys.readouterr()
        assert run([*call, "--format", "json"]) == 0
        verdict = json.loads(capsys.readouterr().out)["verdict"]
        # only the gateway's own answers are known, and the pod's by the policies of the rules
        known = policy is not None and "allowOrigin" in policy
        assert verdict == ("allowed" if known else "depends")


def test_the_origin_is_asked_for_only_where_fix_needs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = f"allowOrigins: [{{exact: 'https://ui.example'}}], {CREDENTIALS}"
    other = f"allowOrigins: [{{exact: 'https://other.example'}}], {CREDENTIALS}"
    # another rule of the file may need it
    for policies, needed in (
        ((closed,), (False, False)),
        ((None,), (True, True)),
        ((closed, f"{STAR}, {CREDENTIALS}"), (True, True)),
        ((closed, other), (False, False)),
    ):
        file = tmp_path / "model.yaml"
        file.write_text(model_yaml(*policies))
        call = ["explain", str(file), *ORIGIN, *POST, "--header", "model-api-key: k0"]
        commands = fix_commands(call, capsys)
        assert tuple("--allow-origin" in command for command in commands) == needed


def test_the_fix_is_for_all_files(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Regression: a command without the neighbours leaves out what they allow."""
    file = tmp_path / "second.yaml"
    file.write_text(model_yaml(None))
    gateway = ("--gateway", "default/public")
    call = ["explain", files["original"], str(file), *ORIGIN, *gateway, *POST]
    commands = fix_commands([*call, "--header", "model-api-key: k0"], capsys)
    assert [command[1:3] for command in commands] == [[files["original"], str(file)]] * 2


def test_the_printed_fix_of_an_http_route_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "route.yaml"
    text = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: model}\n"
        "spec:\n  parentRefs: [{name: public}]\n  rules:\n"
        "  - matches: [{headers: [{name: model-api-key, value: k0}]}]\n"
        "    backendRefs: [{name: model, port: 80}]\n"
    )
    file.write_text(text)
    call = ["explain", str(file), *ORIGIN, *POST, "--header", "model-api-key: k0"]
    commands = fix_commands(call, capsys)
    assert commands
    for command in commands:
        file.write_text(text)
        assert run([*command, "--write"]) == 0
        capsys.readouterr()
        assert run(call) == 0
        capsys.readouterr()


OTHER_CALL = ("--origin", "https://other.example", "--method", "PUT", "--path", "/v1")


def test_the_printed_fix_harms_no_neighbour_in_another_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    text = model_yaml(f"allowOrigins: [{{exact: 'https://ui.example'}}], {CREDENTIALS}")
    first.write_text(text)
    # answers its preflights itself, and is tried after the first file's rules
    second.write_text(
        text.replace("name: model}", "name: other}")
        .replace("{headers: {model-api-key: {exact: k0}}}", "{uri: {prefix: /v1}}")
        .replace("https://ui.example", "https://other.example")
        .replace("allowHeaders: [model-api-key]", "allowMethods: [PUT]")
    )
    files = [str(first), str(second)]
    assert run(["explain", *files, *OTHER_CALL]) == 0
    capsys.readouterr()
    call = ["explain", *files, *ORIGIN, *POST, "--header", "model-api-key: k0"]
    commands = fix_commands(call, capsys)
    assert commands
    for command in commands:
        first.write_text(text)
        assert run([*command, "--write"]) == 0
        capsys.readouterr()
        for asked in (call, ["explain", *files, *OTHER_CALL]):
            assert run([*asked, "--format", "json"]) == 0
            assert json.loads(capsys.readouterr().out)["verdict"] == "allowed"


def test_no_fix_is_printed_that_would_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(model_yaml(f"{STAR}, {CREDENTIALS}"))
    call = ["explain", str(file), *POST, "--header", "model-api-key: k0", "--origin", "null"]
    assert fix_commands(call, capsys) == []
    assert run(call) == 1
    printed = capsys.readouterr().out
    assert "by hand" in printed
    assert "fix writes none: " in printed


def test_the_host_is_one_that_the_documents_stand_for(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(["explain", files["mesh"], *ORIGIN, *KEY])
    assert "GET https://api.example.com/" in capsys.readouterr().out


def test_a_document_of_several_files(
    files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [files["with_pod"], files["mesh"], *ORIGIN, *KEY, "--host", "x.example.com"]
    assert run(["explain", *arguments, "--gateway", "default/public"]) in (0, 1)
    assert "mesh-only http[0]" in capsys.readouterr().out


def test_no_origin_is_sent_where_a_browser_sends_none() -> None:
    call = browser.Request("https://api.example", "https://api.example/x?y=1")
    page_call = trace_call(Gateway.from_yaml(ORIGINAL.read_text()), call)
    assert page_call.preflight is None
    assert page_call.request.sent.headers == ()
    assert page_call.request.sent.path == "/x?y=1"


CONDITIONS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: conditions}
spec:
  hosts: [api.example.com]
  gateways: [public]
  http:
  - match:
    - {uri: {exact: /a}}
    - {uri: {prefix: /b}}
    - {uri: {regex: /c.*}}
    - {headers: {x-public: {}}}
    - {withoutHeaders: {origin: {}}}
    - {withoutHeaders: {x-secret: {exact: "1"}}, queryParams: {v: {exact: "2"}}}
    route: [{destination: {host: model}}]
"""


def test_a_condition_that_fails_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "conditions.yaml"
    file.write_text(CONDITIONS, encoding="utf-8")
    run(["explain", str(file), *ORIGIN, "--path", "/z", "--header", "x-secret: 1"])
    request = capsys.readouterr().out.partition("\n2. ")[2]
    reasons = [
        line.partition("does not match: ")[2]
        for line in request.splitlines()
        if "does not match: " in line
    ]
    assert reasons == [
        'uri must be exactly "/a", but is /z.',
        'uri must begin with "/b", but is /z.',
        'uri must match the regex "/c.*", but is /z.',
        "headers.x-public must be present, but is absent.",
        "withoutHeaders.origin must not be present, but is https://ui.example.",
        'withoutHeaders.x-secret must not be exactly "…", but is …;'
        ' queryParams.v must be exactly "…", but is absent.',
    ]


def test_the_file_is_parsed_once_and_each_fix_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing takes most of the time for a large file."""
    parsed: list[str] = []

    def counted(text: str, *more: Any) -> Any:
        parsed.append(text)
        return parse_each(text, *more)

    monkeypatch.setattr(reading, "parse_each", counted)
    assert run(["explain", str(ORIGINAL), *ORIGIN, *POST, *KEY]) == 1
    original, with_pod, with_mesh = parsed
    assert original == ORIGINAL.read_text(encoding="utf-8")
    assert "meshcors-dummy" in with_pod
    assert "meshcors-dummy" not in with_mesh
