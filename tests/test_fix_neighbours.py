"""``fix`` on documents with neighbours: what it writes, what it leaves, and what it refuses."""

from __future__ import annotations

import errno
import json
import random
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meshcors import _cli as cli
from meshcors.config import rules_from_file
from meshcors.mesh import DocumentError
from meshcors.mesh._analysis.comparison import harmed_calls
from meshcors.mesh._analysis.lost_calls import lost_calls
from meshcors.mesh._fix import FixOptions, Responder, fix, fix_file, read_file
from tests import fix_generator
from tests.mesh_cases import to, vs
from tests.searching import examples
from tests.test_comparison import (
    CORS_A,
    CORS_B,
    KEY,
    TO_A,
    TO_B,
    TWO,
    WITHOUT,
    document,
)

RESPONDERS: tuple[Responder, ...] = ("pod", "mesh", "both")
ORIGIN = (("exact", "https://a.example"),)


def matches(text: str, responder: Responder, rule: int = 0, at: int = 0) -> object:
    """The conditions of one of the first rules in the fixed text, besides those of a preflight."""
    fixed = fix(text, "a.yaml", FixOptions(responder, origins=ORIGIN)).text
    documents = list(YAML(typ="safe", pure=True).load_all(fixed))
    found = documents[at]["spec"]["http"][rule]
    assert found["name"].startswith("preflight")
    (match,) = found["match"]
    assert match.pop("method") == {"exact": "OPTIONS"}
    headers = match.pop("headers")
    shown = {name: value for name, value in headers.items() if value != {}}
    return match | shown


LISTING = CORS_A.replace("[k]", "[k, content-type]")
ASKED = "access-control-request-headers"
A_ALONE = {
    "access-control-request-method": {"regex": "POST|GET|HEAD"},
    "origin": {"exact": "https://a.example"},
}
ALONE = {"regex": "(?i)k"}
LISTED = {"regex": "(?i)(content-type[, ]+)*k([, ]+content-type)*"}


