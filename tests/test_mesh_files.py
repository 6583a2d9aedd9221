"""The arguments FILE... of the mesh tools, and what cannot be read: nothing hides the rest."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import _cli as cli
from meshcors._cli.mesh_files import read_mesh_files
from meshcors.mesh._analysis.mesh_documents import read_mesh
from tests.mesh_cases import to, vs
from tests.searching import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORIGINAL = Path(__file__).parent / "data" / "virtualservice_original.yaml"
GOOD = vs(f"{{{to()}}}")
# Documents that cannot be read, each for itself.
BROKEN = [
    "a: [",
    "a:\n\tb: 1",
    "a: *b",
    "a: \x07",
    "[" * 500,
    "a: '",
    "a: |\n  text\n b",
    "{a: 1, a: 1",
]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_broken_document_hides_no_other_and_places_stay_right(broken: str, newline: str) -> None:
    one, two = GOOD, vs(f"{{{to('two')}}}", name="b")
    text = "---\n".join([one, f"{broken}\n", two]).replace("\n", newline)
    whole = text.replace(broken.replace("\n", newline), "#" + newline * broken.count("\n"))
    mesh = read_mesh({"a.yaml": text})
    expected = read_mesh({"a.yaml": whole})
    assert [each.label for each in mesh.documents] == ["ns/a", "ns/b"]
    assert [each.place for each in mesh.documents] == [each.place for each in expected.documents]
    assert [each.http for each in mesh.documents] == [each.http for each in expected.documents]
    offsets = [
        [each.node_at("spec", "http").start_mark.index for each in read.documents]
        for read in (mesh, expected)
    ]
    assert text[offsets[0][1] :].startswith("- {route")
    assert offsets[0][0] == offsets[1][0]
    (problem,) = mesh.problems
    before = one.count("\n") + 1
    assert before <= problem.place.line <= before + broken.count("\n") + 2


CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: a.b.example}
spec: {broken: [
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("comment", ["", " # it"])
def test_a_definition_is_not_read_and_places_stay_right(
    at: int, newline: str, comment: str
) -> None:
    """Regression: 147 files took minutes, most of them for definitions that no tool looks at."""
    parts = [GOOD, vs(f"{{{to('two')}}}", name="b")]
    crd = CRD.replace("Definition\n", f"Definition{comment}\n")
    parts.insert(at, crd)
    text = "---\n".join(parts).replace("\n", newline)
    whole = text.replace(crd.replace("\n", newline), "#" + newline * crd.count("\n"))
    mesh, expected = read_mesh({"a.yaml": text}), read_mesh({"a.yaml": whole})
    assert mesh.problems == ()
    assert len(mesh.documents) == 2
    assert mesh.documents == expected.documents


@pytest.mark.parametrize(
    "text",
    [
        f"kind: CustomResourceDefinition\n...\n{GOOD}",
        f"{GOOD}...\nkind: CustomResourceDefinition\n",
        "%YAML 1.1\n---\n" + GOOD + "---\nkind: CustomResourceDefinition\n",
        GOOD.replace("spec:", "x: |\n  kind: CustomResourceDefinition\nspec:"),
        GOOD + "# kind: CustomResourceDefinition\n",
        "kind: CustomResourceDefinition # not its last\n" + GOOD,
    ],
)
def test_what_only_names_a_definition_is_read(text: str) -> None:
    mesh = read_mesh({"a.yaml": text})
    assert mesh.documents or mesh.problems


@examples(30)
@given(st.lists(st.sampled_from(["a: [", "a: '", "a: *b", GOOD, "# nothing"]), max_size=6))
def test_as_many_documents_are_read_as_are_good(texts: list[str]) -> None:
    mesh = read_mesh({"a.yaml": "\n---\n".join(texts)})
    assert len(mesh.documents) == texts.count(GOOD)
    assert len(mesh.problems) >= sum(text in BROKEN for text in texts)


def test_parts_beyond_number_are_one_problem() -> None:
    (problem,) = read_mesh({"a.yaml": "---\n" * 20_000 + "a: ["}).problems
    assert problem.code == "yaml"


def test_an_alias_bomb_is_the_problem_of_its_document() -> None:
    many = ", ".join(["*m"] * 999)
    bomb = vs(f"&r {{match: [&m {{}}, {many}], {to()}}}") + "  - *r\n" * 999
    policy = "kind: AuthorizationPolicy\napiVersion: security.istio.io/v1\nspec:\n  rules: &a\n"
    other = policy + "".join(f"  - &a{n} [{'*a' + str(n - 1) + ',' if n else ''} 1]\n" for n in [0])
    mesh = read_mesh({"a.yaml": f"{GOOD}---\n{bomb}---\n{other}"})
    assert [each.code for each in mesh.problems] == ["alias_bomb"]
    assert len(mesh.documents) == len(mesh.others) == 1


def test_other_objects_are_bounded_too() -> None:
    levels = ["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    bomb = "kind: AuthorizationPolicy\napiVersion: security.istio.io/v1\n" + "\n".join(levels)
    mesh = read_mesh({"a.yaml": f"{bomb}\n---\n{GOOD}"})
    assert [each.code for each in mesh.problems] == ["alias_bomb"]
    assert (len(mesh.documents), len(mesh.others)) == (1, 0)


def fill(directory: Path) -> None:
    (directory / "deep" / "er").mkdir(parents=True)
    (directory / ".git").mkdir()
    for name in ("b.yaml", "a.yml", "deep/c.json", "deep/er/d.yaml", ".git/x.yaml", "e.txt"):
        (directory / name).write_text("apiVersion: v1")
    (directory / ".hidden.yaml").write_text("{}")
    (directory / "deep" / "loop").symlink_to(directory)
    (directory / "deep" / "again.yaml").symlink_to(directory / "b.yaml")


def test_a_directory_is_searched_in_order_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    monkeypatch.chdir(tmp_path)
    files = read_mesh_files(["."])
    assert list(files.texts) == ["a.yml", "b.yaml", "deep/c.json", "deep/er/d.yaml"]
    assert not files.problems
    assert list(read_mesh_files(["b.yaml", "./b.yaml", "deep/er"]).texts) == [
        "b.yaml",
        "deep/er/d.yaml",
    ]


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        ([], ["a.yml", "b.yaml", "deep/c.json", "deep/er/d.yaml"]),
        (["*.yaml"], ["a.yml", "deep/c.json"]),
        (["./*/c.json", "a.*"], ["b.yaml", "deep/er/d.yaml"]),
        (["er/"], ["a.yml", "b.yaml", "deep/c.json"]),
        (["deep/er"], ["a.yml", "b.yaml", "deep/c.json"]),
        (["deep", "c.json"], ["a.yml", "b.yaml"]),
        (["eep", "er/d.yaml", "top", ".."], ["a.yml", "b.yaml", "deep/c.json", "deep/er/d.yaml"]),
        (["*"], []),
    ],
)
def test_files_in_directories_can_be_left_out(
    globs: list[str],
    left: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(tmp_path / "top")
    monkeypatch.chdir(tmp_path)
    files = read_mesh_files(["./top"], exclude=globs)
    assert [name.removeprefix("top/") for name in files.texts] == left
    assert not files.problems
    # a file that is named is meant
    assert list(read_mesh_files(["top/b.yaml"], exclude=["b.yaml"]).texts) == ["top/b.yaml"]
    for file in read_mesh_files(["top"]).texts:
        Path(file).write_text("apiVersion: [")
    options = [word for glob in globs for word in ("--exclude", glob)]
    assert cli.run(["lint", "top", *options]) == int(bool(left))
    assert capsys.readouterr().out.count("error MC000") == len(left)


PARTIAL = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: ns}
spec:
  http: [{name: x, route: [{destination: {host: one}}]}]
"""
PATCH_LISTS = [
    "patches: [{path: 'p/a.yaml'}]",
    "patches: [{path: ./p/../p/a.yaml, target: {kind: VirtualService}}, {patch: 'x: y'}]",
    "patchesStrategicMerge: [p/a.yaml]",
    "patchesStrategicMerge: ['a: b\n', p/a.yaml]",
    "patchesJson6902: [{path: p/a.yaml, target: {name: a}}]",
]


