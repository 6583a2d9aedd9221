"""What ``import meshcors`` costs, beside Starlette's CORSMiddleware.

Each round starts three interpreters in turn: one that imports nothing, one that imports meshcors,
and one that imports ``starlette.middleware.cors``. What counts is the CPU time of the process less
that of the bare interpreter of the same round; the table shows medians over rounds. All of it is
compiled to bytecode first.

    python tests/bench/bench_import.py [--rounds 30] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

MOST = 0.6
STATEMENTS: Mapping[str, str] = {
    "nothing": "pass",
    "meshcors": "import meshcors",
    "starlette": "import starlette.middleware.cors",
}


@dataclass(frozen=True)
class Result:
    """Milliseconds of CPU by what is imported, and the ratio of what the two imports add."""

    cost: dict[str, float]
    ratio: float


def cost(statement: str, environment: Mapping[str, str]) -> float:
    """Return the CPU time of an interpreter that runs `statement`, in milliseconds."""
    process = subprocess.Popen([sys.executable, "-c", statement], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert not process.returncode, statement
    return (usage.ru_utime + usage.ru_stime) * 1000


def measure(rounds: int) -> Result:
    """Return the costs; the interpreters take turns."""
    taken: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for turn in range(rounds + 1):
            for name, statement in STATEMENTS.items():
                spent = cost(statement, environment)
                if turn:  # the first round compiles
                    taken[name].append(spent)
    ours, theirs = (
        median(each - bare for each, bare in zip(taken[name], taken["nothing"], strict=True))
        for name in ("meshcors", "starlette")
    )
    medians = {name: round(median(each), 1) for name, each in taken.items()}
    return Result(medians, round(ours / theirs, 3))


def table(result: Result) -> str:
    """Return the result as a table."""
    bare = result.cost["nothing"]
    lines = ["| import | CPU time | added | ratio | at most |", "|---|---:|---:|---:|---:|"]
    for name, spent in result.cost.items():
        ratio = f"{result.ratio:.2f} | {MOST}" if name == "meshcors" else " | "
        lines.append(f"| {name} | {spent:.1f} ms | {spent - bare:.1f} ms | {ratio} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args(arguments)
    result = measure(options.rounds)
    names = ("meshcors", "starlette")
    print(f"CPython {platform.python_version()},", ", ".join(f"{n} {version(n)}" for n in names))
    print()
    print(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
