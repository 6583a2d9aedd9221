"""JSON above YAML's limit is read to the same nodes, and findings have the same places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import _cli as cli
from meshcors.mesh import DocumentError
from meshcors.mesh._documents import yaml_nodes
from meshcors.mesh._documents.json_nodes import parse_json
from meshcors.mesh._documents.json_reader import NotJsonError
from meshcors.mesh._documents.yaml_nodes import MAX_CHARACTERS, parse

# YAML refuses or folds some characters that JSON has as they are, and makes two halves of a pair of
# escapes for one character.
TEXTS = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"],
        exclude_characters="\ufeff",
        max_codepoint=0xFFFF,
    ),
    max_size=20,  # a key of YAML has at most 1,024 characters
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
DUMP = Path(__file__).parent / "data" / "dump.json"


def described(node: Any) -> Any:
    """Everything that the tools look at."""
    marks = [(mark.index, mark.line, mark.column) for mark in (node.start_mark, node.end_mark)]
    if node.id == "scalar":
        return node.id, node.tag, node.style, node.value, marks
    inner = node.value if node.id == "sequence" else [each for pair in node.value for each in pair]
    return node.id, node.tag, node.flow_style, [described(each) for each in inner], marks


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_json_is_read_to_the_nodes_that_yaml_is_read_to(
    value: object, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps({"a": value}, indent=indent, ensure_ascii=ascii_only)
    assert described(parse_json(text)) == described(parse(text, "a.json")[0])


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ('{"a": 1,}', 8),
        ('{"a": [1 2]}', 9),
        ('{"a": tru}', 6),
        ('{"a": 1} x', 9),
        ('{"a": "\\ud800"}', 6),
        ('{"a"', 1),
    ],
)
def test_what_is_no_json_has_a_place(text: str, at: int) -> None:
    with pytest.raises(NotJsonError) as caught:
        parse_json(text)
    assert caught.value.at == at


def test_a_large_dump_is_checked_like_a_small_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump = json.loads(DUMP.read_text())
    path = tmp_path / "dump.json"

    def found() -> list[dict[str, Any]]:
        path.write_text(json.dumps(dump, indent=2))
        assert cli.run(["lint", str(path), "--format", "json"]) == 1
        return json.loads(capsys.readouterr().out)["findings"]

    small = found()
    filler = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    dump["items"].append({**filler, "data": {"a": "x" * 200, "b": "y" * MAX_CHARACTERS}})
    assert found() == small


@pytest.mark.parametrize(
    ("text", "code"),
    [('{"a": [%s}', "json"), ("[" * 300, "too_large"), ('{"a":' * 300, "too_deep")],
)
def test_a_large_text_that_cannot_be_read_is_one_problem(
    text: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_nodes, "MAX_CHARACTERS", 8)
    with pytest.raises(DocumentError) as caught:
        parse(text, "a.json")
    assert [problem.code for problem in caught.value.problems] == [code]
