"""Plain data as YAML text, in the style of the text around it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# Unquoted, these are strings in YAML 1.1 and 1.2, also inside [] and {}; except for _NOT_A_STRING.
_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*|[0-9]+(?:ms|[hms])")
_NOT_A_STRING: Final = re.compile(
    r"(?i)y|yes|n|no|on|off|true|false|null|\.?(nan|inf)|[0-9.]*e[0-9]*"
)
_LONGEST_LINE: Final = 100


@dataclass(frozen=True, slots=True)
class Style:
    """The style of a file.

    ``step`` is the indentation of a mapping below its key, ``dash`` that of a list's dashes below
    its key, and ``item`` the distance from a dash to the content of its item. With ``flow``, values
    of a rule are written in ``{}`` and ``[]`` if they fit in a line; with ``json``, every string
    is quoted.
    """

    step: int = 2
    dash: int = 0
    item: int = 2
    flow: bool = True
    json: bool = False


def flow(data: Any, *, json_style: bool = False) -> str:
    """Return ``data`` on one line."""
    if isinstance(data, Mapping):
        pairs = ", ".join(
            f"{_scalar(key, json_style)}: {flow(value, json_style=json_style)}"
            for key, value in data.items()
        )
        return "{" + pairs + "}"
    if isinstance(data, list):
        return "[" + ", ".join(flow(item, json_style=json_style) for item in data) + "]"
    return _scalar(data, json_style)


def block_item(data: Mapping[str, Any], column: int, style: Style) -> list[str]:
    """Return the lines of a list's item with its dash in ``column`` (counted from 0)."""
    lines = block(data, column + style.item, style)
    return [" " * column + "-" + " " * (style.item - 1) + lines[0].lstrip(), *lines[1:]]


def block(data: Mapping[str, Any], column: int, style: Style) -> list[str]:
    """Return the lines of a mapping with its keys in ``column``."""
    lines: list[str] = []
    for key, value in data.items():
        head = " " * column + f"{_scalar(key, style.json)}:"
        short = f"{head} {flow(value, json_style=style.json)}"
        if not isinstance(value, dict | list) or not value or _fits(value, short, style):
            lines.append(short)
        elif isinstance(value, dict):
            lines += [head, *block(value, column + style.step, style)]
        else:
            lines.append(head)
            for item in value:
                lines += _item(item, column + style.dash, style)
    return lines


def _item(item: Any, column: int, style: Style) -> list[str]:
    line = " " * column + "-" + " " * (style.item - 1) + flow(item, json_style=style.json)
    if isinstance(item, dict) and item and (not style.flow or len(line) > _LONGEST_LINE):
        return block_item(item, column, style)
    return [line]


def _fits(value: Any, line: str, style: Style) -> bool:
    if not style.flow or len(line) > _LONGEST_LINE:
        return False
    if isinstance(value, dict):  # a mapping of lists is easier to read on several lines
        return not any(isinstance(inner, list) for inner in value.values())
    return True


def _scalar(value: Any, json_style: bool) -> str:
    if isinstance(value, str) and not json_style and _is_plain(value):
        return value
    written = json.dumps(value, ensure_ascii=False)
    # YAML takes some invisible characters for line breaks, and some could steer a terminal.
    return "".join(c if c.isprintable() or c > "\uffff" else f"\\u{ord(c):04x}" for c in written)


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and not _NOT_A_STRING.fullmatch(text)
