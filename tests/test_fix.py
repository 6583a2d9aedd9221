"""``fix``: what it writes works, and everything else stays byte for byte."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meshcors import _cli as cli
from meshcors._policy.errors import OriginError
from meshcors.mesh import DocumentError, Gateway, GatewayRequest
from meshcors.mesh._analysis.mesh_documents import MeshDocuments
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._fix import FixOptions, Responder, fix, fix_mesh, separate
from meshcors.mesh._fix import edits as fix_edits
from meshcors.mesh._lint import lint
from meshcors.mesh._routing.matching import compiled
from tests.searching import examples

DATA = Path(__file__).parent / "data"
ORIGINAL = (DATA / "virtualservice_original.yaml").read_text()
BEFORE = (DATA / "virtualservice_before.yaml").read_text()
UI = ("exact", "https://ui.example")
OTHER = ("exact", "http://localhost:3000")
RESPONDERS: tuple[Responder, ...] = ("pod", "mesh", "both")
EVERY_RESPONDER = pytest.mark.parametrize("responder", RESPONDERS)
# The rules of lint whose findings fix resolves.
FIXED_RULES = {"MC001", "MC002", "MC004"}

HEAD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: model}
spec:
  hosts: ["*"]
  gateways: [gateway]
"""
BLOCK = """\
# top
apiVersion: networking.istio.io/v1
kind: VirtualService   # kind
metadata:
    name: model
spec:
    gateways:
        - gateway   # the gateway
    hosts:
        - "api.example.com"
    http:
        # the xyz model
        -   match:
                -   headers:
                        model-api-key:
                            exact: xyz
                    uri:
                        prefix: /v1
            corsPolicy:
                allowCredentials: true
                allowOrigins:
                    - exact: '*'   # all
                    # a comment
                    -   exact: https://admin.example
            route:
                -   destination:
                        host: model
# end
"""
TEXTS = {
    "the original": ORIGINAL,
    "block style, indented by four": BLOCK,
    "CRLF": BLOCK.replace("\n", "\r\n"),
    "no final newline": BLOCK.rstrip("\n").removesuffix("\n# end"),
    "a byte order mark": "\ufeff" + BLOCK,
    "in a List": "apiVersion: v1\nkind: List\nitems:\n- " + BLOCK[6:].replace("\n", "\n  ") + "\n",
    "between other documents": (
        f"apiVersion: v1\nkind: Service\n--- # next\n{BLOCK}...\n---\n{BEFORE}"
    ),
    "JSON": """{
  "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "m"},
  "spec": {
    "hosts": ["*"], "gateways": ["g"],
    "http": [
      {
        "match": [{"headers": {"k": {"exact": "v"}}}],
        "corsPolicy": {"allowOrigins": [{"exact": "*"}], "allowCredentials": true},
        "route": [{"destination": {"host": "a"}}]
      }
    ]
  }
}""",
    "flow style in one line": HEAD
    + "  http: [{match: [{headers: {k: {exact: v}}}], route: [{destination: {host: a}}],"
    + " corsPolicy: {allowOrigins: [exact: '*'], allowCredentials: true}}] # all\n",
    "anchors": HEAD
    + """\
  http: &rules
  - &first
    match:
    - headers: {k: {exact: v}}
    corsPolicy: &cors
      allowOrigins: [exact: "*"]
      allowCredentials: true
    route: &route
    - destination: {host: a}
  - match:
    - headers: {k: {exact: w}}
    corsPolicy: *cors
    route: *route
  - <<: *first
    match:
    - headers: {k: {exact: x}}
""",
    "the older allowOrigin": HEAD
    + """\
  http:
  -
    match:
    - headers: {k: {exact: v}}
    corsPolicy:
      allowOrigin:
      - "*"
      - https://admin.example
      allowCredentials: true
    route:
    - destination: {host: a}""",
    "an open regex": HEAD
    + """\
  http:
  - match:
    - headers: {k: {exact: v}}
    corsPolicy:
      allowOrigins:
      - regex: .*
      - exact: '*'
      allowCredentials: true
    route:
    - destination: {host: a}
""",
    "a comment of dashes": HEAD
    + """\
  http: # - not this
  # - match: nor this
  - # - or this
    match:
    - headers: {k: {exact: v}}
    route:
    - destination: {host: a}
""",
}
EVERY_TEXT = pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))


