"""Fails when a ratio is more than a tenth above its bound, in the median of several runs.

One line for each bound, with the figure of every run.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.machine import versions
from tests.bench.tables import Row, Table

TOLERANCE = 1.1
SCRIPTS = ("bench_import", "bench_middleware", "bench_pod", "bench_rules", "bench_server")

# What was measured, by table, group and name, in each run.
Runs = Mapping[tuple[str, str, str], Sequence[Row]]


def bounded(runs: Sequence[Sequence[Table]]) -> Runs:
    """Return the rows that have a bound."""
    found: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for tables in runs:
        for table in tables:
            for row in table.rows:
                if row.bound is not None:
                    found[table.title, row.group, row.name].append(row)
    return found


def judged(runs: Runs) -> list[tuple[str, bool]]:
    """Return a line for each bound, and whether it is exceeded by more than the tolerance."""
    lines = []
    for names, rows in runs.items():
        values = [row.bounded.median for row in rows]
        bound, unit = rows[0].bound or 0, "" if rows[0].ratio else f" {rows[0].unit}"
        found = median(values)
        is_failed = found > bound * TOLERANCE
        word = "FAILED" if is_failed else "over" if found > bound else "held"
        what = ", ".join(filter(None, names))
        each = ", ".join(f"{value:.2f}" for value in values)
        lines.append((f"{word}: {what}: {found:.2f}{unit}, at most {bound:g} ({each})", is_failed))
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--effort", type=float, default=0.5, help="of each run")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(arguments)
    versions()  # exits if a package is missing
    modules = [importlib.import_module(f"tests.bench.{name}") for name in SCRIPTS]
    runs = [
        [table for module in modules for table in module.measure(options.effort)]
        for _ in range(options.runs)
    ]
    lines = judged(bounded(runs))
    for line, _ in lines:
        print(line)
    return int(any(is_passed for _, is_passed in lines))


if __name__ == "__main__":
    sys.exit(main())
