"""The docs name what the code has: every option's spelling, every code of a problem."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshcors.config._options import OPTIONS, Option

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
POLICY_PAGE = (DOCS / "policy.md").read_text(encoding="utf-8")
SOURCES = ROOT / "src" / "meshcors"
CODE = re.compile(
    r"""(?:OriginError|SpellingError|Problem|\badd|_wrong|_no_app)\(\s*(?:path,\s*)?"(\w+)","""
)


@pytest.mark.parametrize("option", OPTIONS, ids=[option.variable for option in OPTIONS])
def test_the_policy_page_spells_every_option(option: Option) -> None:
    spellings = [option.variable, option.file_label, option.flag]
    assert [text for text in spellings if text and f"`{text}`" not in POLICY_PAGE] == []


def test_the_policy_page_explains_every_code() -> None:
    modules = (
        *sorted((SOURCES / "_policy").glob("*.py")),
        *sorted((SOURCES / "config").glob("*.py")),
        SOURCES / "wrap.py",
    )
    # Those of rules by URL are on a page of their own.
    code = "".join(
        module.read_text(encoding="utf-8")
        for module in modules
        if module.stem not in {"rules", "_rule_file", "_rule_parts", "_virtual_services"}
    )
    codes = set(CODE.findall(code))
    assert sorted(each for each in codes if f"`{each}`" not in POLICY_PAGE) == []
    errors = POLICY_PAGE.partition("## Errors")[2].partition("## Warnings")[0]
    rows = re.findall(r"^\| (`.*?) \|", errors, re.MULTILINE)
    explained = {each for row in rows for each in re.findall(r"`(\w+)`", row)}
    assert len(codes & explained) > len(explained) // 2, "the pattern finds few of them"
    assert sorted(each for each in explained if f'"{each}"' not in code) == []


def test_the_policy_pages_code_runs() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", POLICY_PAGE, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/policy.md", "exec"), {})


def test_no_file_holds_the_markers_of_a_merge() -> None:
    folders = (".ci", ".github", "docs", "examples", "src", "tests")
    files = [*ROOT.glob("*"), *(each for name in folders for each in (ROOT / name).rglob("*"))]
    marker = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)
    texts = [each for each in files if each.is_file() and each.suffix not in {".pyc", ".png"}]
    assert [str(each) for each in texts if marker.search(each.read_bytes())] == []