@pytest.mark.parametrize(
    ("rules", "narrowed"),
    [
        pytest.param((f"{KEY}; {CORS_A}; {TO_A}",), {}, id="alone"),
        pytest.param(
            (f"{KEY}; {CORS_A}; {TO_A}", f"match: [{{uri: {{prefix: /web}}}}]; {TO_B}"),
            {ASKED: ALONE, **A_ALONE},
            id="a path beside it",
        ),
        pytest.param(
            (f"{KEY}; {LISTING}; {TO_A}", f"{CORS_B}; {TO_B}"),
            {ASKED: LISTED, **A_ALONE},
            id="a catch-all with a policy",
        ),
        pytest.param(
            (f"{KEY}; {LISTING}; {TO_A}", TO_B), {ASKED: LISTED, **A_ALONE},
            id="a catch-all without a policy",
        ),
        pytest.param(
            TWO, {ASKED: ALONE, **A_ALONE}, id="headers that the policy does not list"
        ),
        pytest.param(
            (
                f"{KEY.replace('{h', '{uri: {prefix: /v1}, h')}; {CORS_A}; {TO_A}",
                f"match: [{{uri: {{prefix: /web}}}}]; {CORS_B}; {TO_B}",
            ),
            {"uri": {"prefix": "/v1"}},
            id="by path",
        ),
        pytest.param(
            (
                f"match: [{{headers: {{k: {{exact: v}}, j: {{exact: w}}}}}}]; {LISTING}; {TO_A}",
                f"{CORS_B}; {TO_B}",
            ),
            {
                ASKED: {
                    "regex": "(?i)(content-type[, ]+)*j[, ]+(content-type[, ]+)*k"
                    "([, ]+content-type)*",
                },
                **A_ALONE,
            },
            id="two header names",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("responder", RESPONDERS)
def test_a_rule_is_as_narrow_as_its_neighbours_need(
    rules: tuple[str, ...], narrowed: dict[str, Any], responder: Responder
) -> None:
    if responder != "mesh":
        # The pod allows content-type whatever a policy lists.
        narrowed = {**narrowed, ASKED: LISTED} if narrowed.get(ASKED) == ALONE else narrowed
    assert matches(document(*rules), responder) == narrowed


def test_a_neighbour_in_another_document_is_left_alone() -> None:
    web = document(f"match: [{{uri: {{prefix: /web}}}}]; {CORS_B}; {TO_B}", name="web")
    alone = document(f"{KEY}; {LISTING}; {TO_A}")
    assert matches(f"{alone}---\n{web}", "pod") == {ASKED: LISTED, **A_ALONE}
    elsewhere = web.replace("api.example", "web.example")
    assert matches(f"{alone}---\n{elsewhere}", "pod") == {}


def test_rules_with_different_origins_get_a_rule_each() -> None:
    text = document(
        f"{KEY}; {CORS_A}; {TO_A}",
        f"{KEY}; {CORS_B.replace('[c', '[k, c')}; {TO_B}".replace("v", "w", 1),
    )
    fixed = fix(text, "a.yaml", FixOptions("mesh"))
    assert len(fixed.blocked) in {1, 2}
    assert list(lost_calls(fixed.after)) == []


UNMATCHED = "- name: unmatched"


@pytest.mark.parametrize(
    ("text", "options", "written", "note"),
    [
        pytest.param(document(TWO[0]), FixOptions("pod"), True, "", id="pod"),
        pytest.param(document(TWO[0]), FixOptions("both"), True, "", id="both"),
        pytest.param(document(TWO[0]), FixOptions("mesh"), False, "", id="mesh"),
        pytest.param(document(TWO[0]), FixOptions(unmatched=False), False, "", id="not wanted"),
        pytest.param(
            document(*WITHOUT), FixOptions(), False,
            "default/model: no rule for unmatched requests is written: default/model http[1] takes"
            " every other request",
            id="a catch-all is there",
        ),
        pytest.param(
            document(TWO[0]) + "---\n" + document(TO_B, name="web"), FixOptions(), False,
            "default/web http[0]", id="a catch-all in another document",
        ),
        pytest.param(
            document(f"match: [{{port: 8080, headers: {{k: {{exact: v}}}}}}]; {CORS_A}; {TO_A}")
            + "---\n" + document(TO_B, name="web", hosts="*.example"), FixOptions(), False,
            "it would take calls such as POST https://api.example/ (origin"
            " https://stranger.invalid) away from default/web http[0]",
            id="it would shadow a wildcard host",
        ),
    ],
)  # fmt: skip
def test_the_last_rule_is_written_where_it_harms_nobody(
    text: str, options: FixOptions, written: bool, note: str
) -> None:
    result = fix(text, "a.yaml", options)
    assert (UNMATCHED in result.text) is written
    assert note in "".join(result.notes)


@pytest.mark.parametrize("ending", ["", "\n", "\n# the end\n", "\n\n", "\n  # indented\n\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_last_rule_comes_last_whatever_follows(ending: str, newline: str) -> None:
    text = (document(TWO[0]).rstrip("\n") + ending).replace("\n", newline)
    result = fix(text, "a.yaml", FixOptions())
    assert result.text.endswith(newline) == text.endswith(newline)
    assert fix(result.text, "a.yaml", FixOptions()).text == result.text
    assert result.after.documents[0].http[-1].name == "unmatched"


def test_what_no_rule_can_do_safely_is_refused_with_the_call_that_would_break() -> None:
    """Envoy answers some of the preflights that a page sends, and the pod would take them all."""
    own = CORS_A.replace("[k]", "[authorization]").replace("]}", "], allowMethods: ['*']}", 1)
    other = "corsPolicy: {allowOrigins: [{exact: '*'}], allowHeaders: [k]}"
    text = document(f"{KEY}; {own}; {TO_A}", f"{other}; {TO_B}")
    reason = (
        r"^a.yaml:11:5: a rule for preflights would take over POST https://api.example/ from"
        r" https://a.example with k, which default/model http\[1\] answers today; write .* hand$"
    )
    with pytest.raises(DocumentError, match=reason):
        fix(text, "a.yaml", FixOptions("pod"))
    assert "name: preflight" in fix(text, "a.yaml", FixOptions("mesh")).text


@examples(25)
@given(st.integers(0, 2**32), st.sampled_from(RESPONDERS))
def test_any_fixed_file_harms_nobody_and_loses_nothing(seed: int, responder: Responder) -> None:
    file = read_file(fix_generator.file(random.Random(seed)), "a.yaml")
    try:
        result = fix_file(file, FixOptions(responder, origins=ORIGIN))
    except DocumentError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        return
    also = FixOptions(responder).also_allowed
    assert next(harmed_calls(file.mesh, result.after, also), None) is None
    repaired = {calls.service.key for calls in result.blocked}
    left = {lost.calls.route.document.key for lost in lost_calls(result.after)}
    assert not repaired & left
    again = fix(result.text, "a.yaml", FixOptions(responder, origins=ORIGIN))
    assert again.text == result.text


# the command


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_are_one_mesh_and_each_gets_its_diff(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "a.yaml").write_text(document(f"{KEY}; {LISTING}; {TO_A}"))
    (directory / "b.yaml").write_text(
        document(f"{KEY.replace('k:', 'j:')}; {CORS_A}; {TO_A}", name="other", hosts="b.example")
    )
    (directory / "web.yaml").write_text(document(f"{CORS_B}; {TO_B}", name="web"))
    assert cli.run(["fix", "a.yaml"]) == 0
    assert ASKED not in capsys.readouterr().out
    assert cli.run(["fix", "."]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("+++")] == [
        "+++ a.yaml", "+++ b.yaml",
    ]  # fmt: skip
    assert ASKED in out
    assert cli.run(["fix", ".", "--write", "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(each["file"], each["written"]) for each in report["files"]] == [
        ("a.yaml", True), ("b.yaml", True),
    ]  # fmt: skip
    assert cli.run(["fix", "a.yaml", "b.yaml", "web.yaml"]) == 0
    assert capsys.readouterr().out == "nothing to fix\n"


def test_standard_input_is_not_written_to(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["fix", "-", "--write"]) == 2
    assert capsys.readouterr().err == (
        "meshcors: --write cannot change standard input: name the files instead\n"
    )


def test_what_cannot_be_read_is_named_and_does_not_stop_the_others(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "a.yaml").write_text(document(TWO[0]))
    (directory / "b.yaml").write_text(document("match: 1", name="broken", hosts="b.example"))
    assert cli.run(["fix", "a.yaml", "b.yaml"]) == 0
    printed = capsys.readouterr()
    assert "+++ a.yaml" in printed.out
    assert "note: not read, so its calls were not checked: b.yaml:8:12: " in printed.err
    (directory / "b.yaml").write_text(document("match: 1", name="broken", hosts="*.example"))
    assert cli.run(["fix", "a.yaml", "b.yaml", "--write"]) == 2
    assert "b.yaml:1:1 could not be read, and has the host *.example too" in capsys.readouterr().err
    assert (directory / "a.yaml").read_text() == document(TWO[0])


@pytest.mark.parametrize("pod", ["meshcors-dummy:8080", "answers.edge:81"])
def test_the_printed_commands_deploy_the_service_that_the_new_rules_name(
    pod: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = document(TWO[0]).replace("{name: model}", "{name: model, namespace: models}")
    (directory / "a.yaml").write_text(text)
    assert cli.run(["fix", "a.yaml", "--write", "--pod", pod]) == 0
    notes = capsys.readouterr().err.splitlines()
    (first,) = (line.partition("deploy it: ")[2] for line in notes if "deploy it: " in line)
    (second,) = (line.partition("then: ")[2] for line in notes if "then: " in line)
    write, render = first.split(" && ")
    printf, form, policy, into, file = shlex.split(write)
    assert (printf, form, into) == ("printf", "%s", ">")
    Path(file).write_text(policy)
    assert str(rules_from_file(file).rules[0].policy.allow_origins[0]) == "https://a.example"
    assert cli.run(shlex.split(render)[1:]) == 0
    kubectl, apply, option, made = shlex.split(second)
    assert (kubectl, apply, option) == ("kubectl", "apply", "-k")
    services = [
        each
        for path in Path(made).glob("*.yaml")
        for each in YAML(typ="safe", pure=True).load_all(path.read_text())
        if each.get("kind") == "Service"
    ]
    (service,) = services
    (rule, *_, last) = YAML(typ="safe", pure=True).load(Path("a.yaml").read_text())["spec"]["http"]
    assert rule["route"] == last["route"]
    to = rule["route"][0]["destination"]
    name, _, namespace = to["host"].removesuffix(".svc.cluster.local").partition(".")
    kustomization = YAML(typ="safe", pure=True).load(Path(made, "kustomization.yaml").read_text())
    where = service["metadata"].get("namespace") or kustomization.get("namespace")
    assert service["metadata"]["name"] == name
    assert where == (namespace or "models")
    assert service["spec"]["ports"][0]["port"] == to["port"]["number"]


def test_all_files_are_written_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = f"{{match: [{{headers: {{x-key: {{exact: a}}}}}}], {CORS_A}, {to()}}}"
    paths = [tmp_path / f"{name}.yaml" for name in "abc"]
    texts = [vs(rule, name=path.stem, hosts=f"[{path.stem}.example]") for path in paths]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    replace = Path.replace

    def fails_once(self: Path, target: Path) -> Path:
        if target.name == "c.yaml":
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails_once)
    assert cli.run(["fix", str(tmp_path), "--write"]) == 2
    assert "Permission denied; nothing is written\n" in capsys.readouterr().err
    assert [path.read_text() for path in paths] == texts
    assert sorted(tmp_path.iterdir()) == paths


@pytest.mark.parametrize("layout", ["block", "flow"])
def test_a_file_with_crlf_keeps_its_line_ends(layout: str) -> None:
    rules = {
        "block": """
  - match:
    - headers:
        x-key: {exact: one}
    route:
    - destination:
        host: s1
""",
        "flow": """
  - {match: [{headers: {x-key: {exact: one}}}], route: [{destination: {host: s1}}]}
""",
    }
    document = f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: NAME}}
spec:
  hosts: [NAME.example]
  gateways: [g]
  http:{rules[layout]}"""
    text = "---\n".join(document.replace("NAME", name) for name in "ab").replace("\n", "\r\n")
    fixed = fix(text, "a.yaml", FixOptions(origins=(("exact", "https://ui.example"),))).text
    assert fixed.count("name: unmatched") == 2
    assert not {"\r", "\n"} & set(fixed.replace("\r\n", ""))
    assert set(text.split("\r\n")) <= set(fixed.split("\r\n"))


def test_a_document_that_is_there_twice_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = vs(f"{{match: [{{headers: {{x-key: {{exact: a}}}}}}], {CORS_A}, {to()}}}")
    for name in ("prod", "staging"):
        (tmp_path / f"{name}.yaml").write_text(text)
    assert cli.run(["fix", str(tmp_path)]) == 0
    assert f"is at {tmp_path / 'prod.yaml'}:1:1 too" in capsys.readouterr().err
