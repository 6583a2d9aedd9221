"""What `lint` and `fix` cost as files grow: twice the rules and hosts take about twice the time.

First in one process: for each shape of file, the CPU time for a number of hosts or rules and for
twice as many, the best of some rounds, the ratio of the two, and how much of it is ruamel.yaml's
reading of the text. Then whole command lines, from start to exit, on a VirtualService with
thousands of hosts and hundreds of rules and on one with thousands of rules.

    python -m tests.bench.bench_toolbox [--size 400] [--rounds 3]
"""

from __future__ import annotations

import argparse
import gc
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from meshcors.mesh._documents.yaml_nodes import parse
from meshcors.mesh._fix import FixOptions, fix
from meshcors.mesh._lint import lint

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


def best(done: Callable[[], object], rounds: int) -> float:
    """Return the least CPU time of some rounds, in milliseconds."""
    times: list[float] = []
    for _ in range(rounds):
        gc.collect()
        began = process_time()
        done()
        times.append((process_time() - began) * 1000)
    return min(times)


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


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", type=int, default=400, help="rules, hosts or documents")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=3000, help="of the first command line")
    parser.add_argument("--rules", type=int, default=200, help="of the first command line")
    parser.add_argument("--alone", type=int, default=3500, help="rules of the second one")
    options = parser.parse_args()
    small, large = options.size, 2 * options.size
    print(f"CPython {platform.python_version()}, milliseconds")
    print(f"\n| file | verb | {small} | {large} | ratio | YAML's share |")
    print("|---|---|---:|---:|---:|---:|")
    for name, shape in SHAPES.items():
        texts = [shape.text(number) for number in (small, large)]
        reading = best(lambda text=texts[1]: parse(text, "bench.yaml"), options.rounds)
        for verb in shape.verbs:
            taken = [
                best(lambda text=text, verb=verb: VERBS[verb](text), options.rounds)
                for text in texts
            ]
            # fix reads what it has written, too
            share = reading * (1 if verb == "lint" else 2) / taken[1]
            times = f"{taken[0]:.0f} | {taken[1]:.0f} | {taken[1] / taken[0]:.1f}"
            print(f"| {name} | {verb} | {times} | {share:.0%} |", flush=True)
    print("\n| command line | seconds |")
    print("|---|---:|")
    files = {
        f"{options.hosts} hosts, {options.rules} rules": service(
            "a", hosts(options.hosts), by_key(range(options.rules))
        ),
        f"{options.alone} rules": service("a", hosts(1), by_key(range(options.alone))),
    }
    for name, text in files.items():
        for verb in VERBS:
            taken_whole = min(command_line(verb, text) for _ in range(options.rounds))
            print(f"| `meshcors {verb}`, {name} | {taken_whole:.2f} |", flush=True)


if __name__ == "__main__":
    main()
