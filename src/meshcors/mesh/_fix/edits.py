"""Edits of a text at the places of its YAML nodes; everything else stays byte for byte."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._fix.yaml_text import Style, block_item, flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors.mesh._analysis.origin_match import OriginMatch

_DASH: Final = re.compile(r"^[ ]*(?=-[ \t\r\n])", re.MULTILINE)
_LINE_END: Final = re.compile(r"\r\n|[\r\n]|\Z")


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters from ``start`` to ``end`` with ``text``."""

    start: int
    end: int
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return ``text`` with all edits applied; they must not overlap."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


def insert_rule(text: str, spec: Any, rule: dict[str, Any], comment: str) -> Iterator[Edit]:
    """Yield alternative edits that put ``rule`` first into ``http``, the best one first.

    ``spec`` is the node of the mapping with the key ``http``. The first alternative keeps the
    comments above the first rule with that rule; not every layout allows it.
    """
    key, rules = next(pair for pair in spec.value if pair[0].value == "http")
    first = rules.value[0]
    json_style = first.id == "mapping" and bool(first.value) and first.value[0][0].style == '"'
    if rules.flow_style:
        at = first.start_mark.index
        before = text[text.rfind("\n", 0, at) + 1 : at]
        gap = _newline(text, at) + before if not before.strip() else " "
        yield Edit(at, at, f"{flow(rule, json_style=json_style)},{gap}")
        return
    dash = _DASH.search(text, text.rfind("\n", 0, rules.start_mark.index) + 1)
    if dash is None:
        return
    column = dash.end() - dash.start()
    on_its_line = "\n" not in text[dash.end() : first.start_mark.index]
    style = Style(
        step=_positive(key.start_mark.column - _column_of_parent(text, key), 2),
        dash=max(column - key.start_mark.column, 0),
        item=_positive(first.start_mark.column - column, 2) if on_its_line else 2,
        flow=_has_flow(first),
        json=json_style,
    )
    newline = _newline(text, key.end_mark.index)
    lines = [" " * column + f"# {comment}", *block_item(rule, column, style)]
    made = "".join(line + newline for line in lines)
    below = _LINE_END.search(text, key.end_mark.index)
    for at in (below.end() if below else len(text), dash.start()):
        yield Edit(at, at, made)


def replace_origin(
    text: str, origins: Any, number: int, wanted: tuple[OriginMatch, ...]
) -> Iterator[Edit]:
    """Yield the edits that replace one item of a list of origins with ``wanted``.

    ``origins`` is the list's node: mappings under ``allowOrigins``, strings under ``allowOrigin``.
    """
    item = origins.value[number]
    first, *more = wanted
    if item.id == "scalar":
        quoted = _quoted(first[1], item)
        yield Edit(item.start_mark.index, item.end_mark.index, quoted)
        end, others = item.end_mark.index, [_quoted(value, item) for _, value in more]
        json_style = False
    else:
        key, value = item.value[0]
        json_style = key.style == '"'
        kind = "" if key.value == first[0] else f"{_quoted(first[0], key)}: "
        start = key.start_mark.index if kind else value.start_mark.index
        yield Edit(start, value.end_mark.index, kind + _quoted(first[1], value))
        end = item.end_mark.index if item.flow_style else value.end_mark.index
        others = [flow({kind: value}, json_style=json_style) for kind, value in more]
    if not others:
        return
    if origins.flow_style:
        yield Edit(end, end, "".join(f", {other}" for other in others))
        return
    line_end = _LINE_END.search(text, end)
    at = line_end.start() if line_end else len(text)
    before = text[text.rfind("\n", 0, item.start_mark.index) + 1 : item.start_mark.index]
    if item.id == "mapping" and not item.flow_style:
        others = [other[1:-1] for other in others]
    newline = _newline(text, item.start_mark.index)
    yield Edit(at, at, "".join(f"{newline}{before}{other}" for other in others))


def _quoted(text: str, like: Any) -> str:
    """Write a string with the quotes of the scalar that it replaces."""
    if like.style == "'" and "'" not in text:
        return f"'{text}'"
    return flow(text, json_style=like.style == '"')


def _newline(text: str, at: int) -> str:
    found = _LINE_END.search(text, at)
    return (found.group() if found else "") or "\n"


def _column_of_parent(text: str, key: Any) -> int:
    """Return the indentation of the nearest line above that is indented less than ``key``."""
    for line in _lines_above(text, key.start_mark.index):
        column = len(line) - len(line.lstrip(" "))
        if line.strip() and not line.lstrip().startswith("#") and column < key.start_mark.column:
            return column
    return 0


def _lines_above(text: str, at: int) -> Iterator[str]:
    """Yield the lines above the one of ``at``, the nearest first."""
    end = text.rfind("\n", 0, at)
    while end >= 0:
        start = text.rfind("\n", 0, end) + 1
        yield from reversed(text[start:end].splitlines())
        end = start - 1


def _has_flow(node: Any) -> bool:
    """Tell whether any list or mapping in a rule is written in brackets or braces."""
    stack = [node]
    while stack:
        each = stack.pop()
        if each.id == "scalar":
            continue
        if each.flow_style and each.value:
            return True
        inner = each.value if each.id == "sequence" else [value for _, value in each.value]
        stack += inner
    return False


def _positive(number: int, otherwise: int) -> int:
    return number if number > 0 else otherwise
