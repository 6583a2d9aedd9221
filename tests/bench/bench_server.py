"""What the middleware adds to a request in a real server, where caches are cold.

A FastAPI app on uvicorn, bare and in each middleware, each server pinned to one core; the load has
another. Rounds take turns, and what a middleware adds is the difference of the servers' CPU times
per request in the same round. Linux only.
"""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from tests.bench.alone import is_tiny, rounds, run
from tests.bench.bench_pod import cores, turned
from tests.bench.loads import cost, load
from tests.bench.requests import REAL
from tests.bench.servers import Contender, pinned, serving, uvicorn
from tests.bench.tables import Figure, Row, Table

BARE, STARLETTE = "no middleware", "Starlette"
OURS = {"meshcors, add_middleware": 0.45, "meshcors, init_app": 0.35}
# What no middleware can go below that sends what meshcors sends.
FLOOR = "the same three fields, no decision"
FACTORIES = {
    BARE: "bare",
    FLOOR: "three_fields",
    "meshcors, add_middleware": "meshcors_add_middleware",
    "meshcors, init_app": "meshcors_init_app",
    STARLETTE: "starlette",
    "asgi-cors": "of_asgi_cors",
}


def contenders() -> list[Contender]:
    return [
        Contender(
            name, uvicorn(f"hello:{factory}", "--factory"), decides=name != BARE, request=REAL
        )
        for name, factory in FACTORIES.items()
    ]


def measure(effort: float) -> list[Table]:
    """Return one table."""
    serves, loads = cores()
    # Short rounds, so that many are disturbed by nothing.
    seconds = effort if is_tiny(effort) else 0.25
    with ExitStack() as stack, pinned(loads):
        servers = [stack.enter_context(serving(each, serves)) for each in contenders()]
        for server in servers:
            load(server, seconds)
        costs: dict[str, list[float]] = {server.name: [] for server in servers}
        for turn in range(rounds(48, effort)):
            for server in turned(servers, turn):
                costs[server.name].append(cost(server, seconds))
    bare = costs.pop(BARE)
    added = {
        name: [whole - alone for whole, alone in zip(values, bare, strict=True)]
        for name, values in costs.items()
    }
    rows = [row(name, values, added[STARLETTE]) for name, values in added.items()]
    return [
        Table(
            "server-middleware",
            "What middleware adds, in a real server",
            f"server's CPU time that it adds to the {Figure.of(bare).median:.0f} µs of a request",
            "it / Starlette",
            sorted(rows, key=lambda row: row.value.median),
            "meshcors",
        )
    ]


def row(name: str, values: list[float], starlette: list[float]) -> Row:
    """Return a row; its ratio is that of the medians, as one round's difference is mostly noise."""
    ratio = median(values) / median(starlette)
    figure = None if name == STARLETTE else Figure(ratio, ratio, ratio)
    return Row(name, Figure.of(values), "µs", figure, OURS.get(name))


if __name__ == "__main__":
    run(measure, __doc__)