def is_kept(before: str, after: str) -> bool:
    """Whether every character is still there, in order, except for the open origins."""
    left = iter(after)
    wanted = re.sub(r"regex: \.|\*", "", before)
    return all(char in left for char in wanted)


@EVERY_RESPONDER
@EVERY_TEXT
def test_a_fixed_file_is_right_and_stays_as_it_is(text: str, responder: Responder) -> None:
    fixed = fix(text, "a.yaml", FixOptions(responder, origins=(UI, OTHER))).text
    assert fixed != text
    assert is_kept(text, fixed)
    assert {finding.rule.id for finding in lint({"a.yaml": fixed})} & FIXED_RULES == set()
    assert fix(fixed, "a.yaml", FixOptions(responder)).text == fixed
    assert fixed.endswith("\n") == text.endswith("\n")
    assert ("\r\n" in fixed) == ("\r\n" in text)
    assert fixed.count("\r") == (fixed.count("\n") if "\r\n" in text else 0)


@EVERY_TEXT
def test_lines_that_are_not_about_origins_stay(text: str) -> None:
    after = fix(text, "a.yaml", FixOptions(origins=(UI, OTHER))).text.splitlines()
    for line in text.splitlines():
        if "*" not in line and "http: [" not in line:
            # In JSON, one more item needs one more comma.
            assert line in after or f"{line}," in after


@EVERY_RESPONDER
def test_a_rule_is_written_in_the_style_of_the_file(responder: Responder) -> None:
    added = [
        line
        for line in fix(
            BLOCK, "a.yaml", FixOptions(responder, origins=(UI, OTHER))
        ).text.splitlines()
        if line not in BLOCK
    ]
    assert "                        access-control-request-method: {}" in added
    assert [line for line in added if re.search(r"[\[{](?!\})", line)] == []
    json_text = TEXTS["JSON"]
    assert json.loads(fix(json_text, "a.json", FixOptions(responder, origins=(UI,))).text)


def test_a_comment_stays_with_the_rule_it_is_above() -> None:
    lines = fix(BLOCK, "a.yaml", FixOptions(origins=(UI,))).text.splitlines()
    at = lines.index("        # the xyz model")
    assert lines[at - 1].strip() == "number: 8080"
    assert lines[at + 1] == "        -   match:"


