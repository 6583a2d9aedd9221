"""The tables of docs/matrix.md, with what the run found."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

from tests.e2e.matrix.wire import Answer, Request

PAGE = Path(__file__).parents[3] / "docs" / "matrix.md"

# The targets and Host lines that the tables show.
SHOWN_TARGETS = (
    *("public/x", "x:/public/x", "http://open.example/public/x", "http://open.example", "*"),
    *("/public%2Fx", "/%2570ublic", "/public/../admin", "/public/%2e%2e/admin", "/public/./x"),
    *("//public/x", "///public/x", "/public//x", "/public\\x", "/public;x", "/public/..;/admin"),
    *("/public#/x", "/%3Fx", "/PUBLIC", "/public/%00", "/public/\x00", "/public/%0A"),
    *("/public/\t", "/public/%FF", "/public/\xff", "/public/%C0%AE", "/public/%", "/public/%zz"),
)
SHOWN_HOSTS: tuple[tuple[str, Request], ...] = (
    ("none, HTTP/1.1", Request(b"/", ())),
    ("none, HTTP/1.0", Request(b"/", (), version=b"HTTP/1.0")),
    ("empty", Request(b"/", (b"",))),
    ("`a.example` and `b.example`, two lines", Request(b"/", (b"a.example", b"b.example"))),
    (
        "`a.example`, in the target `http://b.example/`",
        Request(b"http://b.example/", (b"a.example",)),
    ),
    ("`a.example,b.example`", Request(b"/", (b"a.example,b.example",))),
    ("`u@a.example`", Request(b"/", (b"u@a.example",))),
    ("`a.example:x`", Request(b"/", (b"a.example:x",))),
    ("`a.example/b`", Request(b"/", (b"a.example/b",))),
)


def path_cell(target: str, answer: Answer | None) -> str:
    """Return what a server passed on as the path; = if it is `target`, decoded once."""
    if answer is None or "x-echo" not in answer.headers:
        return _rejected(answer)
    path = json.loads(answer.headers["x-echo"])[0]
    return "=" if path == unquote(target) else code(path)


def host_cell(answer: Answer | None) -> str:
    """Return what a server passed on as the Host field."""
    if answer is None or "x-echo" not in answer.headers:
        return _rejected(answer)
    return ", ".join(map(code, json.loads(answer.headers["x-echo"])[1])) or "none"


def _rejected(answer: Answer | None) -> str:
    return "closed" if answer is None else str(answer.status)


def code(text: str) -> str:
    """Return `text` as code in a table."""
    shown = "".join(
        each if each.isprintable() and each.isascii() else escaped(each) for each in text
    )
    return f"`{shown}`" if shown else "empty"


def escaped(each: str) -> str:
    return f"\\x{ord(each):02x}" if ord(each) < 256 else f"\\u{ord(each):04x}"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table; cells are texts or numbers."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(tables: Mapping[str, str]) -> str:
    """Return the page with its `tables` in the place of those that are there."""
    page = PAGE.read_text(encoding="utf-8")
    for name, made in tables.items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- end -->)"
        page, count = re.subn(
            pattern, lambda found, made=made: found[1] + made + found[2], page, flags=re.DOTALL
        )
        assert count == 1, f"{PAGE.name} has no place for {name}"
    return page
