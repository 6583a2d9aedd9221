"""Whatever a file holds, the tools end with exit code 0, 1 or 2, and with one line if it is 2."""

from __future__ import annotations

import contextlib
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meshcors import _cli as cli
from tests.mesh_cases import CASES, TO_OTHER, delegate, delegating, to, vs
from tests.searching import examples

DATA = Path(__file__).parent / "data"
POLICY = "corsPolicy: {allowOrigins: [{regex: 'https://.+'}], allowCredentials: true}"
KEY = "match: [{headers: {model-api-key: {exact: xyz}}}]"
TEXTS = [
    *(path.read_text() for path in sorted(DATA.rglob("*.yaml"))),
    (DATA / "dump.json").read_text(),
    *(case.text for case in CASES[::7]),
    delegating(f"{{{POLICY}, {TO_OTHER}}}", delegate(f"{{{KEY}, {to()}}}")),
]
# What takes the place of a part.
VALUES = [
    None, True, 0, -1, 10**20, 1.5, "", "*", "a", "\x00", "\ud7ff", "é" * 200, "(", "{{ x }}",
    "${X}", "https://ui.example", [], {}, [[]], [None], {"": None}, {"exact": "a"}, [{"a": 1}],
    {"$patch": "delete"}, "xyz, abc", "/", "0s", "1e400",
]  # fmt: skip
VERBS = [
    ["lint", "{}"],
    ["lint", "{}", "--format", "sarif"],
    ["lint", "{}", "--format", "github", "--fail-on", "note"],
    ["explain", "{}", "--origin", "https://ui.example", "--method", "PUT", "--header", "a:b"],
    ["explain", "{}", "--origin", "https://ui.example", "--format", "json"],
    ["fix", "{}"],
    ["fix", "{}", "--with", "mesh", "--allow-origin", "https://ui.example"],
    ["fix", "{}", "--with", "both", "--format", "json"],
    ["fix", "{}", "--separate", "--allow-origin", "https://ui.example"],
]


def parts(data: Any) -> list[tuple[Any, Any]]:
    """Every place in ``data``: its container and its key."""
    found: list[tuple[Any, Any]] = []
    stack = [data]
    while stack:
        node = stack.pop()
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], dict | list):
                stack.append(node[key])
    return found


def with_nodes_changed(text: str, draw: random.Random) -> str:
    """Change some parts: delete, double, replace, rename, swap with another."""
    reader = YAML(typ="safe", pure=True)
    reader.allow_duplicate_keys = True
    documents = list(reader.load_all(text))
    for _ in range(draw.randint(1, 4)):
        container, key = draw.choice(parts(documents))
        kind = draw.choice(["delete", "replace", "double", "rename", "swap"])
        if kind == "delete":
            del container[key]
        elif kind == "replace":
            container[key] = json.loads(json.dumps(draw.choice(VALUES)))
        elif kind == "double" and isinstance(container, list):
            container.insert(key, container[key])
        elif kind == "rename" and isinstance(container, dict):
            container[draw.choice(["", "name", "x", "<<", "prefix", "*"])] = container.pop(key)
        elif kind == "swap":
            other, there = draw.choice(parts(documents))
            copied = json.loads(json.dumps(other[there], default=str))
            container[key] = copied
        if not parts(documents):
            break
    return "\n---\n".join(json.dumps(each, default=str) for each in documents)


def with_text_changed(text: str, draw: random.Random) -> str:
    """Cut, double or drop lines, change indentation, put in characters."""
    lines = text.splitlines()
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(lines))
        kind = draw.choice(["cut", "double", "drop", "indent", "insert", "end", "split"])
        if kind == "cut":
            lines[at] = lines[at][: draw.randint(0, len(lines[at]))]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "indent":
            lines[at] = draw.choice(["", " ", "  ", "\t", "- "]) + lines[at].strip()
        elif kind == "insert":
            junk = draw.choice([*"{}[]:,&*!|>'\"%@`#-?\t\\", "---", "...", "&a ", "*a"])
            where = draw.randint(0, len(lines[at]))
            lines[at] = lines[at][:where] + junk + lines[at][where:]
        elif kind == "end":
            lines = lines[: at + 1]
        else:
            lines.insert(at, draw.choice(["---", "...", "%YAML 1.1", "---\n---"]))
    return draw.choice(["\n", "\r\n", "\r"]).join(lines)


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """A file that was a real one, or random bytes."""
    text = draw(st.sampled_from(TEXTS))
    source = random.Random(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["nodes", "nodes", "text", "text", "bytes", "random"]))
    if kind == "random":
        return draw(st.binary(max_size=60))
    if kind == "nodes":
        return with_nodes_changed(text, source).encode()
    if kind == "text":
        return with_text_changed(text, source).encode()
    content = bytearray(text.encode())
    for _ in range(source.randint(1, 5)):
        content[source.randrange(len(content))] = source.randrange(256)
    return bytes(content)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "file.yaml"


OWN = vs(f"{{{KEY}, {POLICY}, {to()}}}", hosts="[own.example.com]").replace("[gate]", "[own/own]")


@examples(60, HealthCheck.function_scoped_fixture)
@given(contents(), st.sampled_from(["yaml", "json"]))
def test_whatever_is_beside_a_document_it_is_checked(
    tmp_path: Path, content: bytes, suffix: str
) -> None:
    other, own = tmp_path / f"a.{suffix}", tmp_path / "own.yaml"
    other.write_bytes(content)
    own.write_text(OWN)
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out):
        assert cli.run(["lint", str(tmp_path)]) == 1
    other.unlink()
    lines = out.buffer.getvalue().decode().splitlines()
    assert any(line.startswith(f"{own}:8:") and " error MC001 " in line for line in lines)


@examples(150, HealthCheck.function_scoped_fixture)
@given(contents(), st.sampled_from(VERBS))
def test_no_input_is_more_than_a_mistake(path: Path, content: bytes, verb: list[str]) -> None:
    path.write_bytes(content)
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run([word.format(path) if word == "{}" else word for word in verb])
    assert code in {0, 1, 2}
    said = err.getvalue()
    assert "Traceback" not in said
    if code == 2:
        assert said.startswith("meshcors: ")
        assert said.count("\n") == 1
    assert path.read_bytes() == content
