"""The table of `tests/data/http.txt`: bytes that a client sends, and what three servers answer.

A line is a case: what it shows, the clause of an RFC, the bytes, what the pod, nginx and Envoy
answer, and the name of the note that says why they differ. An answer is the statuses in order, and
what becomes of the connection: it stays `open`, the server will `close` it, or the server `waits`
for the rest of a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PATH = Path(__file__).parent / "data" / "http.txt"
SERVERS = ("pod", "nginx", "envoy")

# The policy that all three answer by; everything else is 404.
HOST = b"api.example"
ORIGIN = b"https://ui.example"
_HOST_LINE = b"Host: api.example\r\n"
_ORIGIN_LINES = b"Origin: https://ui.example\r\nAccess-Control-Request-Method: POST\r\n"
_PREFLIGHT = b"OPTIONS /v1/chat HTTP/1.1\r\n" + _HOST_LINE + _ORIGIN_LINES
# What stands for what in the bytes of a case. {x*3} is xxx.
_PARTS = {
    b"H": _HOST_LINE,
    b"O": _ORIGIN_LINES,
    b"P": _PREFLIGHT,
    b"C": _PREFLIGHT + b"Transfer-Encoding: chunked\r\n\r\n",
    b"C-": _PREFLIGHT + b"Transfer-Encoding: chunked\r\n",
    # the next request
    b"N": b"GET /v1/next HTTP/1.1\r\n" + _HOST_LINE + b"\r\n",
    # the client closes its side
    b"end": b"",
}


@dataclass(frozen=True)
class Case:
    """A line of the table; `answers` are by server."""

    section: str
    title: str
    clause: str
    written: str
    answers: dict[str, str]
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.section}: {self.title}"

    @property
    def sent(self) -> bytes:
        """The bytes that the client sends."""
        return _bytes(self.written)

    @property
    def ends(self) -> bool:
        """Whether the client then closes its side."""
        return self.written.endswith("{end}")


@dataclass(frozen=True)
class Table:
    """All cases, in their order, and the text of each note by its name."""

    cases: tuple[Case, ...]
    notes: dict[str, str]


def read_table() -> Table:
    """Read `tests/data/http.txt`."""
    cases, notes, section = [], {}, ""
    for line in PATH.read_text(encoding="ascii").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("["):
            name, _, text = line.removeprefix("[").partition("] ")
            notes[name] = text
        elif line and not line.startswith("#"):
            title, clause, written, *found, note = (cell.strip() for cell in line.split("|"))
            answers = dict(zip(SERVERS, found, strict=True))
            cases.append(Case(section, title, clause, written, answers, note))
    return Table(tuple(cases), notes)


def _bytes(written: str) -> bytes:
    raw = written.encode("ascii").decode("unicode_escape").encode("latin-1")
    raw = re.sub(rb"\{([^{}]+)\*(\d+)\}", lambda found: found[1] * int(found[2]), raw)
    return re.sub(rb"\{(\w+-?)\}", lambda found: _PARTS[found[1]], raw)
