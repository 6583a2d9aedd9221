"""The command line: exit codes, one line for a mistake, no imports that are not needed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshcors import _cli as cli
from meshcors._cli.lab_check import _summary
from meshcors._lab.settings import DEFAULT_POD

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).parent / "data"
ORIGINAL = str(DATA / "virtualservice_original.yaml")
WARNED = str(DATA / "lint" / "mc011_found.yaml")
FIXED = str(DATA / "virtualservice_with_pod.yaml")


def meshcors(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meshcors", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        pytest.param(["--help"], 0, id="help"),
        pytest.param(["--version"], 0, id="version"),
        pytest.param(["lint", "--help"], 0, id="help of a verb"),
        pytest.param(["dummy", "--help"], 0, id="help of the pod"),
        pytest.param(["lint", FIXED], 0, id="nothing found"),
        pytest.param(["lint", ORIGINAL], 1, id="something found"),
        pytest.param(["lint", ORIGINAL, "--select", "mc002,MC003"], 0, id="nothing selected found"),
        pytest.param(["lint", ORIGINAL, "--select", "MC001", "--ignore", "MC001"], 0, id="ignored"),
        pytest.param(["lint", ORIGINAL, "--select", "MC014,MC015"], 0, id="notes alone"),
        pytest.param(
            ["lint", ORIGINAL, "--select", "MC014", "--fail-on", "note"], 1, id="notes fail"
        ),
        pytest.param(["lint", WARNED, "--select", "MC011"], 1, id="a warning"),
        pytest.param(
            ["lint", ORIGINAL, "--select", "MC011", "--fail-on", "error"], 0, id="warnings pass"
        ),
        pytest.param(["lint", ORIGINAL, "--fail-on", "error"], 1, id="an error"),
        pytest.param(["lint", "--explain", "MC001"], 0, id="a rule is explained"),
        pytest.param(["lint", "--explain", "mc001,MC002"], 0, id="two rules are explained"),
        pytest.param(["lint", ORIGINAL, "--explain", "MC001"], 0, id="and no file is read"),
        pytest.param(["fix", FIXED], 0, id="nothing to fix"),
        pytest.param(["fix", ORIGINAL, "--allow-origin", "https://ui.example"], 0, id="a diff"),
    ],
)
def test_exit_codes(args: Sequence[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(args) == code
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "line"),
    [
        pytest.param([], "name a verb: ", id="no verb"),
        pytest.param(["lnit"], "lnit: unknown; did you mean lint?", id="misspelled verb"),
        pytest.param(["--vrsion"], "--vrsion: unknown; did you mean --version?", id="option"),
        pytest.param(["--version=1"], "--version: it takes no value", id="a value too many"),
        pytest.param(
            ["lint", ORIGINAL, "--formt", "json"],
            "--formt: unknown; did you mean --format?",
            id="misspelled option",
        ),
        pytest.param(
            ["explain", ORIGINAL, "--origin", "https://a.example", "--origin=https://b.example"],
            "--origin: given twice: leave one out",
            id="twice",
        ),
        pytest.param(
            ["fix", ORIGINAL, "--with", "pod", "--with", "mesh"],
            "--with: given twice: leave one out",
            id="a choice twice",
        ),
        pytest.param(
            ["fix", ORIGINAL, "--pod", "x"], "--pod: x: write host:port, such as", id="a bad value"
        ),
        pytest.param(
            ["lint", "--explain"],
            "--explain: its value is missing; write --explain ID",
            id="no value",
        ),
        pytest.param(["fix", ORIGINAL, "s"], "FILE 2: No such file", id="no second file"),
        pytest.param(
            ["render", "--config", "p.json", "--to", "env", "s"],
            "expected only flags: remove the extra argument",
            id="extra argument beside flags",
        ),
        pytest.param(
            ["render", "--config", "p.json"],
            "--to: name one of virtualservice, httproute, kubernetes, env, policy\n",
            id="a choice is missing",
        ),
        pytest.param(["lint"], "FILE: name files or directories with", id="no file"),
        pytest.param(
            ["explain", ORIGINAL], "--origin: name the page's origin, such", id="no origin"
        ),
        pytest.param(["doctor", "http://a.example"], "--origin: name the page's", id="no page"),
        pytest.param(["lint", "missing.yaml"], "FILE: No such file", id="no such file"),
        pytest.param(["fix", "s"], "FILE: No such file", id="no file to fix"),
        pytest.param(["fix", "-", "--write"], "--write cannot change standard", id="write to -"),
        pytest.param(["lint", ORIGINAL, "missing.yaml"], "FILE 2: No such file", id="one of two"),
        pytest.param(["lint", "-", "-"], "-: standard input can be read once", id="two -"),
        pytest.param(["lint", "a\0b"], "FILE: embedded null byte", id="no file name"),
        pytest.param(["lint", ORIGINAL, "--select", "MC999"], "MC999: unknown", id="no rule"),
        pytest.param(
            ["lint", "--explain", "MC0O1"],
            "--explain MC0O1: unknown; did you mean MC001?",
            id="explain",
        ),
        pytest.param(["lint", "--explain", "mc1"], "mc1: unknown; did you mean MC001?", id="mc1"),
        pytest.param(
            ["lint", "--explain", "MC01"], "MC01: unknown; did you mean MC001?", id="MC01"
        ),
        pytest.param(["lint", "--explain", "01"], "01: unknown; did you mean MC001?", id="01"),
        pytest.param(
            ["lint", ORIGINAL, "--select", "MC1"],
            "--select MC1: unknown; did you mean MC001?",
            id="select MC1",
        ),
        pytest.param(
            ["lint", ORIGINAL, "--ignore", "lost-preflights"],
            "--ignore lost-preflights: unknown; did you mean lost-preflight?",
            id="a misspelled name",
        ),
        pytest.param(
            ["lint", "--explain", ""], "name a lint rule, such as MC001", id="explain nothing"
        ),
        pytest.param(
            ["lint", ORIGINAL, "--format", "xml"],
            "--format: write text, json, github or sarif",
            id="no format",
        ),
        pytest.param(["fix", ORIGINAL], "12:30: * with credentials", id="what is not guessed"),
        pytest.param(["fix", ORIGINAL, "--pod", "pod"], "write host:port", id="pod, no port"),
        pytest.param(["fix", ORIGINAL, "--pod", "a_b:80"], "write host:port", id="pod, no host"),
        pytest.param(["fix", ORIGINAL, "--pod", "pod:0"], "write host:port", id="pod, port 0"),
        pytest.param(
            ["fix", ORIGINAL, "--allow-origin", "ui.example"], "write a scheme", id="no scheme"
        ),
        pytest.param(
            ["fix", ORIGINAL, "--allow-origin", "*"],
            "cannot be combined with credentials",
            id="star",
        ),
        pytest.param(
            ["dummy", "--port", "x"], "--port: write a whole number", id="a flag of the pod"
        ),
    ],
)
def test_a_mistake_is_one_line_on_stderr(
    args: Sequence[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(args) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("meshcors: ")
    assert printed.err.count("\n") == 1
    assert line in printed.err


def test_lint_rules_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["lint", ORIGINAL, "--select", "lost-preflight,MC015"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines[:-2]] == ["MC001", "MC015"]
    assert cli.run(["lint", "--explain", "Long-Max-Age"]) == 0
    assert capsys.readouterr().out.startswith("MC015 long-max-age (note): ")


SERVICE = "apiVersion: v1\nkind: Service\n"
BROKEN = (DATA / "lint" / "mc000_found.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("texts", "args", "line"),
    [
        pytest.param(
            [SERVICE], [], "no problems found: no VirtualService or HTTPRoute in the file", id="one"
        ),
        pytest.param(
            [SERVICE, ""],
            [],
            "no problems found: no VirtualService or HTTPRoute in the files",
            id="two",
        ),
        pytest.param(
            [SERVICE, Path(FIXED).read_text(encoding="utf-8")], [], "no problems found", id="both"
        ),
        pytest.param([BROKEN], ["--ignore", "MC000"], "no problems found", id="would not load"),
    ],
)
def test_lint_says_that_it_has_nothing_to_check(
    texts: list[str],
    args: list[str],
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [tmp_path / f"{number}.yaml" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    assert cli.run(["lint", *map(str, files), *args]) == 0
    assert capsys.readouterr().out == f"{line}\n"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        pytest.param(b"a: [", ":1:5: not YAML", id="unclosed"),
        pytest.param(b"a:\n\tb: 1\n", ":2:1: not YAML: a tab", id="tab"),
        pytest.param(b"a: 1\nb: \xff\n", ":2:4: not UTF-8", id="bytes"),
        pytest.param(b"\xff\xfea\0", ":1:1: not UTF-8", id="UTF-16"),
        pytest.param(b"a: *b\n", ":1:4: not YAML", id="alias"),
        pytest.param(b"a: " + b"x" * 5_000_000, ":1:1: the file has", id="5 MB"),
        pytest.param(b"a: " + b"x" * 9_000_000, "the limit is 2 MiB", id="9 MB"),
        pytest.param(b"- 1\n", "document", id="no object"),
        pytest.param(b"", "no VirtualService", id="empty"),
        pytest.param(b"apiVersion: v1\nkind: Service\n", "no VirtualService", id="other kinds"),
        pytest.param(b"%YAML 9.9\n---\na: 1\n", "", id="version"),
    ],
)
def test_a_file_that_cannot_be_fixed_is_one_line_and_stays(
    content: bytes, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    assert cli.run(["fix", str(path), "--write"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"meshcors: {path}:")
    assert printed.err.count("\n") == 1
    assert line in printed.err
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["bad.yaml"]


def test_lint_imports_no_server() -> None:
    script = (
        "import sys; from meshcors import _cli as cli; cli.run(['lint', sys.argv[1]]);"
        "print(sorted({'uvicorn', 'starlette', 'werkzeug', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, ORIGINAL], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_imports_no_verb() -> None:
    script = (
        "import sys; from meshcors import _cli as cli; cli.run(['--help']);"
        "print([name for name in sys.modules if name in ('meshcors.dummy', 'meshcors.mesh._lint')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_every_verb_is_there(name: str) -> None:
    done = meshcors(name, "--help")
    assert done.returncode == 0
    assert "Usage: " in done.stdout


@pytest.mark.parametrize("name", sorted(cli.VERBS))
def test_the_help_of_a_verb_ends_with_an_example_that_is_read(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run([name, "--help"]) == 0
    heading, example = capsys.readouterr().out.splitlines()[-2:]
    assert heading == "Example:"
    words = shlex.split(example.replace("python -m meshcors.dummy ", "meshcors dummy "))
    assert words[:2] == ["meshcors", name]
    verb = cli.VERBS[name]
    command = getattr(import_module(verb.module), verb.command)
    command.make_context(name, words[2:])  # click refuses what it does not know


@pytest.mark.parametrize(
    ("missing", "args", "extra"),
    [
        pytest.param("ruamel", ["lint", ORIGINAL], "cli", id="lint"),
        pytest.param("ruamel", ["fix", ORIGINAL], "cli", id="fix"),
        pytest.param(
            "httpx",
            ["doctor", "https://api.example/", "--origin", "https://ui.example"],
            "cli",
            id="doctor",
        ),
        pytest.param(
            "re2",
            ["explain", str(DATA / "lint" / "mc007_clean.yaml"), "--origin", "https://ui.example"],
            "regex",
            id="explain re2",
        ),
        pytest.param(
            "re2", ["fix", str(DATA / "lint" / "mc007_clean.yaml")], "regex", id="fix re2"
        ),
    ],
)
def test_without_its_extra_a_verb_says_what_to_install(
    missing: str, args: list[str], extra: str
) -> None:
    script = (
        "import sys; sys.modules[sys.argv[1]] = sys.modules[sys.argv[1] + '.yaml'] = None;"
        "from meshcors import _cli as cli; raise SystemExit(cli.run(sys.argv[2:]))"
    )
    command = [sys.executable, "-c", script, missing, *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"pip install 'meshcors[{extra}]'" in done.stderr


def test_an_interrupt_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("meshcors._cli.lint.mesh_of", interrupted)
    assert cli.run(["lint", ORIGINAL]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_an_interrupt_during_imports_is_no_traceback() -> None:
    code = """
