"""Warnings about a policy. They point at the line that called this package."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import os
import warnings
from typing import Final

# Not the caller: this package, and the modules that copy a policy.
_NOT_CALLERS: Final = (
    # Not pathlib's: it normalizes the path, and code objects do not.
    os.path.join(os.path.dirname(os.path.dirname(__file__)), ""),  # noqa: PTH118, PTH120
    dataclasses.__file__,
    copy.__file__,
)


class PolicyWarning(UserWarning):
    """Something in a policy has no effect. The policy works nevertheless."""

    # The name to import it by is the name for ``python -W``.
    __module__ = "meshcors"


def warn(text: str) -> None:
    """Emit a `PolicyWarning` that points at the line that called this package."""
    warnings.warn(text, PolicyWarning, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Return the ``stacklevel`` with which `warn` names the innermost line outside this package.

    From Python 3.12 on, ``skip_file_prefixes`` would do this.
    """
    level = 0
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_CALLERS):
        level += 1
        frame = frame.f_back
    return level
