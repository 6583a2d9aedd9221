"""Draws a table as bars, in SVG: a title and a description for those who listen, two color schemes.

Bars of one group have one scale; a line marks the spread. The picture paints its own background.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

from tests.bench.tables import Row, Table

WIDTH, LEFT, BAR, LINE = 860, 320, 380, 26
# What stands in the place of a figure that is noise.
TOO_CLOSE = "too close to measure"
STYLE = """
    svg { --page: #ffffff; --text: #1f2328; --quiet: #59636e; --bar: #818b98; --ours: #1a7f37; }
    @media (prefers-color-scheme: dark) {
      svg { --page: #0d1117; --text: #f0f6fc; --quiet: #a5adb8; --bar: #656d78; --ours: #3fb950; }
    }
    text { font: 14px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif;
      fill: var(--text); }
    .page { fill: var(--page); }
    .title { font-size: 17px; font-weight: 600; }
    .group, .ours { font-weight: 600; }
    .name { text-anchor: end; }
    .quiet { fill: var(--quiet); font-size: 13px; }
    .bar { fill: var(--bar); }
    .bar.ours { fill: var(--ours); }
    .spread { stroke: var(--text); stroke-width: 2; }
"""


def plot(table: Table) -> str:
    """Return the picture of a table."""
    body: list[str] = []
    y = 76
    for name, rows in groupby(table.rows, key=lambda row: row.group):
        if name:
            body.append(f'<text class="group" x="24" y="{y + 12}">{escape(name)}</text>')
            y += LINE
        group = list(rows)
        scale = BAR / max(row.value.high for row in group)
        for row in group:
            body.extend(_bar(row, y, scale, table.is_ours(row)))
            y += LINE
        y += 10
    told = "; ".join(
        f"{row.group}{', ' if row.group else ''}{row.name}: {_value(row)}" for row in table.rows
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 10}" width="{WIDTH}"'
        f' height="{y + 10}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(table.title)}</title>',
        f'<desc id="desc">{escape(f"{table.value}. {told}")}.</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{y + 10}" rx="6"/>',
        f'<text class="title" x="24" y="34">{escape(table.title)}</text>',
        f'<text class="quiet" x="24" y="56">{escape(table.value)}; shorter is better</text>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bar(row: Row, y: int, scale: float, is_ours: bool) -> Iterator[str]:
    ours = " ours" if is_ours else ""
    length = 1.0 if row.value.is_noise else max(1.0, row.value.median * scale)
    low, high = (LEFT + max(0.0, edge) * scale for edge in (row.value.low, row.value.high))
    yield f'<text class="name{ours}" x="{LEFT - 10}" y="{y + 14}">{escape(row.name)}</text>'
    yield f'<rect class="bar{ours}" x="{LEFT}" y="{y}" width="{length:.1f}" height="18" rx="2"/>'
    yield f'<path class="spread" d="M{low:.1f} {y + 9}H{high:.1f}"/>'
    end = max(LEFT + length, high) + 8
    yield f'<text class="value{ours}" x="{end:.1f}" y="{y + 14}">{escape(_value(row))}</text>'


def _value(row: Row) -> str:
    if row.value.is_noise:
        return TOO_CLOSE
    value = row.value.median
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {row.unit}".rstrip()
