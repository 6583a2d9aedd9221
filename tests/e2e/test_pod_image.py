"""The steps of the Containerfile, one by one in a sandbox, and the pod that comes of them.

There is no builder of images here. Each stage gets a Python with pip at /base, as the base image
has one in /usr/local; COPY copies what .dockerignore leaves, RUN runs in namespaces that see the
rest of the machine read-only.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.dummy_process import UI, running
from tests.e2e.parts import need_program
from tests.test_kubernetes import EXAMPLES, ROOT

CONTAINERFILE = (EXAMPLES / "Containerfile").read_text(encoding="utf-8")
BASE_PYTHON = getattr(sys, "_base_executable", sys.executable)


def instructions() -> list[tuple[str, str]]:
    """What the file says, line by line."""
    lines = [line for line in CONTAINERFILE.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.split(None, 1)[1]) for line in joined.splitlines() if line]


@dataclass
class Stage:
    """One FROM: the folders that its steps may write."""

    home: Path
    folders: dict[str, Path] = field(default_factory=dict)

    def folder(self, name: str) -> Path:
        path = self.folders.setdefault(name, self.home / name.strip("/"))
        path.mkdir(parents=True, exist_ok=True)
        return path

    def sandbox(self, *, writable: bool = True) -> tuple[str, ...]:
        """The words that put a command into this stage."""
        words = [need_program("bwrap", "bubblewrap"), "--tmpfs", "/"]
        for top in sorted(Path("/").iterdir()):
            if top.name in {"dev", "proc", "tmp"}:
                continue
            if top.is_symlink():
                words += ["--symlink", str(top.readlink()), str(top)]
            else:
                words += ["--ro-bind", str(top), str(top)]
        words += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]
        bind = "--bind" if writable else "--ro-bind"
        for name, path in self.folders.items():
            words += [bind, str(path), name]
        # ENV, of the last stage alone.
        path = "/base/bin:/usr/bin:/bin" if writable else "/venv/bin:/base/bin:/usr/bin:/bin"
        return (*words, "--die-with-parent", "--setenv", "PATH", path)

    def run(self, script: str) -> None:
        script = script.replace("/usr/local/", "/base/")
        done = subprocess.run(
            [*self.sandbox(), "--", "sh", "-euc", script],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


def is_left_out(path: Path) -> bool:
    """Whether .dockerignore leaves out a file; the last line that matches decides."""
    name, left_out = path.relative_to(ROOT).as_posix(), False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = [name, *(str(each) for each in Path(name).parents)]
        if not line.startswith("#") and any(fnmatch(each, pattern) for each in parts):
            left_out = not line.startswith("!")
        if line.startswith("**/") and pattern in Path(name).parts:
            left_out = True
    return left_out


def copy(names: str, stage: Stage) -> None:
    *sources, target = names.split()
    folder = stage.folder("/source")
    place = folder / target.removeprefix("/source").strip("/")
    for source in sources:
        path = ROOT / source
        for file in [path] if path.is_file() else path.rglob("*"):
            if file.is_file() and not is_left_out(file):
                inside = place / (file.name if path.is_file() else file.relative_to(path))
                inside.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, inside)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The last stage, built."""
    stages: list[Stage] = []
    for word, rest in instructions():
        if word == "FROM":
            stages.append(Stage(tmp_path_factory.mktemp("stage")))
            stages[-1].folder("/base")
            stages[-1].folder("/venv")
            stages[-1].folder("/source")
            stages[-1].run(f"{BASE_PYTHON} -m venv /base")
        elif word == "COPY" and rest == "--from=build /venv /venv":
            for made in stages[0].folder("/venv").iterdir():
                target = stages[-1].folder("/venv") / made.name
                if made.is_dir():
                    shutil.copytree(made, target, symlinks=True)
                else:
                    shutil.copy(made, target)
        elif word == "COPY":
            copy(rest, stages[-1])
        elif word == "RUN":
            stages[-1].run(rest)
        else:
            assert word in {"CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "USER"}
    return stages[-1]


def test_the_pod_of_the_image_answers_as_nobody_on_a_root_that_is_read_only(
    image: Stage, tmp_path: Path
) -> None:
    words = dict(instructions())
    assert json.loads(words["ENTRYPOINT"]) == ["python", "-m", "meshcors.dummy"]
    user, group = words["USER"].split(":")
    (tmp_path / "policy.yaml").write_text(f"corsPolicy: {{allowOrigins: [{UI}]}}")
    before = (
        *image.sandbox(writable=False),
        *("--ro-bind", str(tmp_path), "/etc-meshcors"),
        *("--unshare-user", "--uid", user, "--gid", group, "--"),
        # `running` puts this interpreter's path first: it becomes the script's name.
        *("sh", "-c", 'exec python "$@"'),
    )
    policy = ("--config=/etc-meshcors/policy.yaml",)
    with running(policy=policy, before=before) as pod:
        assert pod.preflight(names="content-type").status == 204
        assert pod.admin("/metrics").status == 200


def test_nothing_in_the_image_can_install_anything(image: Stage) -> None:
    for python in ("/venv/bin/python", "/base/bin/python"):
        done = subprocess.run(
            [*image.sandbox(), "--", python, "-m", "pip", "--version"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert "No module named pip" in done.stderr
    installed = {path.name for path in image.folder("/venv").rglob("site-packages/*")}
    assert "meshcors" in installed
    assert not installed & {"pip", "setuptools", "hatchling"}


def test_every_file_of_the_package_is_in_the_image(image: Stage) -> None:
    (packages,) = image.folder("/venv").glob("lib/python3.*/site-packages")
    built = {path.relative_to(packages) for path in (packages / "meshcors").rglob("*.py")}
    sources = ROOT / "src"
    assert built == {path.relative_to(sources) for path in (sources / "meshcors").rglob("*.py")}


def locked(name: str) -> dict[str, list[str]]:
    """The versions of a file of locked requirements, with their hashes."""
    text = (EXAMPLES / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line.split()[0]: re.findall(r"--hash=sha256:([0-9a-f]{64})\b", line) for line in lines}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt"])
def test_every_requirement_is_locked_with_hashes(name: str) -> None:
    found = locked(name)
    assert found
    for requirement, hashes in found.items():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+", requirement)
        assert hashes


def wanted() -> Iterator[str]:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    yield from (*project["dependencies"], *extras["dummy"], *extras["regex"])


def test_the_locked_versions_are_what_the_project_asks_for() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    versions = dict(each.split("==") for each in locked("requirements.txt"))
    for text in wanted():
        requirement = Requirement(text)
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), text


def test_what_is_not_copied_does_not_reach_the_builder() -> None:
    copied = [word for kind, rest in instructions() if kind == "COPY" for word in rest.split()[:-1]]
    names = [name for name in copied if not name.startswith(("--", "/"))]
    assert not [name for name in names if is_left_out(ROOT / name)]
    for name in (".git/config", "tests/conftest.py", "examples/kubernetes/values.yaml"):
        assert is_left_out(ROOT / name)
