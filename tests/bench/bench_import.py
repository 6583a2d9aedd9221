"""What it takes to import meshcors, beside other CORS middleware.

Each round starts a new interpreter for each, in turn; the figure is the CPU time of the import
alone, with what it imports.
"""

from __future__ import annotations

import subprocess
import sys

from tests.bench.alone import rounds, run
from tests.bench.tables import Figure, Row, Table

OURS = "meshcors"
# Each is imported as an app imports it: a package may import its parts when they are first used.
NAMES = {OURS: "MeshCORS"}
MODULES = (OURS, "starlette.middleware.cors", "asgi_cors", "flask_cors")
BOUNDS = {"starlette.middleware.cors": 0.6}
PROGRAM = """
import sys, time
began = time.process_time_ns()
from {} import {}
print((time.process_time_ns() - began) / 1e6)
"""


def milliseconds(module: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(module, NAMES.get(module, "*"))]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def measure(effort: float) -> list[Table]:
    """Return one table."""
    for module in MODULES:
        milliseconds(module)  # writes the bytecode
    turns = [
        {module: milliseconds(module) for module in MODULES} for _ in range(rounds(30, effort))
    ]
    rows = [
        Row(
            module,
            Figure.of(turn[module] for turn in turns),
            "ms",
            None if module == OURS else Figure.of(turn[OURS] / turn[module] for turn in turns),
            BOUNDS.get(module),
        )
        for module in MODULES
    ]
    return [
        Table(
            "import",
            "Import",
            "CPU time of the import in a new interpreter",
            "meshcors / it",
            sorted(rows, key=lambda row: row.value.median),
            OURS,
        )
    ]


if __name__ == "__main__":
    run(measure, __doc__)
