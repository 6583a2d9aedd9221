"""Fix the VirtualServices of a file, and change nothing else in it.

The documents say what is wrong and what to write; the YAML nodes they were read from say where in
the text. The edits are spliced in there, so everything else stays byte for byte. The result is read
again: it must contain the intended changes and nothing else, and a preflight that is still not
answered in the model of the gateway is an error.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshcors.mesh._documents.problems import DocumentError, Place
from meshcors.mesh._fix.blocked_calls import BlockedCalls, blocked_calls
from meshcors.mesh._fix.changes import (
    Change,
    ChangedLists,
    changed_lists,
    differs_only_in,
    new_first_rule,
    new_origins,
)
from meshcors.mesh._fix.edits import Edit, apply
from meshcors.mesh._fix.errors import cannot_fix
from meshcors.mesh._fix.file import File, read_file
from meshcors.mesh._fix.options import FixOptions, FixResult
from meshcors.mesh._fix.origins import refuse_open_origins, replaced_origins
from meshcors.mesh._fix.preflight_rule import preflight_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def fix(text: str, name: str, options: FixOptions) -> FixResult:
    """Return ``text`` with every VirtualService in it fixed; unchanged if nothing is wrong.

    Each VirtualService with calls that a browser cannot make gets a first rule for preflights.
    Where a policy allows any origin with credentials, the origins of ``options`` replace it.
    ``name`` is the file's name in messages.

    ``DocumentError`` is raised for a file that does not load or has no VirtualService, if origins
    have to be named, and if the file cannot be changed without touching the rest.
    """
    return fix_file(read_file(text, name), options)


def fix_file(file: File, options: FixOptions) -> FixResult:
    """Return what `fix` does, for a file that is read once and fixed with several options."""
    file.refuse_if_empty()
    text = file.text
    refuse_open_origins(file.mesh, options)
    blocked = blocked_calls(file.mesh)
    changes = _new_rules(text, blocked, options)
    changes += [new_origins(text, each) for each in replaced_origins(file.mesh, options)]
    if not changes:
        return FixResult(text, (), file.mesh)
    lists = changed_lists(changes)
    for edits in _alternatives(changes):
        fixed = _read_again(apply(text, edits), file, lists)
        if fixed is not None:
            _refuse_still_blocked(blocked, blocked_calls(fixed.mesh))
            return FixResult(fixed.text, tuple(blocked), fixed.mesh)
    raise cannot_fix(
        Place(file.name, 1, 1), "this file cannot be changed without touching the rest"
    )


def comment(blocked: BlockedCalls) -> str:
    """Return why the new rule is there, for a comment above it."""
    if not blocked.names:
        return "Browsers' preflights, which the rules below do not take."
    them = "them" if len(blocked.names) > 1 else "it"
    return f"A browser's preflight names {', '.join(blocked.names)} and never carries {them}."


def _new_rules(text: str, blocked: Iterable[BlockedCalls], options: FixOptions) -> list[Change]:
    # All rules first: the question which origins are meant comes before any other.
    rules = [(each, preflight_rule(each, options)) for each in blocked]
    changes: dict[tuple[int, str], Change] = {}
    for each, rule in rules:
        change = new_first_rule(text, _spec(each), rule, comment(each))
        # Documents that share a list by an alias share its new rule too.
        changes.setdefault((change.target.start_mark.index, json.dumps(rule)), change)
    return list(changes.values())


def _spec(blocked: BlockedCalls) -> Any:
    """Return the node of a ``spec`` that has its own ``http``."""
    spec = blocked.service.node_at("spec")
    if not any(key.value == "http" for key, _ in spec.value):
        place = blocked.service.place_at("spec")
        raise cannot_fix(place, "the http rules come from an alias that is merged in")
    return spec


def _alternatives(changes: Sequence[Change]) -> Iterator[list[Edit]]:
    """Yield the first alternative of every change, then the last of every change."""
    if all(change.alternatives for change in changes):
        for at in (0, -1):
            yield [edit for change in changes for edit in change.alternatives[at]]


def _read_again(text: str, before: File, lists: ChangedLists) -> File | None:
    """Read the changed text; None if it differs from ``before`` in anything but ``lists``."""
    try:
        after = read_file(text, before.name)
    except DocumentError:
        return None
    same_number = len(after.roots) == len(before.roots)
    return after if same_number and differs_only_in(lists, before.roots, after.roots) else None


def _refuse_still_blocked(before: list[BlockedCalls], after: list[BlockedCalls]) -> None:
    for each in after:
        was = next((it for it in before if it.service.number == each.service.number), each)
        taker = each.calls[0].preflight_answer.rule
        reason = f"{taker} would still take" if taker else "no rule would take"
        raise cannot_fix(was.calls[0].route.place, f"{reason} its preflights")