import sys
class Interrupted:
    def find_spec(self, name, *rest):
        if name == "meshcors._cli":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from meshcors.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m meshcors lint {ORIGINAL} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode in {0, 1}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the full device of Linux")
@pytest.mark.parametrize(
    ("redirected", "said"),
    [
        (">&-", ""),
        (">&- 2>&-", ""),
        (">/dev/full", "meshcors: No space left on device: nothing more can be written\n"),
    ],
)
def test_stdout_that_takes_nothing_is_no_traceback(redirected: str, said: str) -> None:
    line = f'"$0" -m meshcors lint "$1" {redirected}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, ORIGINAL], capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.returncode) == (said, 2 if said else 1)


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_a_format_for_programs_is_all_there_is_on_stdout(form: str) -> None:
    done = meshcors("lint", "--format", form, ORIGINAL)
    assert done.stderr == ""
    assert json.loads(done.stdout)


def test_a_file_name_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a\x1b[2Jb.yaml"
    path.write_bytes(Path(ORIGINAL).read_bytes())
    assert cli.run(["lint", str(path)]) == 1
    assert "\x1b" not in capsys.readouterr().out


ONE_RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: m%s}
spec:
  hosts: [api.example]
  gateways: [public]
  http:
  - match: [{headers: {model-api-key: {exact: a}}}]
    corsPolicy: {allowOrigins: [{regex: "https://ui.example"}], allowHeaders: [model-api-key]}
    route: [{destination: {host: m, port: {number: 8000}}}]
