"""A stack: a file of `apps/` that is the app itself, and says of itself what is asked of it.

Its head is the inline metadata of scripts (PEP 723): what to install, how to start it, the line
that adds meshcors, and its calls. In a call's place there may be a text: why there is none.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

APPS = Path(__file__).parent / "apps"
RESULTS = Path(__file__).parent / "results"

# What every stack says of itself: a call, or why there is none.
CALLS = (
    *("works", "missing", "method", "large", "error", "stream", "websocket", "health"),
    # Last, because they leave work behind.
    *("limit", "timeout"),
)


@dataclass(frozen=True)
class Call:
    """A call of the page, and the status that the stack itself answers."""

    path: str
    status: int = 200
    method: str = "POST"
    json: Any = None
    # A body in the place of `json`: `text` with as many letters as `size` where it has {x}.
    text: str = ""
    size: int = 0
    type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    # Fields that the page's script must be able to read.
    exposes: tuple[str, ...] = ()
    # The stack's own answer to a stranger, where it has a guard; 0: as to the page.
    to_stranger: int = 0
    # An expression with one group, found in the answer to the call that works, as {taken}.
    takes: str = ""
    # How many of the same calls are under way when it is sent.
    beside: int = 0
    # What the table says of it, such as the setting of a limit.
    says: str = ""
    # It answers outside of the middleware: a gap that the table names.
    outside: bool = False

    @property
    def body(self) -> bytes | None:
        if self.size:
            return (self.text or '"{x}"').replace("{x}", "x" * self.size).encode()
        return None if self.json is None else json.dumps(self.json).encode()


@dataclass(frozen=True)
class Stack:
    """A model server, and how it is installed, started and called."""

    name: str
    title: str
    # The distribution whose version the table shows.
    package: str
    dependencies: tuple[str, ...]
    line: str
    start: tuple[str, ...]
    outside: str
    guard: str
    calls: dict[str, Call | str]
    environment: dict[str, str] = field(default_factory=dict)
    # Why it does not run where the results are made; it has no cells then.
    not_run: str = ""

    @property
    def app(self) -> Path:
        return APPS / f"{self.name}.py"

    @property
    def result(self) -> Path:
        return RESULTS / f"{self.name}.json"


def stacks() -> list[Stack]:
    """Every stack, by name."""
    return [read(file) for file in sorted(APPS.glob("*.py"))]


def read(file: Path) -> Stack:
    """Read the head of a stack's file."""
    block = re.match(r"# /// script\n((?:#.*\n)+?)# ///\n", file.read_text(encoding="utf-8"))
    if block is None:
        raise ValueError(f"{file.name}: no script metadata at its head")
    head = tomllib.loads("".join(f"{line[2:]}\n" for line in block[1].splitlines()))
    said = head["tool"]["stack"]
    calls = {
        name: each if isinstance(each, str) else Call(**_frozen(each))
        for name, each in said.pop("calls").items()
    }
    dependencies = tuple(head["dependencies"])
    return Stack(file.stem, calls=calls, dependencies=dependencies, **_frozen(said))


def _frozen(said: dict[str, Any]) -> dict[str, Any]:
    """Return it with its lists of texts as tuples, except within a body."""
    return {
        name: tuple(value) if isinstance(value, list) and name != "json" else value
        for name, value in said.items()
    }
