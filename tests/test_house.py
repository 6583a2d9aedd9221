"""The picture of the house is true: its rooms are the folders, its arrows the import contracts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "meshcors"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
# What Python asks for, and what only keeps an old import path.
NOT_ROOMS = {"__init__.py", "__main__.py", "__pycache__", "py.typed", "origins.py"}
AT_MOST = 12

PICTURE, ARROWS = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def rooms(folder: Path) -> set[str]:
    return {
        f"{each.name}/" if each.is_dir() else each.name
        for each in folder.iterdir()
        if each.name not in NOT_ROOMS
    }


def test_the_picture_has_every_room() -> None:
    assert set(re.findall(r"── (\S+)", PICTURE)) == rooms(PACKAGE)


def test_every_room_has_a_paragraph() -> None:
    described = set(re.findall(r"\*\*`([\w/.]+)`\*\*", PAGE))
    assert described == rooms(PACKAGE)


def test_the_paragraph_on_the_mesh_names_its_rooms() -> None:
    paragraph = re.search(r"\*\*`mesh/`\*\*.*?\n\n", PAGE, re.DOTALL)
    assert paragraph is not None
    assert set(re.findall(r"`(_?\w+(?:/|\.py))`", paragraph[0])) == rooms(PACKAGE / "mesh") | {
        "mesh/"
    }


def test_the_top_of_the_package_is_a_dozen_rooms() -> None:
    assert len(rooms(PACKAGE)) <= AT_MOST


def test_the_arrows_are_the_contract() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = config["tool"]["importlinter"]["contracts"][0]
    layers = [re.sub(r"[() ]", "", layer).split("|") for layer in contract["layers"]]
    expected = [names for names in layers if names not in (["__main__"], ["origins"])]
    assert [re.sub(" ", "", line).split("|") for line in ARROWS.splitlines()] == expected


WHERE = (ROOT / "docs" / "where-to-change.md").read_text(encoding="utf-8").partition("|---|")[2]
TASKS = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", WHERE, re.MULTILINE))


@pytest.mark.parametrize("task", TASKS)
def test_the_files_that_a_task_changes_are_there(task: str) -> None:
    names = re.findall(r"`([\w/.-]+(?:/|\.\w+))`", TASKS[task])
    assert names
    folder = ROOT
    for name in names:
        # A bare file name is in the folder that was named last.
        found = next((each for each in (ROOT / name, folder / name) if each.exists()), None)
        assert found is not None, name
        folder = found if found.is_dir() else folder