@pytest.mark.parametrize("listing", PATCH_LISTS)
@pytest.mark.parametrize("name", ["kustomization.yaml", "Kustomization"])
def test_a_patch_that_a_kustomization_lists_is_a_note(
    listing: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inner = tmp_path / "over lay"
    (inner / "p").mkdir(parents=True)
    (inner / name).write_text(f"resources: [base.yaml]\n{listing}\n")
    (inner / "base.yaml").write_text(GOOD)
    (inner / "p" / "a.yaml").write_text(PARTIAL)
    monkeypatch.chdir(tmp_path)
    for given_file in (".", "over lay/p/a.yaml"):
        assert cli.run(["lint", given_file]) == 0
        assert capsys.readouterr().out.splitlines()[:2] == [
            "over lay/p/a.yaml:1:1: note MC000 not-checked: this is a kustomize patch; render it"
            " first: kubectl kustomize 'over lay' | meshcors lint -",
            "1 note",
        ]
    # without the list it is a delegate that nothing names
    (inner / name).write_text("patches: [{path: other.yaml}]")
    assert cli.run(["lint", "over lay/p/a.yaml"]) == 0
    assert "is a delegate" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"patches: [", b"patches: {a: &a [*a]}", b"- a", b"", b"patches: [{path: [1]}]"],
)
def test_a_kustomization_that_cannot_be_read_lists_no_patches(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kustomization.yml").write_bytes(content)
    (tmp_path / "a.yaml").write_text(GOOD)
    assert cli.run(["lint", str(tmp_path / "a.yaml")]) == 0
    assert capsys.readouterr().out == "no problems found\n"


def unreadable(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0)


@pytest.mark.parametrize("inside", [True, False], ids=["in a directory", "named"])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(lambda path: os.mkfifo(path), "a pipe, not a regular file", id="pipe"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), "a device, not", id="device"),
        pytest.param(
            lambda path: path.write_bytes(b"apiVersion: 1\nb: \xff"), "not UTF-8", id="bytes"
        ),
        pytest.param(
            lambda path: path.write_bytes(b"apiVersion: 1\n" + b"#" * (9 << 20)),
            "the limit is 2 MiB",
            id="9 MiB",
        ),
        pytest.param(lambda path: path.write_text("apiVersion: ["), "not YAML", id="no YAML"),
        pytest.param(
            unreadable,
            "Permission denied",
            id="mode",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything"),
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_one_finding(
    make: Callable[[Path], object],
    said: str,
    inside: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    make(bad)
    good.write_text(ORIGINAL.read_text())
    names = [str(tmp_path)] if inside else [str(bad), str(good)]
    assert cli.run(["lint", *names]) == 1
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "error MC000" in line]
    assert line.startswith(f"{bad}:")
    assert said in line
    assert any("MC001" in line for line in lines)


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif"])
def test_any_name_of_a_file_can_be_printed(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"a\xff\x1b b.yaml")
    (tmp_path / name).write_text(ORIGINAL.read_text())
    monkeypatch.chdir(tmp_path)
    for file in (".", name):
        assert cli.run(["lint", file, "--format", form]) == 1
        assert "\x1b" not in capsys.readouterr().out


def test_a_directory_without_files_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["lint", str(tmp_path), str(ORIGINAL)]) == 1
    printed = capsys.readouterr().out
    assert "no *.yaml, *.yml or *.json file in this directory" in printed
    assert "MC001" in printed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(ORIGINAL.read_bytes(), "<stdin>:8:5: error MC001", id="a file"),
        pytest.param(b"", "<stdin>:1:1: error MC000 would-not-load: standard input", id="empty"),
        pytest.param(b"\xff", "<stdin>:1:1: error MC000 would-not-load: not UTF-8", id="bytes"),
        pytest.param(b"#" * (9 << 20), "the limit is 2 MiB", id="9 MiB"),
    ],
)
def test_standard_input_is_a_file(
    content: bytes,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert cli.run(["lint", "-"]) == 1
    assert said in capsys.readouterr().out


def test_explain_goes_on_without_what_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("apiVersion: [")
    (tmp_path / "good.yaml").write_text(ORIGINAL.read_text())
    args = [
        "explain",
        str(tmp_path),
        "--origin",
        "https://ui.example",
        "--header",
        "model-api-key:xyz",
    ]
    assert cli.run(args) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"note: {tmp_path / 'bad.yaml'}:1:14: not YAML")
    assert "blocked" in printed.out.lower()


