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
    """Yield alternative edits that put ``rule`` first into a document, the best one first.

    ``spec`` is the node of the mapping with the key ``http`` or ``rules``. The first alternative
    keeps the comments above the first rule with that rule; not every layout allows it.
    """
    key, rules = rules_of(spec)
    first = rules.value[0]
    if rules.flow_style:
        at = first.start_mark.index
        yield Edit(at, at, f"{flow(rule, json_style=_is_json(first))},{_gap(text, at)}")
        return
    dash = _DASH.search(text, text.rfind("\n", 0, rules.start_mark.index) + 1)
    if dash is None:
        return
    newline = _newline(text, key.end_mark.index)
    made = "".join(line + newline for line in _block_lines(text, spec, dash, rule, comment))
    below = _LINE_END.search(text, key.end_mark.index)
    for at in (below.end() if below else len(text), dash.start()):
        yield Edit(at, at, made)


def append_rule(text: str, spec: Any, rule: dict[str, Any], comment: str) -> Iterator[Edit]:
    """Yield alternative edits that put ``rule`` last into a document, the best one first.

    ``spec`` is as for `insert_rule`. The first alternative puts it before the comments that follow
    the last rule, which may be about what is below.
    """
    key, rules = rules_of(spec)
    end = rules.end_mark.index
    if rules.flow_style:
        written = flow(rule, json_style=_is_json(rules.value[0]))
        gap = _gap(text, rules.value[0].start_mark.index)
        inner = text[: end - 1].rstrip()
        at = len(inner)
        yield Edit(at, at, f"{gap if inner.endswith(',') else ',' + gap}{written}")
        yield Edit(end - 1, end - 1, f",{gap}{written}")
        return
    dash = _DASH.search(text, text.rfind("\n", 0, rules.start_mark.index) + 1)
    if dash is None:
        return
    newline = _newline(text, key.end_mark.index)
    lines = _block_lines(text, spec, dash, rule, comment)
    for at in dict.fromkeys((_end_of_content(text, dash.start(), end), end)):
        at_line_start = at == 0 or text[at - 1] in "\r\n"
        made = newline.join(lines)
        yield Edit(at, at, made + newline if at_line_start else newline + made)


def _end_of_content(text: str, start: int, end: int) -> int:
    """Return the end of the last line that is neither empty nor a comment."""
    at = end
    while at > start:
        line_start = text.rfind("\n", 0, at - 1) + 1
        line = text[line_start:at].strip()
        if line and not line.startswith("#"):
            break
        at = line_start
    return at


def rules_of(spec: Any) -> tuple[Any, Any]:
    """Return the key and the list of the rules, ``http`` or ``rules``."""
    key, rules = next(pair for pair in spec.value if pair[0].value in {"http", "rules"})
    return key, rules


def _is_json(item: Any) -> bool:
    return item.id == "mapping" and bool(item.value) and item.value[0][0].style == '"'


def _gap(text: str, at: int) -> str:
    """Return what separates the items of a flow list: its first one starts at ``at``."""
    before = text[text.rfind("\n", 0, at) + 1 : at]
    return " " if before.strip() else _newline(text, at) + before


def _block_lines(
    text: str, spec: Any, dash: re.Match[str], rule: dict[str, Any], comment: str
) -> list[str]:
    """Return the lines of an item of the block list of rules; ``dash`` is that of the first."""
    key, rules = rules_of(spec)
    first = rules.value[0]
    column = dash.end() - dash.start()
    on_its_line = "\n" not in text[dash.end() : first.start_mark.index]
    style = Style(
        step=_positive(key.start_mark.column - _column_of_parent(text, key), 2),
        dash=max(column - key.start_mark.column, 0),
        item=_positive(first.start_mark.column - column, 2) if on_its_line else 2,
        flow=_has_flow(first),
        json=_is_json(first),
    )
    return [" " * column + f"# {comment}", *block_item(rule, column, style)]


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
