"""Refuse to publish what is not ready: `python .ci/check_release.py v1.2.3`, the tag's name."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit


def problems(tag: str, pyproject: str, changelog: str) -> list[str]:
    """Return what must be done before a tag is published, a line each.

    `tag` is its name, `pyproject` and `changelog` are the texts of the two files.
    """
    project = tomllib.loads(pyproject)["project"]
    version, address = project["version"], project.get("urls", {}).get("Source", "")
    found = []
    if tag != f"v{version}":
        found.append(f"tag {tag}: pyproject.toml has version {version}")
    # RFC 2606 reserves .invalid: no such address exists.
    if not address.startswith("https://") or (urlsplit(address).hostname or "").endswith(
        ".invalid"
    ):
        found.append("pyproject.toml: no address of the repository: add Source to [project.urls]")
    if not re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE
    ):
        found.append(f"CHANGELOG.md: no heading: ## [{version}] - year-month-day")
    unreleased = changelog.partition("## [Unreleased]")[2].partition("\n## ")[0]
    if unreleased.strip():
        found.append(f"CHANGELOG.md: move what is under [Unreleased] to [{version}]")
    return found


if __name__ == "__main__":
    ROOT = Path(__file__).parent.parent
    (TAG,) = sys.argv[1:]
    FOUND = problems(
        TAG,
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    )
    sys.exit("\n".join(FOUND))
