"""Every link of a page to a file of the project leads to one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    path.relative_to(ROOT)
    for folder in ("", "docs", "examples")
    for path in sorted((ROOT / folder).glob("**/*.md" if folder else "*.md"))
]


def missing_targets(page: str, folder: Path) -> list[str]:
    links = re.findall(r"\]\(([^)\s]+)\)", page)
    targets = [link.split("#")[0] for link in links if "://" not in link]
    return [target for target in targets if not (folder / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_to_files(page: Path) -> None:
    path = ROOT / page
    assert missing_targets(path.read_text(encoding="utf-8"), path.parent) == []


def test_a_link_to_nothing_is_found() -> None:
    assert missing_targets("[gone](no/such.md#there), [page](README.md)", ROOT) == ["no/such.md"]


def test_the_index_names_every_page_of_the_documentation() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {name for name in pages if f"({name})" not in index} == set()
