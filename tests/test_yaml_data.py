"""YAML as plain data: what ruamel.yaml's own loader makes of a text, in one pass."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from meshcors.config._yaml_data import data_of_yaml


def ours(text: str) -> Any:
    return data_of_yaml(YAML(typ="safe", pure=True), text)


def theirs(text: str) -> Any:
    loaded = YAML(typ="safe", pure=True).load_all(text)
    return [each for each in loaded if each is not None]


def place(error: YAMLError) -> tuple[int, int] | None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark and (mark.line, mark.column)


@pytest.mark.parametrize(
    "text",
    [
        "", "---\n...\n---\na: 1\n",
        "a: &x 1\n? [b]\n: [c, {d: e}]\n", "- ~\n- null\n- yes\n- True",
        "[0x10, 0o17, 017, 1_000, 1e3, .inf, -1, 1.5, 2001-01-01, 12:30:45, =a, 'null', \"1\"]",
        "%YAML 1.1\n---\n[yes, 017, 0o17, 12:30:45, off]", "a: |\n  b\n  c\nd: >-\n  e\n  f\n# g\n",
        "1: a\n'1': b\n1.5: c\nfalse: d\nnull: e\n", "{a: , b: ''}", "{a:1}", "a: http://b:80/#c\n",
    ],
)  # fmt: skip
def test_it_is_what_the_library_reads(text: str) -> None:
    found = ours(text)
    # 1 and True are equal.
    assert repr(found) == repr(theirs(text))


TOKENS = [*"a[]{}#'\"~%1\n", "b: ", "- ", "\n  ", ", ", "? ", ": ", "null", "true", "0x1"]
TOKENS += ["&x ", "\t", "---\n", "|\n", ">\n", "2001-1-1"]


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map("".join))
def test_every_text_is_read_or_refused_as_by_the_library(text: str) -> None:
    try:
        expected = theirs(text)
    # A TypeError is the library's own fault, for some keys.
    except (YAMLError, ValueError, TypeError) as error:
        with pytest.raises((YAMLError, ValueError)) as caught:
            ours(text)
        if isinstance(error, YAMLError) and isinstance(caught.value, YAMLError):
            # A key that is given twice is refused before what comes after it.
            found, wanted = place(caught.value), place(error)
            assert found == wanted or (found and wanted and found < wanted)
    else:
        assert repr(ours(text)) == repr(expected)


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("a: &x b\nc: *x", "aliases", 1),
        ("a: 1\n<<: {b: 1}", "merge keys", 1),
        ("a:\n- !!str b", "tags", 1),
        ("a:\n- ! b", "tags", 1),
        ("a: 1\nb: 2\na: 3", "duplicate key", 2),
        ("[" * 65 + "]" * 65, "too deeply", 0),
    ],
)
def test_what_a_configuration_does_not_need_is_refused(text: str, reason: str, line: int) -> None:
    with pytest.raises(YAMLError, match=reason) as caught:
        ours(text)
    found = place(caught.value)
    assert found is not None
    assert found[0] == line


def test_reading_takes_little_more_memory_than_what_is_read() -> None:
    text = "".join(
        f"- hosts: [{at}.example]\n  corsPolicy: {{allowOrigins: [https://{at}.example]}}\n"
        for at in range(300)
    )
    peaks = []
    ours("warm: up")
    for read in (ours, theirs):
        tracemalloc.start()
        kept = read(text)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(kept[0]) == 300
    assert peaks[0] < peaks[1] / 3, peaks
