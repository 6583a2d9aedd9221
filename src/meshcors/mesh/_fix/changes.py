"""Changes of lists in a file: how each is written, and the proof that this is all that changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from meshcors.mesh._fix.edits import Edit, append_rule, insert_rule, replace_origin, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshcors.mesh._fix.origins import ReplacedOrigin

_TAG: Final = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Change:
    """``new`` items take the place of ``replaced`` items of a list, from item ``number`` on.

    ``target`` is the list's node, ``new`` is plain data. ``alternatives`` are sets of edits, the
    best one first; each of them writes the change in some layouts of YAML.
    """

    target: Any
    number: int
    replaced: int
    new: tuple[Any, ...]
    alternatives: tuple[tuple[Edit, ...], ...]


@dataclass(frozen=True, slots=True)
class _NewItem:
    """Plain data among nodes."""

    data: Any


# The items of each changed list, by the character of the file at which its node starts.
ChangedLists: TypeAlias = dict[int, list[Any]]


def new_first_rule(text: str, spec: Any, rule: dict[str, Any], comment: str) -> Change:
    """Return the change that puts ``rule`` first among those of the node ``spec``."""
    alternatives = tuple((edit,) for edit in insert_rule(text, spec, rule, comment))
    _, rules = rules_of(spec)
    return Change(rules, 0, 0, (rule,), alternatives)


def new_last_rule(text: str, spec: Any, rule: dict[str, Any], comment: str) -> Change:
    """Return the change that puts ``rule`` last among those of the node ``spec``."""
    _, rules = rules_of(spec)
    alternatives = tuple((edit,) for edit in append_rule(text, spec, rule, comment))
    return Change(rules, len(rules.value), 0, (rule,), alternatives)


def new_origins(text: str, replaced: ReplacedOrigin) -> Change:
    """Return the change that replaces an open origin."""
    entries, number, origins = replaced.entries, replaced.number, replaced.origins
    is_text = entries.value[number].id == "scalar"
    new = tuple(value if is_text else {kind: value} for kind, value in origins)
    edits = tuple(replace_origin(text, entries, number, origins))
    return Change(entries, number, 1, new, (edits,))


def changed_lists(changes: Sequence[Change]) -> ChangedLists:
    """Return what each changed list is to contain."""
    lists: ChangedLists = {}
    ordered = sorted(changes, key=lambda change: change.number)
    # From the last item to the first: a change moves the items behind it.
    for change in reversed(ordered):
        target = change.target
        items = lists.setdefault(target.start_mark.index, list(target.value))
        end = change.number + change.replaced
        items[change.number : end] = map(_NewItem, change.new)
    return lists


def differs_only_in(lists: ChangedLists, before: Iterable[Any], after: Iterable[Any]) -> bool:
    """Tell whether the nodes ``after`` equal those ``before``, with ``lists`` changed as wanted."""
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[Any, Any]] = list(zip(before, after, strict=True))
    while stack:
        old, new = stack.pop()
        if isinstance(old, _NewItem):
            if not _equals(new, old.data):
                return False
            continue
        # An alias leads to the same node again.
        if (id(old), id(new)) in seen:
            continue
        seen.add((id(old), id(new)))
        if old.id != new.id or old.tag != new.tag:
            return False
        if old.id == "scalar":
            if old.value != new.value:
                return False
            continue
        items: list[Any] = old.value
        if old.id == "sequence":
            items = lists.get(old.start_mark.index, items)
        if len(items) != len(new.value):
            return False
        if old.id == "sequence":
            stack += zip(items, new.value, strict=True)
        else:
            for pair, match in zip(items, new.value, strict=True):
                stack += zip(pair, match, strict=True)
    return True


def _equals(node: Any, data: Any) -> bool:
    """Tell whether a node equals ``data``: dicts, lists, strings, integers and booleans."""
    if isinstance(data, dict):
        return (
            node.id == "mapping"
            and len(node.value) == len(data)
            and all(
                _equals(key, name) and _equals(value, data[name])
                for (key, value), name in zip(node.value, data, strict=True)
            )
        )
    if isinstance(data, list):
        return (
            node.id == "sequence"
            and len(node.value) == len(data)
            and all(map(_equals, node.value, data))
        )
    kinds = {bool: "bool", int: "int", str: "str"}
    text = str(data).lower() if isinstance(data, bool) else str(data)
    return node.id == "scalar" and (node.tag, node.value) == (_TAG + kinds[type(data)], text)
