"""The pod's CPU time per preflight at fixed rates, as browsers send them, and under full load.

Under full load a server handles many requests each time that it wakes up; at a fixed rate it wakes
up for each. The load does not wait for answers before it sends more. Linux only.
"""

from __future__ import annotations

from tests.bench.alone import is_tiny, rounds, run
from tests.bench.bench_pod import cores
from tests.bench.loads import Load, load, load_at
from tests.bench.servers import POD, Served, pinned, serving
from tests.bench.tables import Figure, Row, Table

RATES = (500, 1000, 2000)
FULL = "as many as it takes"
# Of a rate; below it, the load was too slow for the row.
REACHED = 0.95


def measure(effort: float) -> list[Table]:
    """Return the table."""
    serves, loads = cores()
    seconds = effort if is_tiny(effort) else 2
    names = [*(f"{rate:,} a second" for rate in RATES), FULL]
    costs: dict[str, list[float]] = {name: [] for name in names}
    slow: dict[str, float] = {}
    with serving(POD, serves) as server, pinned(loads):
        load(server, seconds / 2)
        for _ in range(rounds(9, effort)):
            for name, rate in zip(names, (*RATES, None), strict=True):
                cost, done = spent(server, seconds, rate)
                costs[name].append(cost)
                reached = done.answers / done.seconds
                if rate and not is_tiny(effort) and reached < REACHED * rate:
                    slow[name] = min(reached, slow.get(name, rate))
    rows = [
        Row(name, Figure.of(found), "µs", None if name == FULL else ratio(found, costs[FULL]))
        for name, found in costs.items()
    ]
    notes = [f"{name}: the load reached only {least:,.0f}" for name, least in slow.items()]
    return [
        Table(
            "pod-rate",
            "A preflight at a fixed rate",
            "the pod's CPU time per preflight",
            "it / full load",
            rows,
            notes=notes,
        )
    ]


def spent(server: Served, seconds: float, rate: int | None) -> tuple[float, Load]:
    """Return the CPU time per preflight in microseconds, and the load; full load without a rate."""
    before = server.cpu_seconds()
    done = load_at(server, rate, seconds) if rate else load(server, seconds)
    return (server.cpu_seconds() - before) / done.answers * 1e6, done


def ratio(found: list[float], full: list[float]) -> Figure:
    return Figure.of(it / other for it, other in zip(found, full, strict=True))


if __name__ == "__main__":
    run(measure, __doc__)
