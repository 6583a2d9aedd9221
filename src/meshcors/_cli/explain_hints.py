"""What to change so that a call that is not allowed is, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcors._cli.explain_fixes import FixCommands
    from meshcors.mesh._analysis.cause import Cause
    from meshcors.mesh._analysis.page_call import PageCall


def hints(cause: Cause | None, page_call: PageCall, commands: FixCommands) -> list[str]:
    """Return what to change, line by line; nothing for a call that is allowed."""
    if cause is None:
        return []
    lines = list(cause.advice)
    if cause.needs_preflight_rule:
        taken = page_call.decisive.answer.route is not None and cause.code != "preflight_strayed"
        lines.append(f"Put a rule that takes preflights {'before this one' if taken else 'first'}:")
        lines += commands.lines(page_call)
    if cause.code == "service_unknown":
        lines.append("To assume that they answer by a policy, pass its file with --config.")
    return lines
