"""Fix VirtualServices: add the rule that browsers' preflights need, and close open origins.

`fix` and `separate` are pure: a text goes in, a text comes out. `fix_file` tries several options on
a file that `read_file` has read once.
"""

from __future__ import annotations

from meshcors.mesh._fix.file import File, read_file
from meshcors.mesh._fix.in_place import fix, fix_file
from meshcors.mesh._fix.options import FixOptions, FixResult, Responder
from meshcors.mesh._fix.second_document import separate

__all__ = [
    "File", "FixOptions", "FixResult", "Responder", "fix", "fix_file", "read_file", "separate",
]  # fmt: skip
