"""Fix VirtualServices: add the rule that browsers' preflights need, and close open origins.

All of it is pure: `fix` and `separate` take a text, `fix_mesh` and `separate_mesh` all files as one
mesh, and texts come out. `fix_file` tries several options on a file that `read_file` has read once.
"""

from __future__ import annotations

from meshcors.mesh._fix.file import File, read_file
from meshcors.mesh._fix.in_place import fix, fix_file, fix_mesh
from meshcors.mesh._fix.options import FixOptions, FixResult, Responder
from meshcors.mesh._fix.second_document import separate, separate_mesh

__all__ = [
    "File", "FixOptions", "FixResult", "Responder", "fix", "fix_file", "fix_mesh", "read_file",
    "separate", "separate_mesh",
]  # fmt: skip
