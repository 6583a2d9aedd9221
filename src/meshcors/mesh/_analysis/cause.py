"""Why a page's call is not allowed, in a sentence, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcors._policy.place import Place


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause.

    ``code`` is stable and meant for programs. ``place`` is that of the rule or object to look at.
    ``advice`` are sentences. If ``needs_preflight_rule``, a rule that takes preflights helps: then
    it goes before the other rules.
    """

    code: str
    text: str
    place: Place | None
    advice: tuple[str, ...] = ()
    needs_preflight_rule: bool = False


def enumerated(items: list[str], at_most: int) -> str:
    """Return the first items as a list, and how many more there are."""
    more = len(items) - at_most
    return ", ".join(items[:at_most]) + (f" and {more} more" if more > 0 else "")