def test_a_name_that_is_too_long_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["lint", "a" * 5000]) == 2
    assert capsys.readouterr().err == "meshcors: FILE: File name too long; pass a readable file\n"


def test_a_directory_that_cannot_be_listed_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "open.yaml").write_text(GOOD)
    listed = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self.name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert cli.run(["lint", str(tmp_path)]) == 1
    assert f"{tmp_path / 'closed'}:1:1: error MC000" in capsys.readouterr().out
    assert cli.run(["lint", str(tmp_path / "closed")]) in {1, 2}
    assert "Permission denied" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["lint"], "| meshcors lint -"),
        (["explain", "--origin", "https://ui.example"], "| meshcors explain -"),
        (["routes"], "| meshcors routes -"),
        (["fix"], "| meshcors fix -"),
        (["lab"], "> rendered.yaml"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_source_is_rendered_for_the_verb_that_was_called(
    arguments: list[str], command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart = tmp_path / "chart.yaml"
    chart.write_text("apiVersion: networking.istio.io/v1\nmetadata: {name: {{ .Values.name }}}\n")
    cli.run([*arguments, str(chart)])
    printed = "".join(capsys.readouterr())
    assert f"render it first: helm template CHART {command}" in printed
    # a delegate that nothing names may be a patch
    delegate = tmp_path / "delegate.yaml"
    delegate.write_text(f"{GOOD}---\n{PARTIAL}")
    if arguments[0] in ("lint", "explain"):
        cli.run([*arguments, str(delegate)])
        printed = "".join(capsys.readouterr())
        assert f"render a patch first: kubectl kustomize DIR {command}" in printed
