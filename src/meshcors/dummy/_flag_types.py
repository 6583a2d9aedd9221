"""What a flag takes, in words: in place of click's own, which speak of a "float range"."""

from __future__ import annotations

import click


def what_to_write(kind: object) -> str | None:
    """Return what a flag of this type takes; None where click's own message says so."""
    if isinstance(kind, click.Choice):
        return f"write {', '.join(kind.choices[:-1])} or {kind.choices[-1]}"
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return None
    number = "a whole number" if isinstance(kind, click.IntRange) else "a number"
    if kind.max is None:
        return f"write {number}, at least {kind.min}"
    return f"write {number} from {kind.min} to {kind.max}"
