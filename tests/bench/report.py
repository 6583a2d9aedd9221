"""Turns tables into text: Markdown for the terminal and the pages, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.bench.plots import TOO_CLOSE, plot
from tests.bench.tables import Figure, Report, Row, Table, as_json, from_json

DOCS = Path(__file__).parents[2] / "docs"
STORED = DOCS / "benchmarks.json"
# The pages with figures; a block between two comments is written, the rest is by hand.
PAGES = tuple(DOCS / name for name in ("benchmarks.md", "pod.md", "rules.md"))
BLOCK = re.compile(r"(<!-- measured: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def whole(report: Report) -> str:
    """Return the report as it is printed."""
    parts = [f"{report.machine}\n{report.versions}"]
    parts += [f"## {table.title}\n\n{markdown(table)}" for table in report.tables]
    behind = not_ahead(report)
    return "\n\n".join([*parts, f"## Where meshcors is not ahead\n\n{behind}"] if behind else parts)


def markdown(table: Table) -> str:
    """Return a table with the columns that some of its rows fill."""
    columns: list[tuple[str, Callable[[Row], str]]] = [
        ("", lambda row: row.group),
        ("", lambda row: f"**{row.name}**" if table.is_ours(row) else row.name),
        (table.value, _value),
        (table.ratio, lambda row: _ratio(row.ratio)),
        ("at most", bound),
    ]
    filled = [(head, cell) for head, cell in columns if any(map(cell, table.rows))]
    lines = [_line(head for head, _ in filled), _line("---" for _ in filled)]
    lines += [_line(cell(row) for _, cell in filled) for row in table.rows]
    return "\n".join(lines) + "".join(f"\n\n{note}" for note in table.notes)


def bound(row: Row) -> str:
    if row.bound is None:
        return ""
    limit = f"{row.bound:g}" if row.ratio else f"{row.bound:g} {row.unit}"
    is_missed = row.bounded.median > row.bound and not row.bounded.is_noise
    return f"{limit}, missed" if is_missed else limit


def not_ahead(report: Report) -> str:
    """Return a list of what took less than meshcors, with the ratio of meshcors to it."""
    return "\n".join(
        f"- {table.title}: {', '.join(filter(None, (row.group, row.name)))} ({times:.2f})"
        for table in report.tables
        for row, times in table.ahead()
    )


def store(report: Report, path: Path) -> None:
    path.write_text(json.dumps(as_json(report), indent=1) + "\n", encoding="utf-8")


def stored(path: Path = STORED) -> Report:
    return from_json(json.loads(path.read_text(encoding="utf-8")))


def written(report: Report) -> Iterator[tuple[Path, str]]:
    """Yield every page and picture of the docs that holds figures, as the report makes it."""
    blocks = {table.key: markdown(table) for table in report.tables}
    blocks |= {"not-ahead": not_ahead(report), "machine": report.machine}
    blocks["versions"] = report.versions
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        yield page, BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n\n{found[3]}", text)
    for table in report.tables:
        path = DOCS / f"benchmarks-{table.key}.svg"
        if path.name in PAGES[0].read_text(encoding="utf-8"):
            yield path, plot(table)


def number(value: float) -> str:
    """Return three digits, as many as a figure is good for, or all of those before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _value(row: Row) -> str:
    if row.value.is_noise:
        return TOO_CLOSE
    return f"{number(row.value.median)} {row.unit}".rstrip() + _spread(row.value)


def _spread(figure: Figure) -> str:
    low, high = number(figure.low), number(figure.high)
    return f" ({low} to {high})" if low != high else ""


def _ratio(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.is_noise:
        return TOO_CLOSE
    found, low, high = (f"{each:.2f}" for each in (figure.median, figure.low, figure.high))
    return f"{found} ({low} to {high})" if low != high else found


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
