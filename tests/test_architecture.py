"""The page on the architecture is true: its packages are the folders, its arrows the contracts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "meshcors"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# What Python asks for.
NOT_LISTED = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}
AT_MOST = 20

PICTURE, ARROWS = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def entries(folder: Path) -> set[str]:
    return {
        f"{each.name}/" if each.is_dir() else each.name
        for each in folder.iterdir()
        if each.name not in NOT_LISTED
    }


def test_the_picture_has_every_entry() -> None:
    assert set(re.findall(r"── (\S+)", PICTURE)) == entries(PACKAGE)


def test_every_entry_has_a_paragraph() -> None:
    described = set(re.findall(r"\*\*`([\w/.]+)`\*\*", PAGE))
    assert described == entries(PACKAGE)


def test_the_paragraph_on_the_mesh_names_its_packages() -> None:
    paragraph = re.search(r"\*\*`mesh/`\*\*.*?\n\n", PAGE, re.DOTALL)
    assert paragraph is not None
    assert set(re.findall(r"`(_?\w+(?:/|\.py))`", paragraph[0])) == entries(PACKAGE / "mesh") | {
        "mesh/"
    }


def test_the_top_of_the_package_has_few_entries() -> None:
    assert len(entries(PACKAGE)) <= AT_MOST


def test_the_arrows_are_the_contract() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = config["tool"]["importlinter"]["contracts"][0]
    layers = [re.sub(r"[() ]", "", layer).split("|") for layer in contract["layers"]]
    expected = [names for names in layers if names != ["__main__"]]
    assert [re.sub(" ", "", line).split("|") for line in ARROWS.splitlines()] == expected


WHERE = (ROOT / "docs" / "where-to-change.md").read_text(encoding="utf-8").partition("|---|")[2]
ROWS = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \|$", WHERE, re.MULTILINE)


@pytest.mark.parametrize(("task", "changes", "tests"), ROWS)
def test_the_files_that_a_task_changes_are_there(task: str, changes: str, tests: str) -> None:
    names = re.findall(r"`([\w/.-]+(?:/|\.\w+))`", changes)
    assert names
    folder = ROOT
    for name in names:
        # A bare file name is in the folder that was named last.
        found = next((each for each in (ROOT / name, folder / name) if each.exists()), None)
        assert found is not None, name
        folder = found if found.is_dir() else folder
    run = re.findall(r"tests/[\w/]+\.py", tests)
    assert run
    assert all((ROOT / name).is_file() for name in run)
