"""Every link of a page to a file of the project leads to one, and to a heading of it."""

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


def missing_targets(page: str, path: Path) -> list[str]:
    """The links of the `page` at `path` that lead to no file, or to no heading of a page."""
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page) if "://" not in link]
    return [link for link in links if not leads_somewhere(*link.partition("#")[::2], path)]


def leads_somewhere(file: str, anchor: str, path: Path) -> bool:
    target = path.parent / file if file else path
    if not anchor or target.suffix != ".md":
        return target.exists()
    return target.exists() and anchor in anchors(target.read_text(encoding="utf-8"))


def anchors(page: str) -> set[str]:
    """What a link can lead to: headings, spelled as GitHub spells them, and `<a id="...">`."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    spelled = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
    return spelled | set(re.findall(r'<a id="(\w+)">', page))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    path = ROOT / page
    assert missing_targets(path.read_text(encoding="utf-8"), path) == []


def test_a_link_to_nothing_is_found() -> None:
    links = {
        "no/such.md#there": False,
        "README.md": True,
        "README.md#no-such-heading": False,
        "README.md#install-and-run": True,
        "#install-and-run": True,
        "#gone": False,
        "docs/console-messages.md#acao_missing": True,
    }
    page = " ".join(f"[link]({link})" for link in links)
    assert missing_targets(page, ROOT / "README.md") == [
        link for link, leads in links.items() if not leads
    ]


def test_the_index_names_every_page_of_the_documentation() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {name for name in pages if f"({name})" not in index} == set()
