"""The diff that fix prints: applied to the old text, it gives the new one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors._cli.diff import unified_diff

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\r\n", "\n", "- x\n", "+\n"]))
TEXTS = st.builds("{}{}".format, LINES.map("".join), st.sampled_from(["", "end", "a"]))


def patched(before: str, diff: str) -> str:
    """Return ``before`` with a unified diff applied, which has to fit."""
    old = re.findall(r"[^\n]*\n|[^\n]+", before)
    made: list[str] = []
    at = 0
    for hunk in re.split(r"^@@ ", diff, flags=re.MULTILINE)[1:]:
        head, *shown = re.findall(r"[^\n]*\n|[^\n]+", hunk)
        lines: list[str] = []
        for line in shown:
            if line == "\\ No newline at end of file\n":
                lines[-1] = lines[-1].removesuffix("\n")
            else:
                lines.append(line)
        found = re.fullmatch(r"-(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n", head)
        assert found is not None
        size, new_size = (int(found[group] or "1") for group in (2, 4))
        start = int(found[1]) - (size > 0)
        made += old[at:start]
        assert int(found[3]) == len(made) + (new_size > 0)
        assert old[start : start + size] == [line[1:] for line in lines if line[0] in " -"]
        new = [line[1:] for line in lines if line[0] in " +"]
        assert len(new) == new_size
        made += new
        at = start + size
    return "".join([*made, *old[at:]])


@given(TEXTS, TEXTS)
def test_a_diff_leads_from_one_text_to_the_other(before: str, after: str) -> None:
    diff = unified_diff(before, after, "a.yaml")
    assert patched(before, diff) == after
    assert (diff == "") == (before == after)


def test_a_file_that_is_not_there_is_all_new() -> None:
    assert unified_diff(None, "a\nb", "a.yaml") == (
        "--- /dev/null\n+++ a.yaml\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize("number", [300])
def test_many_changes_are_shown_each_for_itself(number: int) -> None:
    before = "".join(f"name: {at}\nhttp:\n- a\n- b\n- c\n- d\n- e\n" for at in range(number))
    after = before.replace("http:\n", "http:\n- first\n")
    diff = unified_diff(before, after, "a.yaml")
    assert diff.count("\n+") - diff.count("\n+++") == number
    assert diff.count("\n-") == 0
