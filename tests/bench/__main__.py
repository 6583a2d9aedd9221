"""Runs every benchmark: prints the tables, and writes them as JSON and as pictures.

``--write`` puts them into the docs; without it they go to a directory of their own.
"""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path

from tests.bench import report
from tests.bench.machine import load_per_core, machine, stop, versions
from tests.bench.plots import plot
from tests.bench.tables import Report

# Above it, figures are not fit for the docs.
MOST_LOAD = 0.5
SCRIPTS = tuple(path.stem for path in sorted(Path(__file__).parent.glob("bench_*.py")))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--effort", type=float, default=1.0, help="1 is what the docs show")
    parser.add_argument("--write", action="store_true", help="renew the docs' tables and pictures")
    parser.add_argument("--force", action="store_true", help="write on a busy machine, too")
    parser.add_argument("--to", type=Path, default=Path("build", "bench"), metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    if options.write and not options.force and (load := load_per_core()) > MOST_LOAD:
        stop(
            f"the machine is busy: a load of {load:.2f} per core in the last minute, --write takes"
            f" at most {MOST_LOAD}; wait, or add --force"
        )
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
