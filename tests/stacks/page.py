"""docs/model-servers.md: its tables, from the results and from what each stack's file says."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from tests.stacks.stack import Call, Stack, stacks

PAGE = Path(__file__).parents[2] / "docs" / "model-servers.md"
READ = Path(__file__).parent / "read.toml"

# Each column, and the cells that it shows.
COLUMNS = {
    "preflights": ("preflight", "stranger's preflight"),
    "keys: right, wrong, none": ("works", "wrong key", "no key"),
    "404": ("missing",),
    "405": ("method",),
    "413": ("large",),
    "500": ("error",),
    "own limit": ("limit",),
    "own timeout": ("timeout",),
    "stream": ("stream",),
    "WebSocket": ("websocket",),
    "exempt for probes": ("health",),
}
HEAD = ("stack", "the line", *COLUMNS, "stays outside", "its own guard")
READ_HEAD = ("stack", "the line", "the order", "covered", *HEAD[-2:])


def write() -> None:
    """Write the page's tables."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def filled(text: str) -> str:
    """Return the page with its tables as they should be."""
    text = _with(text, "table", _lines(HEAD, (_row(stack) for stack in stacks())))
    rows = ([row["title"] + " " + row["version"], *_read_cells(row)] for row in read_stacks())
    return _with(text, "read", _lines(READ_HEAD, rows))


def read_stacks() -> list[dict[str, str]]:
    """Every stack that is read, not run."""
    rows: list[dict[str, str]] = tomllib.loads(READ.read_text(encoding="utf-8"))["stack"]
    return rows


def _with(text: str, name: str, table: str) -> str:
    before, begin, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not end:
        raise ValueError(f"{PAGE.name} has no place for {name}")
    return f"{before}{begin}{table}\n{end}{after}"


def _read_cells(row: dict[str, str]) -> list[str]:
    line = f"`{row['line']}`" if row["line"] else "no hook"
    return [line, *(row[name] for name in ("order", "covered", "outside", "guard"))]


def _row(stack: Stack) -> list[str]:
    if stack.not_run or not stack.result.exists():
        reason = stack.not_run or "no result yet"
        return [
            stack.title,
            f"`{stack.line}`",
            f"not run: {reason}",
            *[""] * (len(COLUMNS) - 1),
            "",
            stack.guard,
        ]
    result = json.loads(stack.result.read_text(encoding="utf-8"))
    title = f"{stack.title} {result['version']}"
    shown = [_cell(stack, result["cells"], names) for names in COLUMNS.values()]
    return [title, f"`{stack.line}`", *shown, stack.outside or "nothing", stack.guard]


def _cell(stack: Stack, cells: dict[str, Any], names: tuple[str, ...]) -> str:
    said: list[str] = []
    for name in names:
        call = stack.calls.get(name)
        if isinstance(call, str):
            said.append(call)
            continue
        cell = cells[name]
        text = ", ".join([str(cell["status"]), *cell["wrong"]])
        text = f"**{text}**" if cell["wrong"] else text
        if isinstance(call, Call) and name == "health":
            text = f"`{call.path}`" if not cell["wrong"] else f"`{call.path}`: {text}"
        if isinstance(call, Call) and call.says:
            text = f"{text} ({call.says})"
        said.append(text)
    return ", ".join(said)


def _lines(head: tuple[str, ...], rows: Any) -> str:
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
