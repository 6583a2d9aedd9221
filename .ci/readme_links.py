"""The README as a package index shows it: relative links lead to the repository at this version.

Without an address of the repository they lead nowhere, and only their texts are left.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# A link or an image with a relative target: its text, which may have one pair of brackets, and the
# target.
RELATIVE = re.compile(r"!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?![a-z]+:)([^)\s]+)\)")
IMAGES = (".gif", ".png", ".svg")


class Readme(MetadataHookInterface):
    """Fills in the README, with the address that stands in `[project.urls]`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`, which pyproject.toml declares dynamic."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        address, version = metadata.get("urls", {}).get("Source"), metadata["version"]

        def absolute(link: re.Match[str]) -> str:
            words, target = link.groups()
            if address is None:
                return words
            # A bare fragment is a heading of the README itself.
            path = f"README.md{target}" if target.startswith("#") else target
            view = "raw" if path.endswith(IMAGES) else "blob"
            before = link[0].removesuffix(f"{target})")
            return f"{before}{address}/{view}/v{version}/{path})"

        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": RELATIVE.sub(absolute, text),
        }
