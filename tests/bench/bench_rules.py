"""What a decision costs with 1 to 1000 rules: the time does not grow with their number.

Pure decisions, without a server or an app: for each shape of rules, the engines of 1, 10, 100 and
1000 rules decide in turn, so that all of them meet the same state of the machine. The table shows
medians over rounds, in nanoseconds, their ratio to one rule, and one policy without rules. First
every request is covered by the last rule, like traffic to one service; then the requests go through
all rules in turn, which with 1000 policies measures the processor's caches: the look-up takes the
same steps.

    python tests/bench/bench_rules.py [--rounds 300] [--calls 300]
"""

from __future__ import annotations

import argparse
import gc
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import cycle, repeat
from statistics import median
from time import thread_time_ns

from meshcors import HeaderKey, Policy, Rule, RuleSet
from meshcors._decision.engine import Engine
from meshcors._decision.rule_engine import RuleEngine

SIZES = (1, 10, 100, 1000)
ORIGIN = "https://ui.example"
KEY = "model-api-key"

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
    "all in turn, a policy each": (range, policy),
}


def contenders(shape: str, kind: str, traffic: str) -> list[Call]:
    """Return the calls to compare: one policy without rules, then each number of rules."""
    make, url = SHAPES[shape]
    method, fields = REQUESTS[kind]
    meets, policy_of = TRAFFIC[traffic]
    engines: list[tuple[int, Engine | RuleEngine[None]]] = [(1, Engine(policy(0)))]
    for size in SIZES:
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


def measure(calls: list[Call], rounds: int, count: int) -> list[float]:
    """Return the median time of each call, in nanoseconds; they take turns of `count`."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        for _ in repeat(None, max(SIZES)):
            call()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for call, taken in zip(calls, times, strict=True):
                began = thread_time_ns()
                for _ in repeat(None, count):
                    call()
                taken.append((thread_time_ns() - began) / count)
    finally:
        gc.enable()
    return [median(taken) for taken in times]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--calls", type=int, default=300, help="calls of each in a round")
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, nanoseconds a decision")
    columns = "rules by | request | matching rule | no rules | 1 | 10 | 100 | 1000"
    print(f"\n| {columns} | ratio 1000 : 1 |")
    print("|---|---|---|---:|---:|---:|---:|---:|---:|")
    rows = [(shape, kind, "the last rule") for shape in SHAPES for kind in REQUESTS]
    rows += [("hosts", "a preflight", traffic) for traffic in list(TRAFFIC)[1:]]
    for shape, kind, traffic in rows:
        taken = measure(contenders(shape, kind, traffic), options.rounds, options.calls)
        cells = " | ".join(f"{each:.0f}" for each in taken)
        ratio = f"{taken[-1] / taken[1]:.2f}"
        print(f"| {shape} | {kind} | {traffic} | {cells} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
