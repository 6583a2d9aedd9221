"""``meshcors explain`` on files, directories and standard input, as one mesh."""

from __future__ import annotations

import io
import json
import shlex
import sys
from pathlib import Path

import pytest

from meshcors._cli import run

DATA = Path(__file__).parent / "data"
ORIGINAL = (DATA / "virtualservice_original.yaml").read_text(encoding="utf-8")
NEIGHBOURS = (DATA / "neighbours.yaml").read_text(encoding="utf-8")
CALL = ("--origin", "https://ui.example", "--header", "model-api-key: xyz")
BROKEN = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec: 1\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def commands_of(files: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert run(["explain", *files, *CALL]) == 1
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    return [line for line in printed if line.startswith("meshcors ")]


@pytest.mark.parametrize(
    ("path", "files"),
    [
        pytest.param("model one.yaml", ["model one.yaml"], id="space"),
        pytest.param('it\'s $(x) & "y".yaml', ['it\'s $(x) & "y".yaml'], id="shell"),
        pytest.param("-model.yaml", ["."], id="dash"),
        pytest.param("deep/er/model.yml", ["deep"], id="directory"),
        pytest.param("deep/er/model.yml", ["deep/er/model.yml", "deep"], id="twice"),
    ],
)
def test_a_printed_command_can_be_pasted(
    path: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(ORIGINAL, encoding="utf-8")
    Path("beside.yaml").write_text(NEIGHBOURS, encoding="utf-8")
    commands = commands_of(files, capsys)
    assert len(commands) == 2
    assert not any("--pod" in command for command in commands)
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "meshcors"
        assert run(arguments) == 0
        assert "+++" in capsys.readouterr().out


def test_a_command_names_the_pod_that_was_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("model.yaml").write_text(ORIGINAL, encoding="utf-8")
    named, other = commands_of(["model.yaml", "--pod", "cors.team:9000"], capsys)
    assert "--with pod --pod cors.team:9000" in named
    assert "--pod" not in other
    assert run(shlex.split(named)[1:]) == 0
    assert "cors.team" in capsys.readouterr().out


def test_a_broken_document_is_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    Path("all").mkdir()
    Path("all/a.yaml").write_text(f"{BROKEN}---\n{ORIGINAL}", encoding="utf-8")
    Path("all/b.yaml").write_text("apiVersion: v1\nkind: [\n", encoding="utf-8")
    assert run(["explain", "all", *CALL]) == 1
    said = capsys.readouterr()
    assert "cheetah/model http[0]" in said.out
    notes = said.err.splitlines()
    assert notes
    assert all(note.startswith("note: all/") for note in notes)
    assert any(note.startswith("note: all/b.yaml:") for note in notes)


def test_a_command_that_fix_refuses_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Regression: the command named one file, whose host another unreadable file may share."""
    Path("all").mkdir()
    Path("all/a.yaml").write_text(ORIGINAL, encoding="utf-8")
    hosts = 'spec: {hosts: ["api.example"], http: 1}\n'
    Path("all/b.yaml").write_text(BROKEN.replace("spec: 1\n", hosts), encoding="utf-8")
    assert run(["explain", "all", *CALL]) == 1
    printed = capsys.readouterr().out
    assert "meshcors fix" not in printed
    assert "by hand" not in printed
    assert "fix writes none: all/a.yaml:" in printed
    assert "b.yaml:1:1 could not be read, and has the host api.example too (fix that" in printed


def test_many_broken_documents_are_few_notes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text("---\n".join([ORIGINAL, *[BROKEN] * 40]), encoding="utf-8")
    assert run(["explain", "a.yaml", *CALL]) == 1
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 21
    assert notes[-1].startswith("note: and ")
    assert notes[-1].endswith(" more")


def test_nothing_that_can_be_read_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    Path("b.yaml").write_text("a: [\n", encoding="utf-8")
    assert run(["explain", "b.yaml", *CALL]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "b.yaml:" in said.err


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = io.TextIOWrapper(io.BytesIO(ORIGINAL.encode()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", given)
    assert run(["explain", "-", *CALL]) == 1
    printed = capsys.readouterr().out
    assert "cheetah/model http[0] match[0] (<stdin>:14:13)" in printed
    assert "explain that file to get the command for it." in printed
    assert "meshcors fix" not in printed


def test_files_are_one_mesh(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text(NEIGHBOURS, encoding="utf-8")
    guard = (DATA / "token_wanted.yaml").read_text(encoding="utf-8")
    Path("b.yaml").write_text(guard, encoding="utf-8")
    for files, code in ((["a.yaml"], None), (["b.yaml", "a.yaml"], "denied_in_front")):
        call = ["--origin", "https://ui.example", "--url", "https://api.example/v1/x"]
        key = ["--header", "model-api-key: key-of-chat", "--format", "json"]
        assert run(["explain", *files, *call, *key]) == int(code is not None)
        cause = json.loads(capsys.readouterr().out)["cause"]
        assert (cause and cause["code"]) == code
