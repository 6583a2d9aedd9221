"""The case it all began with: what the lab shows where no file is given."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

# How messages and labels call the file.
CASE_FILE: Final = "example.yaml"
# The origin of its page.
CASE_ORIGIN: Final = "https://ui.example"


def case_text() -> str:
    """Return the VirtualService of the case."""
    return files("meshcors._lab").joinpath("case.yaml").read_text(encoding="utf-8")
