"""The pod beside other servers: CPU time per preflight, memory, and the time until it answers.

Each server has one core, the load has another. Rounds take turns, so that all servers meet the same
state of the machine, and the time is what the kernel's scheduler counts for all threads and
processes of a server. Linux only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from time import sleep
from typing import Any

from tests.bench.alone import is_tiny, rounds, run
from tests.bench.loads import cost, load, open_connections, raise_open_files
from tests.bench.servers import (
    POD,
    Contender,
    Served,
    installed,
    missing,
    pinned,
    pod,
    serving,
)
from tests.bench.tables import Figure, Row, Table

# The most that the pod's CPU time may be, as a part of theirs.
CPU_BOUNDS = {
    "nginx": 2.5,
    "Envoy's cors filter": 0.62,
    "granian, constant 204": 0.5,
    "uvicorn, constant 204": 0.5,
}
OPEN_CONNECTIONS = 10_000
# The unit of each group of the second table, and the most that the pod may take.
BOUNDS = {
    "start to the first answer": ("s", 0.2),
    "idle": ("MiB", 30),
    "{count:,} connections open": ("MiB", 120),
}


def measure(effort: float) -> list[Table]:
    """Return all tables."""
    raise_open_files(OPEN_CONNECTIONS + 2000)
    return [cpu(effort), memory_and_start(effort), workers(effort)]


def cores() -> tuple[int, int]:
    """Return the core of the servers and that of the load; with only one, they share it."""
    found = sorted(os.sched_getaffinity(0))
    return found[0], found[-1]


def cpu(effort: float) -> Table:
    """Return the CPU time of each server per preflight, under full load."""
    serves, loads = cores()
    contenders = installed()
    seconds = effort if is_tiny(effort) else 1
    names = [each.name for each in contenders]
    with ExitStack() as stack, pinned(loads):
        servers = [stack.enter_context(serving(each, serves)) for each in contenders]
        for server in servers:
            load(server, seconds / 2)
        turns = [
            [cost(server, seconds) for server in turned(servers, turn)]
            for turn in range(rounds(9, effort))
        ]
    # Back from the order of each turn to that of the contenders.
    found = [turned(turn, -at) for at, turn in enumerate(turns)]
    costs = {name: [turn[at] for turn in found] for at, name in enumerate(names)}
    rows = [
        row(name, values, "µs", None if name == POD.name else costs[POD.name], CPU_BOUNDS.get(name))
        for name, values in costs.items()
    ]
    return Table(
        "pod-cpu",
        "A preflight on a server",
        "server's CPU time per preflight",
        "pod / it",
        sorted(rows, key=lambda row: row.value.median),
        POD.name,
        missing(),
    )


def turned(values: list[Any], by: int) -> list[Any]:
    """Return them in another order each turn."""
    by %= len(values)
    return values[by:] + values[:by]


def row(
    name: str, values: list[float], unit: str, ours: list[float] | None, bound: float | None
) -> Row:
    """Return a row of values, and ratios of ours to them, round by round."""
    ratio = ours and Figure.of(our / their for our, their in zip(ours, values, strict=True))
    return Row(name, Figure.of(values), unit, ratio or None, bound)


def memory_and_start(effort: float) -> Table:
    """Return how soon each server answers, and its memory: idle, and with open connections."""
    serves, loads = cores()
    contenders = installed()
    pause = effort if is_tiny(effort) else 0.5
    count = 100 if is_tiny(effort) else OPEN_CONNECTIONS
    found: dict[str, dict[str, list[float]]] = {
        group: {each.name: [] for each in contenders} for group in BOUNDS
    }
    with pinned(loads):
        for turn in range(rounds(5, effort)):
            for contender in turned(contenders, turn):
                # Once is enough for the connections: their memory is always the same.
                figures = started(contender, serves, pause, 0 if turn else count)
                for group, figure in zip(found, figures, strict=False):
                    found[group][contender.name].append(figure)
    rows = [
        replace(
            row(name, figures, unit, ours, None if ours else bound), group=group.format(count=count)
        )
        for group, (unit, bound) in BOUNDS.items()
        for name, figures in sorted(found[group].items(), key=lambda pair: median(pair[1]))
        for ours in [None if name == POD.name else found[group][POD.name]]
    ]
    return Table(
        "pod-memory",
        "Start and memory",
        "seconds, or resident memory of all its processes",
        "pod / it",
        rows,
        POD.name,
        missing(),
    )


def started(contender: Contender, core: int, pause: float, count: int) -> Iterator[float]:
    """Start a server; yield the seconds to its first answer, its memory, and that with clients."""
    with serving(contender, core) as server:
        yield server.seconds_to_answer
        sleep(pause)
        yield server.resident_mib()
        if count:
            with open_connections(server, count):
                yield server.resident_mib()


def workers(effort: float) -> Table:
    """Return what a second worker brings, on two cores that the load has to share."""
    found: dict[int, list[Shared]] = {1: [], 2: []}
    with ExitStack() as stack, pinned(*cores()):
        servers = {
            number: stack.enter_context(serving(Contender(POD.name, partial(pod, workers=number))))
            for number in found
        }
        for turn in range(rounds(5, effort)):
            for number in turned(list(found), turn):
                found[number].append(share(servers[number], effort if is_tiny(effort) else 2))
    rows = [
        each
        for group, (unit, value) in SHARES.items()
        for each in compared(group, unit, *([value(done) for done in found[n]] for n in found))
    ]
    busier = Figure.of(each.busier for each in found[2])
    last = Row("two workers", busier, "%", group="of the pod's time, its busier worker has")
    return Table(
        "pod-workers",
        "A second worker on two cores",
        "while the load runs on the same two cores",
        "two workers / one",
        [*rows, last],
    )


@dataclass(frozen=True)
class Shared:
    """One round on cores that the pod and the load share; shares are in percent."""

    rate: float
    cost: float
    pod: float
    load: float
    busier: float


SHARES: dict[str, tuple[str, Callable[[Shared], float]]] = {
    "preflights a second": ("", lambda done: done.rate),
    "CPU time per preflight": ("µs", lambda done: done.cost),
    "of the two cores, the pod has": ("%", lambda done: done.pod),
    "of the two cores, the load has": ("%", lambda done: done.load),
}


def share(server: Served, seconds: float) -> Shared:
    before = server.cpu_seconds_by_process()
    done = load(server, seconds)
    spent = [time - before[pid] for pid, time in server.cpu_seconds_by_process().items()]
    cores_seconds = done.seconds * 2 / 100
    return Shared(
        done.answers / done.seconds,
        sum(spent) / done.answers * 1e6,
        sum(spent) / cores_seconds,
        done.cpu_seconds / cores_seconds,
        max(spent) / sum(spent) * 100,
    )


def compared(group: str, unit: str, one: list[float], two: list[float]) -> list[Row]:
    ratio = Figure.of(after / before for before, after in zip(one, two, strict=True))
    return [
        Row("one worker", Figure.of(one), unit, group=group),
        Row("two workers", Figure.of(two), unit, ratio, group=group),
    ]


if __name__ == "__main__":
    run(measure, __doc__)
