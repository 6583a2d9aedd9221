"""Warnings about a policy, each of which points at the line of whoever called this package."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import os
import warnings
from pathlib import Path
from typing import Final

# What stands between a user's line and ours: this package, and what copies a policy.
_NOT_CALLERS: Final = (
    f"{Path(__file__).parent.parent}{os.sep}",
    dataclasses.__file__,
    copy.__file__,
)


class PolicyWarning(UserWarning):
    """Something in a policy that has no effect; the policy starts all the same."""

    # As ``python -W`` and a traceback name it, and as a user imports it.
    __module__ = "meshcors"


def warn(text: str) -> None:
    """Give a `PolicyWarning` that points at the line of whoever called this package."""
    warnings.warn(text, PolicyWarning, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Return the ``stacklevel`` that makes `warnings.warn`, in who calls this, name a user's line.

    That is the innermost line outside of this package; Python 3.12 has ``skip_file_prefixes``.
    """
    level = 0
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_CALLERS):
        level += 1
        frame = frame.f_back
    return level
