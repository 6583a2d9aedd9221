"""A bare `pytest` runs the quick tests; what is named, and what nox runs, runs whole."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "tests").glob("**/test_*.py"))
SLOW_FILES = {name for name in conftest.SLOW if "::" not in name}
SLOW_TESTS = [name for name in conftest.SLOW if "::" in name]
NAMED = pytest.Config.ArgsSource.ARGS
BARE = pytest.Config.ArgsSource.TESTPATHS


@pytest.fixture(autouse=True)
def _outside_nox_and_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("NOX_CURRENT_SESSION", raising=False)


def left_out(source: pytest.Config.ArgsSource) -> tuple[set[str], list[str]]:
    """The files and folders, and the tests of other files, that a run leaves out."""
    deselected: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: deselected.extend(items))
    config: Any = SimpleNamespace(args_source=source, rootpath=ROOT, hook=hook)
    ignored = {
        path.relative_to(ROOT).as_posix()
        for path in {*FILES, *(file.parent for file in FILES)}
        if conftest.pytest_ignore_collect(path, config)
    }
    items: list[Any] = [
        SimpleNamespace(nodeid=name) for name in (*SLOW_TESTS, "tests/test_engine.py::test_quick")
    ]
    collected = list(items)
    conftest.pytest_collection_modifyitems(config, items)
    assert [*deselected, *items] == collected
    return ignored, [item.nodeid for item in deselected]


def test_a_bare_run_leaves_out_what_is_slow() -> None:
    assert left_out(BARE) == (SLOW_FILES, SLOW_TESTS)


def test_a_run_of_what_is_named_leaves_nothing_out() -> None:
    assert left_out(NAMED) == (set(), [])


@pytest.mark.parametrize("name", ["CI", "NOX_CURRENT_SESSION"])
def test_nox_and_ci_leave_nothing_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "true")
    assert left_out(BARE) == (set(), [])


@pytest.mark.parametrize("name", SLOW_TESTS)
def test_a_slow_test_is_one_that_exists(name: str) -> None:
    file, _, test = name.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert re.sub(r"\[.*", "", test) in functions
