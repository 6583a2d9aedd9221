"""Each promise of SECURITY.md names tests, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PROMISED = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
PROMISES = re.findall(r"^- (.*?)(?=^- |^$)", PROMISED, re.DOTALL | re.MULTILINE)


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_tests_that_are_there() -> None:
    assert len(PROMISES) == PROMISED.count("\n- ") > 0
    for promise in PROMISES:
        files = re.findall(r"\]\((tests/[\w/]+\.py)\)", promise)
        assert files, promise
        there = set().union(*map(functions_of, files))
        assert set(re.findall(r"`(test_\w+)`", promise)) <= there
