"""Runs one benchmark and prints its tables: every script has the same command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tests.bench import report
from tests.bench.machine import machine, versions
from tests.bench.tables import Report, Table

Measure = Callable[[float], list[Table]]


def run(measure: Measure, about: str | None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--effort",
        type=float,
        default=1.0,
        help="less is faster and less exact; 1 is what docs show",
    )
    options = parser.parse_args()
    on = machine(), versions()
    print(report.whole(Report(*on, measure(options.effort))))


def rounds(usual: int, effort: float) -> int:
    """Return how many rounds an effort is worth."""
    return max(1, round(usual * effort))


def is_tiny(effort: float) -> bool:
    """Tell whether a run only shows that the script works."""
    return effort < 0.25
