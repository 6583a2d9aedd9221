"""The commands in hints: whole ones, for the files that were given."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from meshcors._policy.wording import file_argument

if TYPE_CHECKING:
    from collections.abc import Sequence

# In a hint, what stands for the command that is written when all findings are known.
FIX: Final = "meshcors fix FILE..."
SEPARATE: Final = f"{FIX} --separate"
_ORIGIN: Final = "--allow-origin https://ui.example"


def fix_command(files: Sequence[str], *, needs_origins: bool) -> str:
    """Return the command that fixes ``files``, or how to get one if they are standard input."""
    if "-" in files or any(file.startswith("<") for file in files):
        named = "FILE"
        begin = "save the documents in a file, then "
    else:
        named = shlex.join(map(file_argument, files))
        begin = ""
    return " ".join([f"{begin}meshcors fix {named}", *([_ORIGIN] if needs_origins else [])])
