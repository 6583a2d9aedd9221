"""What `lint` and `fix` cost as files grow: twice the rules and hosts take about twice the time.

First in one process: for each shape of file, the CPU time for a number of hosts or rules and for
twice as many, and the ratio of the two. Then whole command lines, from start to exit, on a
VirtualService with thousands of hosts and hundreds of rules and on one with thousands of rules.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, process_time

from meshcors.mesh._fix import FixOptions, fix
from meshcors.mesh._lint import lint
from tests.bench.alone import is_tiny, rounds, run
from tests.bench.tables import Figure, Row, Table

CORS = "{allowOrigins: [exact: 'https://ui.example'], allowHeaders: [model-api-key], maxAge: 10m}"
WISH = FixOptions(origins=(("exact", "https://ui.example"),))
VERBS: Mapping[str, Callable[[str], object]] = {
    "lint": lambda text: lint({"bench.yaml": text}),
    "fix": lambda text: fix(text, "bench.yaml", WISH),
}


@dataclass(frozen=True)
class Shape:
    """Files of one shape, by their size, and the verbs that read them."""

    text: Callable[[int], str]
    verbs: tuple[str, ...] = ("lint", "fix")


def hosts(number: int) -> list[str]:
    """Return as many hosts."""
    return [f"h{each}.example.com" for each in range(number)]


def by_key(numbers: Iterable[int]) -> list[str]:
    """Return the match entries of rules that differ in the key's value."""
    return [f"{{headers: {{model-api-key: {{exact: k{each}}}}}}}" for each in numbers]


def by_path(numbers: Iterable[int]) -> list[str]:
    """Return the match entries of rules that differ in the path."""
    return [
        f"{{headers: {{model-api-key: {{exact: k}}}}, uri: {{prefix: /m{each}/}}}}"
        for each in numbers
    ]


def by_regex(numbers: Iterable[int]) -> list[str]:
    """Return the match entries of rules that differ in a regex of the path."""
    return [
        f"{{headers: {{model-api-key: {{exact: k}}}}, uri: {{regex: '/m{each}(/.*)?'}}}}"
        for each in numbers
    ]


def service(name: str, hosts: list[str], matches: list[str]) -> str:
    """Return a VirtualService with a rule and a corsPolicy for each match entry."""
    rules = "".join(
        f"  - match: [{match}]\n    corsPolicy: {CORS}\n"
        f"    route: [{{destination: {{host: model-{number}}}}}]\n"
        for number, match in enumerate(matches)
    )
    listed = "".join(f"  - {host}\n" for host in hosts)
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        f"metadata: {{name: {name}, namespace: models}}\n"
        f"spec:\n  gateways: [gate]\n  hosts:\n{listed}  http:\n{rules}"
    )


def route(name: str, hosts: list[str], keys: Iterable[int]) -> str:
    """Return an HTTPRoute with a rule for each key."""
    listed = "".join(f"  - {host}\n" for host in hosts)
    rules = "".join(
        f"  - matches: [{{headers: [{{name: model-api-key, value: k{key}}}]}}]\n"
        "    filters: [{type: CORS, cors: {allowOrigins: ['https://ui.example']}}]\n"
        f"    backendRefs: [{{name: model-{key}, port: 80}}]\n"
        for key in keys
    )
    return (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        f"metadata: {{name: {name}, namespace: models}}\n"
        f"spec:\n  parentRefs: [{{name: gate}}]\n  hostnames:\n{listed}  rules:\n{rules}"
    )


def several(make: Callable[[int], str], number: int) -> str:
    """Return as many documents."""
    return "---\n".join(map(make, range(number)))


SHAPES: Mapping[str, Shape] = {
    "rules by key": Shape(lambda n: service("a", hosts(1), by_key(range(n)))),
    "rules by path": Shape(lambda n: service("a", hosts(1), by_path(range(n)))),
    "rules by regex": Shape(lambda n: service("a", hosts(1), by_regex(range(n)))),
    "hosts": Shape(lambda n: service("a", hosts(n), by_key(range(1)))),
    "hosts and rules": Shape(lambda n: service("a", hosts(n), by_key(range(n)))),
    "VirtualServices, a host each": Shape(
        lambda n: several(lambda at: service(f"a{at}", hosts(n)[at : at + 1], by_key([0])), n)
    ),
    "VirtualServices of one host": Shape(
        lambda n: several(lambda at: service(f"a{at}", hosts(1), by_key([at])), n)
    ),
    "HTTPRoute, hosts and rules": Shape(lambda n: route("a", hosts(n), range(n)), ("lint",)),
    "HTTPRoutes, a host each": Shape(
        lambda n: several(lambda at: route(f"a{at}", hosts(n)[at : at + 1], [0]), n), ("lint",)
    ),
    "HTTPRoutes of one host": Shape(
        lambda n: several(lambda at: route(f"a{at}", hosts(1), [at]), n), ("lint",)
    ),
}


def times(done: Callable[[], object], turns: int) -> list[float]:
    """Return the CPU time of each round, in milliseconds."""
    found: list[float] = []
    for _ in range(turns):
        gc.collect()
        began = process_time()
        done()
        found.append((process_time() - began) * 1000)
    return found


def command_line(verb: str, text: str) -> float:
    """Return how many seconds a verb takes from start to exit."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "bench.yaml"
        file.write_text(text)
        command = [sys.executable, "-m", "meshcors", verb, str(file)]
        began = perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        taken = perf_counter() - began
    if done.returncode not in {0, 1}:
        raise SystemExit(done.stderr)
    return taken


def growth(shape: Shape, name: str, size: int, turns: int) -> Iterator[Row]:
    """Yield what each verb takes for twice the size, and how often as long that is."""
    for verb in shape.verbs:
        small, large = (
            times(partial(VERBS[verb], shape.text(number)), turns) for number in (size, 2 * size)
        )
        ratio = Figure.of(after / before for before, after in zip(small, large, strict=True))
        yield Row(verb, Figure.of(large), "ms", ratio, group=name)


def measure(effort: float) -> list[Table]:
    """Return a table of growth and one of whole commands."""
    size, turns = 4 if is_tiny(effort) else 100, rounds(2, effort)
    many_hosts, rules, alone = (5, 4, 6) if is_tiny(effort) else (3000, 200, 2000)
    files = {
        f"{many_hosts:,} hosts, {rules:,} rules": service(
            "a", hosts(many_hosts), by_key(range(rules))
        )
    }
    files[f"1 host, {alone:,} rules"] = service("a", hosts(1), by_key(range(alone)))
    return [
        Table(
            "growth",
            "How lint and fix grow with their files",
            f"CPU time for {2 * size} hosts, rules or documents",
            f"{2 * size} / {size}",
            [row for name, shape in SHAPES.items() for row in growth(shape, name, size, turns)],
        ),
        Table(
            "commands",
            "Whole commands",
            "seconds from start to exit",
            "",
            [
                Row(f"meshcors {verb}", Figure.of([command_line(verb, text)]), "s", group=name)
                for name, text in files.items()
                for verb in VERBS
            ],
        ),
    ]


if __name__ == "__main__":
    run(measure, __doc__)
