"""A bare `pytest` runs the quick tests, anything named runs whole, and nox names all tests."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "tests").glob("**/test_*.py"))
SLOW_FILES = [name for name in conftest.SLOW if "::" not in name]
SLOW_TESTS = [name for name in conftest.SLOW if "::" in name]
Source = pytest.Config.ArgsSource


def left_out(source: Source) -> set[str]:
    """The files and folders of tests that a run with arguments from `source` does not look into."""
    config: Any = SimpleNamespace(args_source=source, rootpath=ROOT)
    paths = [*FILES, *(folder for file in FILES for folder in file.parents if folder != ROOT)]
    inside = {path for path in paths if path.is_relative_to(ROOT / "tests")}
    ignored = {path for path in inside if conftest.pytest_ignore_collect(path, config)}
    return {path.relative_to(ROOT).as_posix() for path in ignored}


def test_a_bare_run_looks_into_no_slow_file() -> None:
    assert left_out(Source.TESTPATHS) == set(SLOW_FILES)


def test_a_run_of_what_is_named_leaves_nothing_out() -> None:
    assert left_out(Source.ARGS) == set()


@pytest.mark.parametrize("name", SLOW_TESTS)
def test_a_slow_test_is_one_that_exists(name: str) -> None:
    file, _, test = name.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert test.partition("[")[0] in functions


@pytest.mark.parametrize("source", [Source.TESTPATHS, Source.ARGS])
def test_slow_tests_are_deselected_in_a_bare_run_alone(source: Source) -> None:
    deselected: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: deselected.extend(items))
    config: Any = SimpleNamespace(args_source=source, hook=hook)
    slow = [SimpleNamespace(nodeid=name) for name in SLOW_TESTS]
    quick = SimpleNamespace(nodeid="tests/test_engine.py::test_quick")
    items: list[Any] = [*slow, quick]
    conftest.pytest_collection_modifyitems(config, items)
    expected = slow if source is Source.TESTPATHS else []
    assert deselected == expected
    assert items == [each for each in [*slow, quick] if each not in expected]


def test_nox_never_runs_a_bare_pytest() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    runs = [
        node.args
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "session.run"
        and any(ast.unparse(arg) == "'pytest'" for arg in node.args)
    ]
    assert runs
    named = ("'tests'", "*CORE_TESTS", "*session.posargs", "*session.posargs or VERSION_TESTS")
    for args in runs:
        written = [ast.unparse(arg).replace("(", "").replace(")", "") for arg in args]
        assert set(written) & set(named), written
