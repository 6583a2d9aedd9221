r"""Regular expressions of other systems, which may match a part of an origin only.

A policy file's expression always matches the whole origin.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from meshcors._policy.regex import MAX_REGEX_LENGTH

_CLASS_OR_ESCAPE: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_UPPER: Final = re.compile(r"(?<!\\)[A-Z]")
_ENDS: Final = ("$", r"\Z", r"\z")


def is_whole(pattern: str, *, at_start: bool = False) -> bool:
    """Tell whether each alternative of a searched `pattern` begins and ends where the text does.

    With `at_start`, the system matches at the beginning anyway.
    """
    if len(pattern) > MAX_REGEX_LENGTH:
        return True  # no policy may have it
    return all(
        (at_start or each.startswith("^")) and each.endswith(_ENDS) and not each.endswith(r"\$")
        for each in _alternatives(pattern)
    )


def any_case(pattern: str) -> str:
    """Return `pattern` so that it ignores the case, if it has upper-case letters at all.

    Browsers send origins in lower case.
    """
    return f"(?i){pattern}" if _UPPER.search(pattern) else pattern


def _alternatives(pattern: str) -> list[str]:
    """Return the parts of a pattern between the ``|`` that are in no group."""
    plain = _CLASS_OR_ESCAPE.sub(lambda found: "x" * len(found[0]), pattern)
    cuts = [-1]
    depth = 0
    for at, character in enumerate(plain):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            cuts.append(at)
    cuts.append(len(pattern))
    return [pattern[a + 1 : b] for a, b in pairwise(cuts)]
