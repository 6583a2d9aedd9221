"""What a decision costs with 1000 rules instead of one: the time does not grow with their number.

Pure decisions, without a server or an app: for each shape of rules, the engines of 1 and of 1000
rules decide in turn, so that both meet the same state of the machine. First every request is
covered by the last rule, like traffic to one service; then the requests go through all rules in
turn, which with 1000 policies measures the processor's caches: the look-up takes the same steps.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import cycle, repeat
from time import thread_time_ns

from meshcors import HeaderKey, Policy, Rule, RuleSet
from meshcors._decision.engine import Engine
from meshcors._decision.rule_engine import RuleEngine
from tests.bench.alone import is_tiny, rounds, run
from tests.bench.tables import Figure, Row, Table

SIZE = 1000
# In a round, of each; every rule is met once before the first.
CALLS = 300
ORIGIN = "https://ui.example"
KEY = "model-api-key"

# The most that 1000 rules may take, for each rule that one takes, with a policy each in turn.
BOUND = 1.5
EACH = "all in turn, a policy each"

Call = Callable[[], object]


def policy(number: int) -> Policy:
    """Return a policy that differs for each number."""
    return Policy(allow_origins=[ORIGIN], allow_methods=["PUT"], max_age=number, key=HeaderKey(KEY))


# By shape: where the rule of a number is, and the host and path of a request that it covers.
SHAPES: Mapping[str, tuple[Callable[[Policy, int], Rule], Callable[[int], tuple[str, str]]]] = {
    "hosts": (
        lambda policy, n: Rule(policy, hosts=[f"m{n}.example.com"]),
        lambda n: (f"m{n}.example.com:8443", "/v1/models/llama/predict"),
    ),
    "subdomains": (
        lambda policy, n: Rule(policy, hosts=[f"*.m{n}.example.com"]),
        lambda n: (f"eu.m{n}.example.com", "/v1/models/llama/predict"),
    ),
    "paths": (
        lambda policy, n: Rule(policy, path_prefix=f"/models/m{n}"),
        lambda n: ("models.example.com", f"/models/m{n}/v1/predict"),
    ),
    "hosts and paths": (
        lambda policy, n: Rule(policy, hosts=[f"h{n % 10}.example.com"], path_prefix=f"/v1/m{n}"),
        lambda n: (f"h{n % 10}.example.com", f"/v1/m{n}/predict"),
    ),
}
REQUESTS: Mapping[str, tuple[str, dict[bytes, bytes]]] = {
    "a preflight": (
        "OPTIONS",
        {
            b"origin": ORIGIN.encode(),
            b"access-control-request-method": b"PUT",
            b"access-control-request-headers": b"content-type,model-api-key",
        },
    ),
    "a request": ("POST", {b"origin": ORIGIN.encode(), KEY.encode(): b"xyz"}),
}
# Which rules the requests meet, and the policy of each rule.
TRAFFIC: Mapping[str, tuple[Callable[[int], Iterable[int]], Callable[[int], Policy]]] = {
    "the last rule": (lambda size: [size - 1], policy),
    "all in turn, one policy": (range, lambda _: policy(0)),
    EACH: (range, policy),
}


def contenders(shape: str, kind: str, traffic: str, most: int) -> list[Call]:
    """Return the calls to compare: one policy without rules, one rule, and the most rules."""
    make, url = SHAPES[shape]
    method, fields = REQUESTS[kind]
    meets, policy_of = TRAFFIC[traffic]
    engines: list[tuple[int, Engine | RuleEngine[None]]] = [(1, Engine(policy(0)))]
    for size in (1, most):
        rules = RuleSet(make(policy_of(number), number) for number in range(size))
        engines += [(size, RuleEngine(rules, None))]
    calls: list[Call] = []
    for size, engine in engines:
        requests = [
            (path, {**fields, b"host": host.encode()}) for host, path in map(url, meets(size))
        ]
        calls.append(partial(decide_next, engine.decide, method, cycle(requests)))
    return calls


def decide_next(
    decide: Callable[..., object], method: str, requests: Iterator[tuple[str, dict[bytes, bytes]]]
) -> object:
    """Decide the next of the `requests`, pairs of path and fields."""
    path, fields = next(requests)
    return decide(method, path, fields)


def times(calls: list[Call], turns: int, count: int) -> list[list[float]]:
    """Return the times of each call, in nanoseconds, round by round; they take turns of `count`."""
    found: list[list[float]] = [[] for _ in calls]
    for call in calls:
        for _ in repeat(None, SIZE):
            call()
    gc.collect()
    gc.disable()
    try:
        for _ in range(turns):
            for call, taken in zip(calls, found, strict=True):
                began = thread_time_ns()
                for _ in repeat(None, count):
                    call()
                taken.append((thread_time_ns() - began) / count)
    finally:
        gc.enable()
    return found


def row(shape: str, kind: str, traffic: str, effort: float) -> Row:
    """Return what a decision of the last engine takes, and its ratio to that by one rule.

    Where the engines lie in memory counts for as much as anything, so they are made several times.
    """
    size = 10 if is_tiny(effort) else SIZE
    one, many = [], []
    for _ in range(rounds(5, effort)):
        _, few, all_ = times(contenders(shape, kind, traffic, size), rounds(60, effort), CALLS)
        one += few
        many += all_
    ratio = Figure.of(last / first for first, last in zip(one, many, strict=True))
    bound = BOUND if traffic == EACH else None
    return Row(f"{shape}: {kind}, {traffic}", Figure.of(many), "ns", ratio, bound)


def measure(effort: float) -> list[Table]:
    """Return the table of all shapes."""
    asked = [(shape, kind, "the last rule") for shape in SHAPES for kind in REQUESTS]
    asked += [("hosts", "a preflight", traffic) for traffic in list(TRAFFIC)[1:]]
    alone, *_ = times(
        contenders("hosts", "a preflight", "the last rule", 1), rounds(300, effort), CALLS
    )
    rows = [Row("one policy, no rules: a preflight", Figure.of(alone), "ns")]
    rows += [row(*each, effort) for each in asked]
    return [
        Table(
            "rules", "A decision with 1000 rules", "CPU time of a decision", "1000 rules / 1", rows
        )
    ]


if __name__ == "__main__":
    run(measure, __doc__)
