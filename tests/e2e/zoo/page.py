"""docs/doctor-zoo.md: what doctor says of every set-up, as tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.zoo.set_up import SetUp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE = Path(__file__).parents[3] / "docs" / "doctor-zoo.md"
_BEGIN, _END = "<!-- set-ups -->\n", "<!-- end -->\n"
# Why a name does not resolve is in the words of the machine.
_RESOLVER = re.compile(r"(no address found for [^:]+): [^.]*")
_EXPLAIN = re.compile("`meshcors explain FILE [^`]*`")
_ADDRESS = re.compile(r"(?:127\.0\.0\.1|api\.example|api\.invalid):\d+")


def filled(groups: Mapping[str, Sequence[tuple[SetUp, dict[str, Any]]]]) -> str:
    """The page with its tables."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    parts = [_section(title, rows) for title, rows in groups.items()]
    healthy = [row for rows in groups.values() for row in rows if row[0].is_healthy]
    return f"{before}{_BEGIN}\n{''.join(parts)}{_healthy(healthy)}{_END}{after}"


def _section(title: str, rows: Sequence[tuple[SetUp, dict[str, Any]]]) -> str:
    lines = [
        f"## {title}\n",
        "| set-up | verdict | doctor says | fix | tried |",
        "|---|---|---|---|---|",
    ]
    for set_up, report in rows:
        if set_up.is_healthy:
            continue
        found = [each for each in report["findings"] if each["code"] in set_up.codes]
        says = "<br>".join(f"{_text(each['message'])} ({each['layer']})" for each in found)
        fixes = "<br>".join(dict.fromkeys(_text(each["fix"]) for each in found))
        tried = "" if set_up.fix is None else "yes"
        lines.append(f"| {_text(set_up.name)} | {report['verdict']} | {says} | {fixes} | {tried} |")
    return "\n".join(lines) + "\n\n"


def _healthy(rows: Sequence[tuple[SetUp, dict[str, Any]]]) -> str:
    lines = ["## Healthy\n", "| set-up | who answers the preflight |", "|---|---|"]
    lines += [
        f"| {_text(set_up.name)} | {report['requests'][0]['layer']} |" for set_up, report in rows
    ]
    return "\n".join(lines) + "\n\n"


def _text(text: str) -> str:
    """A cell: no ports, which differ from run to run, and nothing that ends the cell.

    The command that follows the call is the same in every row, and long.
    """
    plain = _EXPLAIN.sub("`meshcors explain FILE …`", _ADDRESS.sub("api.example", text))
    plain = _RESOLVER.sub(r"\1", plain)
    plain = plain.replace("|", r"\|").replace("\n", "<br>")
    code = plain.split("`")
    return "`".join(each if at % 2 else each.replace("*", r"\*") for at, each in enumerate(code))