"""
FLAGGERS = ", ownerReferences: [{apiVersion: flagger.app/v1, kind: Canary, name: m}]"


@pytest.mark.parametrize(
    ("words", "owner"),
    [
        (["lint"], ""),
        (["lint"], FLAGGERS),
        (["fix", "--with", "pod"], ""),
        (["fix", "--with", "pod"], FLAGGERS),
        (["explain", "--origin", "https://ui.example", "--header", "model-api-key: a"], ""),
    ],
)
def test_a_file_whose_name_begins_with_a_hyphen_is_no_flag_of_a_command_that_is_offered(
    words: list[str], owner: str, tmp_path: Path
) -> None:
    (tmp_path / "-f.yaml").write_text(ONE_RULE % owner, encoding="utf-8")
    run = meshcors(*words, "--", "-f.yaml", cwd=tmp_path)
    offered = re.findall(r"meshcors (?:fix|lint|explain) [^\n]*-f\.yaml", run.stdout + run.stderr)
    assert offered
    assert all(each.endswith(" ./-f.yaml") for each in offered)


def test_the_labs_next_command_takes_a_name_for_no_flag_either() -> None:
    (*_, line) = _summary(("-f.yaml",), DEFAULT_POD, 1, 1)
    assert line.endswith(" meshcors fix ./-f.yaml --with pod")
