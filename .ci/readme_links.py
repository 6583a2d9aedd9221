"""The README as a package index shows it: relative links lead to the repository at this version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# The target of a Markdown link, of a link's definition, or of an HTML attribute; no absolute one.
RELATIVE = re.compile(
    r'(\]\(|^\[[^\]]+\]:\s+|\b(?:href|src|srcset)=")(?![a-z]+:)([^)\s"]+)', re.MULTILINE
)
IMAGES = (".gif", ".png", ".svg")


class Readme(MetadataHookInterface):
    """Fills in the README, with the address that stands in `[project.urls]`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`, which pyproject.toml declares dynamic."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        address, version = metadata["urls"]["Source"], metadata["version"]

        def absolute(link: re.Match[str]) -> str:
            before, target = link.groups()
            # A bare fragment is a heading of the README itself.
            path = f"README.md{target}" if target.startswith("#") else target
            view = "raw" if path.endswith(IMAGES) else "blob"
            return f"{before}{address}/{view}/v{version}/{path}"

        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": RELATIVE.sub(absolute, text),
        }
