"""What the middleware adds to a request, beside other CORS middleware.

In one process, without a server: each middleware wraps the same app, and each round calls the bare
app and all of them in turn, so that all meet the same state of the machine. A round's figures are
the CPU time that each adds to the bare app of the same round. A preflight reaches no app, so it is
compared with an empty call. meshcors checks the key, too; the others do not.
"""

from __future__ import annotations

import gc
from itertools import repeat
from time import thread_time_ns

from tests.bench.alone import rounds, run
from tests.bench.machine import stop_without
from tests.bench.tables import Figure, Row, Table

try:
    from tests.bench.contests import (
        OURS,
        Call,
        Contest,
        allows_asgi,
        allows_wsgi,
        asgi_contests,
        checked,
        wsgi_contests,
    )
except ModuleNotFoundError as error:
    stop_without(error.name)

# In a round, of each: few, so that most rounds are disturbed by nothing.
CALLS = 10


def compare(contest: Contest, turns: int, calls: int) -> list[Row]:
    """Return what each adds to a call, and the ratio of ours to it, round by round."""
    contenders = [contest.bare, *contest.contenders.values()]
    added: dict[str, list[float]] = {name: [] for name in contest.contenders}
    gc.collect()
    gc.freeze()
    for turn in range(turns + 1):
        first = turn % len(contenders)
        # In a different order each time.
        order = [*contenders[first:], *contenders[:first]]
        spent = {contender: timed(contender, calls) for contender in order}
        if turn:  # the first round warms up
            for name, contender in contest.contenders.items():
                added[name].append((spent[contender] - spent[contest.bare]) / calls / 1000)
    rows = []
    for name, values in added.items():
        pairs = zip(added[OURS], values, strict=True)
        ratio = None if name == OURS else Figure.of(our / max(their, 1e-6) for our, their in pairs)
        bound = contest.bounds.get(name)
        rows.append(Row(name, Figure.of(values), "µs", ratio, bound, contest.title))
    return sorted(rows, key=lambda row: row.value.median)


def timed(call: Call, calls: int) -> int:
    """Return nanoseconds of this thread's CPU time."""
    begin = thread_time_ns()
    for _ in repeat(None, calls):
        call()
    return thread_time_ns() - begin


def measure(effort: float) -> list[Table]:
    """Return a table for ASGI and one for WSGI."""
    return [
        Table(
            f"{kind.lower()}-middleware",
            f"What {kind} middleware adds, in one process",
            "CPU time that it adds to a request",
            "meshcors / it",
            [row for each in contests for row in compare(each, rounds(turns, effort), CALLS)],
            OURS,
        )
        for kind, contests, turns in (
            ("ASGI", checked(asgi_contests(), allows_asgi), 5000),
            ("WSGI", checked(wsgi_contests(), allows_wsgi), 2500),
        )
    ]


if __name__ == "__main__":
    run(measure, __doc__)
