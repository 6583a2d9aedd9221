"""What each lint rule finds, why it matters, how to fix it, and what is an exception.

One source for the pages in ``docs/lint/`` and for ``meshcors lint --explain``. The texts are
Markdown without links.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from meshcors.mesh._lint.explained_origins import ORIGIN_EXPLANATIONS
from meshcors.mesh._lint.explained_routing import ROUTING_EXPLANATIONS

if TYPE_CHECKING:
    from meshcors.mesh._lint.explained import Explanation
    from meshcors.mesh._lint.finding import LintRule


_CODE: Final = re.compile("`[^`]*`")
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"

EXPLANATIONS: Final[Mapping[str, Explanation]] = dict(
    sorted([*ORIGIN_EXPLANATIONS.items(), *ROUTING_EXPLANATIONS.items()])
)


def exceptions(rule: LintRule) -> str:
    """Return what a lint rule does not report, and how to silence its findings."""
    not_reported = EXPLANATIONS[rule.id].not_reported
    return (
        (f"Not reported: {not_reported}\n\n" if not_reported else "")
        + f"To silence this finding, write `# meshcors: ignore {rule.id}` on its line or on the"
        + f" line above; for a whole run, pass `--ignore {rule.id}`."
    )


def sections(rule: LintRule) -> dict[str, str]:
    """Return the explanation of a lint rule by heading."""
    texts = EXPLANATIONS[rule.id]
    return {
        "What it finds": texts.finds,
        "Why it matters": texts.why,
        "How to fix it": texts.fix,
        "Exceptions": exceptions(rule),
    }


def explanation(rule: LintRule) -> str:
    """Return the explanation of a lint rule as text for a terminal."""
    lines = [f"{rule.id} {rule.name} ({rule.severity}): {rule.title}"]
    for heading, text in sections(rule).items():
        lines += ["", heading, *(f"  {line}".rstrip() for line in wrapped(text, 78))]
    return "\n".join(lines)


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text; what is between backticks stays on one line."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        unbroken = _CODE.sub(lambda code: code[0].replace(" ", _NO_BREAK), paragraph)
        found = textwrap.wrap(unbroken, width, break_long_words=False, break_on_hyphens=False)
        lines += [*([""] if lines else []), *(line.replace(_NO_BREAK, " ") for line in found)]
    return lines