def test_the_preflight_rule_takes_what_the_calls_share_and_no_more() -> None:
    text = (
        HEAD
        + """\
  http:
  - match:
    - uri: {prefix: /a}
      headers: {k: {exact: v}}
    - uri: {regex: /b/.*}
      method: {exact: PUT}
      authority: {exact: b.example}
      withoutHeaders: {x-internal: {}}
    route: [{destination: {host: one}}]
    corsPolicy: {allowOrigins: [{exact: https://ui.example}], allowHeaders: [content-type]}
  - match:
    - uri: {prefix: /a}
      headers: {k: {exact: w}}
    route: [{destination: {host: two}}]
"""
    )
    made = YAML(typ="safe", pure=True).load(fix(text, "a.yaml", FixOptions("mesh")).text)["spec"][
        "http"
    ][0]
    preflight = {"method": {"exact": "OPTIONS"}, "headers": {"access-control-request-method": {}}}
    assert made == {
        "name": "preflight",
        "match": [
            {"uri": {"prefix": "/a"}, **preflight},
            {"uri": {"regex": "/b/.*"}, "authority": {"exact": "b.example"}, **preflight},
        ],
        "corsPolicy": {
            "allowOrigins": [{"exact": "https://ui.example"}],
            "allowMethods": ["PUT"],
            "allowHeaders": ["content-type", "k"],
            "unmatchedPreflights": "IGNORE",
        },
        "route": [{"destination": {"host": "one"}}],
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param((DATA / "virtualservice_with_pod.yaml").read_text(), id="with a pod"),
        pytest.param(HEAD + "  http: [{route: [{destination: {host: a}}]}]\n", id="no CORS"),
        pytest.param(
            HEAD.replace("gateways: [gateway]", "gateways: [mesh]").replace('"*"', "model")
            + "  http: [{match: [{headers: {k: {exact: v}}}], route: [{destination: {host: a}}]}]",
            id="sidecars only, no CORS",
        ),
        *(
            pytest.param(path.read_text(), id=path.stem)
            for path in sorted((DATA / "istio-samples").glob("*.yaml"))
            if "kind: VirtualService" in path.read_text()
        ),
    ],
)
@EVERY_RESPONDER
def test_what_is_right_stays_as_it_is(text: str, responder: Responder) -> None:
    assert fix(text, "a.yaml", FixOptions(responder, origins=(UI,))).text == text


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        pytest.param(
            ORIGINAL, FixOptions(), r":12:30: \* with credentials .*--allow-origin", id="star"
        ),
        pytest.param(
            BEFORE, FixOptions("mesh"), ":7:3: no corsPolicy says .*--allow-origin", id="none"
        ),
        pytest.param(
            BEFORE.replace("  - match", "  - corsPolicy: {allowOrigins: []}\n    match"),
            FixOptions("both"),
            "--allow-origin",
            id="an empty list",
        ),
        pytest.param(
            HEAD
            + """\
  http:
  - match: [{headers: {k: {exact: v}}}]
    route: [{destination: {host: a}}]
---
"""
            + HEAD.replace("name: model", "name: older, creationTimestamp: 2020-01-01T00:00:00Z")
            + """\
  http:
  - match: [{method: {exact: OPTIONS}, uri: {prefix: /}}, {method: {exact: OPTIONS}}]
    redirect: {authority: elsewhere.example}
""",
            FixOptions(origins=(UI,)),
            r":8:13: default/older http\[0\] match\[0\] would still take its preflights",
            id="an older VirtualService in front",
        ),
        pytest.param(
            HEAD
            + """\
  <<:
    http:
    - match: [{headers: {k: {exact: v}}}]
      route: [{destination: {host: a}}]
""",
            FixOptions(origins=(UI,)),
            "write the rule for preflights by hand",
            id="rules merged in",
        ),
    ],
)
def test_what_would_be_a_guess_is_refused_with_its_place(
    text: str, options: FixOptions, reason: str
) -> None:
    with pytest.raises(DocumentError, match=reason):
        fix(text, "a.yaml", options)


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        pytest.param("model-deploy", "nodel-deploy", id="a value of the file"),
        pytest.param("maxAge", "maxage", id="a name of the file"),
        pytest.param("meshcors-dummy", "meshcors-dumny", id="a value of the new rule"),
        pytest.param("8080", '"8080"', id="a type in the new rule"),
        pytest.param("name: preflight", "name: preflight\n    name2: x", id="more than the rule"),
        pytest.param("https://ui.example", "https://ux.example", id="the new origin"),
        pytest.param('"https://ui.example"}', '"https://ui.example"}, {exact: x}', id="one more"),
        pytest.param("  - name: preflight", "  - {}\n  - name: preflight", id="another rule"),
        pytest.param("kind: Virt", "kind: virt", id="what the document is"),
    ],
)
def test_a_result_that_says_something_else_is_never_written(
    written: str, instead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is read back: an edit in the wrong place is an error, not a broken file."""
    original = fix_edits.apply

    def clumsy(text: str, edits: Any) -> str:
        right = original(text, edits)
        assert written in right
        return right.replace(written, instead)

    monkeypatch.setattr("meshcors.mesh._fix.in_place.apply", clumsy)
    with pytest.raises(DocumentError, match="without touching the rest"):
        fix(ORIGINAL, "a.yaml", FixOptions(origins=(UI,)))


def test_an_aliased_list_of_rules_is_changed_once_for_each_document() -> None:
    rules = """&rules
    - match: [{headers: {k: {exact: v}}}]
      corsPolicy: {allowOrigins: [exact: '*'], allowCredentials: true}
      route: [{destination: {host: a}}]
"""
    item = HEAD.replace("\n", "\n  ").rstrip(" ")
    text = (
        f"apiVersion: v1\nkind: List\nitems:\n- {item}    http: {rules}"
        f"- {item.replace('name: model', 'name: other')}    http: *rules\n"
    ).replace('["*"]', "[a.example]", 1)
    fixed = fix(text, "a.yaml", FixOptions(origins=(UI, OTHER))).text
    assert is_kept(text, fixed)
    assert fix(fixed, "a.yaml", FixOptions()).text == fixed
    assert fixed.count("- name: preflight") == 1
    assert fixed.count("https://ui.example") == 1


def test_an_older_list_of_origins_takes_no_patterns() -> None:
    text = TEXTS["the older allowOrigin"]
    pattern = ("regex", "https://.*[.]ui[.]example")
    with pytest.raises(DocumentError, match=r"a.yaml:12:7: allowOrigin takes exact origins only"):
        fix(text, "a.yaml", FixOptions(origins=(pattern,)))
    null = text.replace("      allowOrigin:", "      allowOrigins: ~\n      allowOrigin:")
    assert "https://ui.example" in fix(null, "a.yaml", FixOptions(origins=(UI,))).text


@pytest.mark.parametrize(
    ("origin", "allowed", "refused"),
    [
        pytest.param("https://ui.example", "https://ui.example", "https://ui-example", id="exact"),
        pytest.param(
            "https://*.ui.example", "https://a.b.ui.example", "https://ui.example", id="below"
        ),
        pytest.param("https://*.ui.example", "https://a.ui.example", "https://aui.example", id="."),
        pytest.param(
            "http://localhost:*", "http://localhost:3000", "http://localhost.a", id="port"
        ),
        pytest.param("http://[::1]:*", "http://[::1]:3000", "http://[::1]a", id="IPv6"),
        pytest.param("https://*.a.b:8443", "https://c.a.b:8443", "https://c.a.b", id="both"),
        pytest.param("https://*.a.b:*", "https://c.a.b", "https://a.b:1", id="any port, none"),
        pytest.param("https://*.a.b:*", "https://d.c.a.b:1", "https://xa.b:1", id="any port"),
        pytest.param("regex:https://.b", "https://ab", "https://b", id="regex"),
    ],
)
def test_origins_become_string_matches(origin: str, allowed: str, refused: str) -> None:
    kind, value = origin_match(origin)
    pattern = value if kind == "regex" else re.escape(value)
    assert compiled(pattern).fullmatch(allowed)
    assert not compiled(pattern).fullmatch(refused)


@pytest.mark.parametrize("origin", ["ui.example", "https://UI.example", "regex:(", ""])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(OriginError):
        origin_match(origin)


# --separate


@EVERY_RESPONDER
def test_a_second_virtual_service_takes_the_preflights(responder: Responder) -> None:
    second = separate(ORIGINAL, "a.yaml", FixOptions(responder, origins=(UI,))).text
    gateway = Gateway.from_yaml(f"{ORIGINAL}---\n{second}")
    headers = [
        ("origin", "https://ui.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "model-api-key"),
    ]
    answer = gateway.handle(GatewayRequest("OPTIONS", "any.example", "/v1/predict", headers))
    assert answer.rule == "cheetah/model-preflight http[0] match[0]"
    assert answer.kind == ("forward" if responder == "pod" else "cors")
    assert separate(f"{ORIGINAL}---\n{second}", "a.yaml", FixOptions(responder)).blocked == ()


def test_a_second_virtual_service_is_refused_where_it_would_come_too_late() -> None:
    text = (
        HEAD
        + """\
  http:
  - match: [{headers: {k: {exact: v}}, uri: {prefix: /v1}}]
    corsPolicy: {allowOrigins: [{exact: https://ui.example}]}
    route: [{destination: {host: a}}]
  - match: [{uri: {prefix: /v1}}]
    route: [{destination: {host: web}}]
"""
    )
    with pytest.raises(
        DocumentError, match=r"default/model http\[1\] match\[0\] would still take its preflights"
    ):
        separate(text, "a.yaml", FixOptions())
    sidecars = text.replace("gateways: [gateway]", "gateways: [mesh]").replace('"*"', "model")
    with pytest.raises(DocumentError, match="sidecars do not merge"):
        separate(sidecars, "a.yaml", FixOptions())


# the command


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("model.yaml")
    path.write_text(ORIGINAL)
    return path


ALLOW = ["--allow-origin", "https://ui.example"]


def test_write_changes_the_file_and_says_so_once(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.chmod(0o640)
    assert cli.run(["fix", "model.yaml", "--write", *ALLOW]) == 0
    assert capsys.readouterr().out == "model.yaml: written\n"
    assert model.read_text() == fix(ORIGINAL, "model.yaml", FixOptions(origins=(UI,))).text
    assert stat.S_IMODE(model.stat().st_mode) == 0o640
    inode = model.stat().st_ino
    assert cli.run(["fix", "model.yaml", "--write", *ALLOW]) == 0
    assert capsys.readouterr().out == "model.yaml: nothing to fix\n"
    assert model.stat().st_ino == inode
    assert [path.name for path in Path().iterdir()] == ["model.yaml"]


def test_write_follows_a_symbolic_link(model: Path) -> None:
    Path("there").mkdir()
    target = model.rename("there/real.yaml")
    model.symlink_to(target)
    assert cli.run(["fix", "model.yaml", "--write", *ALLOW]) == 0
    assert model.is_symlink()
    assert "name: preflight" in target.read_text()


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_the_diff_applies(
    text: str, model: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    if shutil.which("patch") is None:
        report = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        report("patch is missing: apt-get install patch")
    model.write_bytes(text.encode())
    assert cli.run(["fix", "model.yaml", *ALLOW]) == 0
    diff = capfdbinary.readouterr().out
    assert model.read_bytes() == text.encode()
    subprocess.run(["patch", "--binary", "-p0"], input=diff, check=True, capture_output=True)
    assert model.read_bytes() == fix(text, "model.yaml", FixOptions(origins=(UI,))).text.encode()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        pytest.param("model.yaml", "model.yaml", id="plain"),
        pytest.param("ä model.yaml", "ä model.yaml\t", id="a space"),
        pytest.param("a\x1b[31m.yaml", r'"a\033[31m.yaml"', id="a terminal escape"),
        pytest.param("a\nb.yaml", r'"a\012b.yaml"', id="a line break"),
        pytest.param('"a\\\t.yaml', r'"\"a\\\011.yaml"', id="quotes"),
        pytest.param("\udcff.yaml", r'"\377.yaml"', id="not UTF-8"),
    ],
)
def test_a_diff_names_any_file_so_that_it_applies(
    name: str, label: str, model: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    model.rename(name)
    assert cli.run(["fix", name, *ALLOW]) == 0
    printed = capfdbinary.readouterr()
    assert printed.out.decode().startswith(f"--- {label}\n+++ {label}\n@@")
    assert b"\x1b" not in printed.out + printed.err
    if shutil.which("patch") is not None:
        subprocess.run(["patch", "-p0"], input=printed.out, check=True, capture_output=True)
        assert Path(name).read_text() == fix(ORIGINAL, "a.yaml", FixOptions(origins=(UI,))).text


def test_a_terminal_is_not_steered_by_a_file(model: Path) -> None:
    """A pipe gets the bytes of the diff, a terminal only what it can print."""
    pty = pytest.importorskip("pty")
    marked = ORIGINAL.replace("  - corsPolicy:", "  # \u202e \u2066\tkeep\n  - corsPolicy:")
    assert marked != ORIGINAL
    model.write_text(marked)
    command = [sys.executable, "-m", "meshcors", "fix", "model.yaml", *ALLOW]
    piped = subprocess.run(command, check=True, capture_output=True)
    assert "# \u202e \u2066\tkeep\n" in piped.stdout.decode()
    ours, theirs = pty.openpty()
    try:
        subprocess.run(command, check=True, stdout=theirs, stderr=subprocess.DEVNULL)
        shown = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert r"# \u202e \u2066" in shown
    assert "keep" in shown
    assert all(char.isprintable() or char in "\r\n\t" for char in shown)


@pytest.mark.parametrize("char", [r"\u2028", r"\x85", r"\u202e", r"\x7f", r"\ufeff", "\U0001f600"])
def test_invisible_characters_are_written_so_that_they_are_read_again(char: str) -> None:
    text = HEAD + (
        "  http:\n  - match: [{headers: {k: {exact: v}}}]\n"
        f'    corsPolicy: {{allowOrigins: [{{exact: "https://a{char}"}}]}}\n'
        "    route: [{destination: {host: a}}]\n"
    )
    fixed = fix(text, "a.yaml", FixOptions("mesh")).text
    added = fixed.split("- name: preflight")[1].split("  - match")[0]
    assert all(each.isprintable() or each == "\n" for each in added)
    first, second = YAML(typ="safe", pure=True).load(fixed)["spec"]["http"]
    assert first["corsPolicy"]["allowOrigins"] == second["corsPolicy"]["allowOrigins"]


def test_a_file_that_changed_meanwhile_is_left_alone(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def slow(mesh: MeshDocuments, options: FixOptions) -> Any:
        model.write_text(ORIGINAL + "# an editor was faster\n")
        return fix_mesh(mesh, options)

    monkeypatch.setattr("meshcors._cli.fix.fix_mesh", slow)
    assert cli.run(["fix", "model.yaml", "--write", *ALLOW]) == 2
    assert "the file has changed in the meantime" in capsys.readouterr().err
    assert model.read_text().endswith("# an editor was faster\n")
    assert [path.name for path in Path().iterdir()] == ["model.yaml"]


def test_a_write_that_fails_leaves_the_old_file(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("meshcors._cli.files.os.fsync", full)
    assert cli.run(["fix", "model.yaml", "--write", *ALLOW]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert model.read_text() == ORIGINAL
    assert [path.name for path in Path().iterdir()] == ["model.yaml"]


def test_separate_writes_beside_the_file_and_over_nothing(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["fix", "model.yaml", "--separate", *ALLOW]
    assert cli.run(command) == 0
    assert capsys.readouterr().out.startswith("--- /dev/null\n+++ model-preflight.yaml\n")
    assert cli.run([*command, "--write"]) == 0
    assert cli.run([*command, "--write"]) == 0
    assert capsys.readouterr().out == (
        "model-preflight.yaml: written\nmodel-preflight.yaml: nothing to fix\n"
    )
    assert model.read_text() == ORIGINAL
    assert cli.run([*command, "--write", "--with", "mesh"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert Path("model-preflight.yaml").read_text() == (
        separate(ORIGINAL, "model.yaml", FixOptions(origins=(UI,))).text
    )


@pytest.mark.parametrize(
    ("args", "note"),
    [
        pytest.param(
            ["--with", "mesh", *ALLOW], "without a pod, Envoy does not check the method", id="mesh"
        ),
        pytest.param(ALLOW, "--key-header model-api-key --allow-credentials", id="the pod's flags"),
        pytest.param(
            ["--pod", "p.ns:81", *ALLOW], "start the pod behind p.ns:81 with: ", id="the pod's name"
        ),
    ],
)
@pytest.mark.usefixtures("model")
def test_notes_go_to_stderr(args: list[str], note: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["fix", "model.yaml", *args]) == 0
    printed = capsys.readouterr()
    assert note in printed.err
    assert "note: " not in printed.out


@pytest.mark.usefixtures("model")
def test_json_reports_what_would_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["fix", "model.yaml", "--format", "json", *ALLOW]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["file"], report["changed"], report["written"]) == ("model.yaml", True, False)
    assert report["diff"].startswith("--- model.yaml\n+++ model.yaml\n@@")
    assert report["notes"]


# any file

NAMES = st.sampled_from(["model-api-key", "x-tenant", "authorization"])
URI = st.one_of(
    st.none(),
    st.builds(lambda kind, path: {kind: path}, st.sampled_from(["exact", "prefix"]),
              st.sampled_from(["/", "/v1", "/v1/predict"])),
)  # fmt: skip
ORIGINS = st.lists(
    st.sampled_from(["*", "https://a.example", "http://localhost:3000"]), min_size=1, unique=True
)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    match: dict[str, Any] = {
        "headers": {draw(NAMES): {"exact": draw(st.text("ab1 #'", max_size=4))}}
    }
    uri = draw(URI)
    if uri:
        match["uri"] = uri
    rule: dict[str, Any] = {"match": [match]}
    if draw(st.booleans()):
        rule["corsPolicy"] = {"allowOrigins": [{"exact": origin} for origin in draw(ORIGINS)]}
        if draw(st.booleans()):
            rule["corsPolicy"]["allowCredentials"] = True
    rule["route"] = [{"destination": {"host": "model", "port": {"number": 8000}}}]
    return rule


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A file of one or two documents in one of many styles, with comments."""
    data = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "model"},
        "spec": {
            "hosts": ["*"],
            "gateways": ["gateway"],
            "http": draw(st.lists(rules(), min_size=1, max_size=3)),
        },
    }
    style = draw(st.sampled_from(["json", "json lines", "flow", "block", "block"]))
    if style.startswith("json"):
        text = json.dumps(data, indent=2 if "lines" in style else None)
    else:
        yaml = YAML()
        yaml.width = draw(st.sampled_from([20, 80, 1000]))
        yaml.default_flow_style = style == "flow"
        step, offset = draw(st.sampled_from([(2, 0), (2, 2), (4, 0), (4, 2), (3, 1)]))
        yaml.indent(mapping=step, sequence=offset + 2, offset=offset)
        stream = io.StringIO()
        yaml.dump(data, stream)
        text = stream.getvalue()
    if style == "block" and draw(st.booleans()):
        lines = text.splitlines()
        for at in draw(st.sets(st.integers(0, len(lines) - 1), max_size=5)):
            if lines[at].lstrip().startswith("-") or lines[at].endswith(":"):
                lines[at] = f"{draw(st.sampled_from(['', '  ']))}# - a: comment\n{lines[at]}"
        text = "\n".join(lines) + "\n"
    if draw(st.booleans()):
        text = f"apiVersion: v1\nkind: ConfigMap\ndata: {{a: 'b'}}\n---\n{text}"
    if draw(st.booleans()):
        text = text.rstrip("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@examples(60)
@given(texts(), st.sampled_from(RESPONDERS))
def test_any_file_is_fixed_and_nothing_of_it_lost(text: str, responder: Responder) -> None:
    try:
        fixed = fix(text, "a.yaml", FixOptions(responder, origins=(UI, OTHER))).text
    except DocumentError as error:
        # Rules of one URL may want answers that no preflight can tell apart.
        # Nor does one policy's preflight get the credentials of another.
        assert re.search("would still take its preflights|credentials", str(error))  # noqa: PT017
        return
    assert is_kept(text, fixed)
    assert fix(fixed, "a.yaml", FixOptions(responder, origins=(UI, OTHER))).text == fixed
    assert {finding.rule.id for finding in lint({"a.yaml": fixed})} & FIXED_RULES == set()
