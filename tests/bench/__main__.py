"""Runs every benchmark: prints the tables, and writes them as JSON and as pictures.

``--write`` puts them into the docs; without it they go to a directory of their own.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

from tests.bench import report
from tests.bench.machine import machine, versions
from tests.bench.plots import plot
from tests.bench.tables import Report

SCRIPTS = tuple(path.stem for path in sorted(Path(__file__).parent.glob("bench_*.py")))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--effort", type=float, default=1.0, help="1 is what the docs show")
    parser.add_argument("--write", action="store_true", help="renew the docs' tables and pictures")
    parser.add_argument("--to", type=Path, default=Path("build", "bench"), metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    on = machine(), versions()
    tables = []
    for name in SCRIPTS:
        began = time.perf_counter()
        tables += importlib.import_module(f"tests.bench.{name}").measure(options.effort)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    found = Report(*on, tables)
    print(f"\n{report.whole(found)}")
    if options.write:
        report.store(found, report.STORED)
        files = list(report.written(found))
    else:
        options.to.mkdir(parents=True, exist_ok=True)
        report.store(found, options.to / report.STORED.name)
        files = [(options.to / f"{table.key}.svg", plot(table)) for table in tables]
    for path, text in files:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
