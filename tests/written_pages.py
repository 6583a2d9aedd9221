"""Pages that tests write: ``WRITE_PAGES=1 pytest FILE`` writes what a plain run compares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

WRITE: Final = "WRITE_PAGES"


def check(page: Path, text: str) -> None:
    """Compare a page with what it should be, or write it."""
    if os.environ.get(WRITE):
        page.write_text(text, encoding="utf-8")
    found = page.read_text(encoding="utf-8")
    assert found == text, (
        f"{page.name} is out of date: run this test with {WRITE}=1, and look at it"
    )
