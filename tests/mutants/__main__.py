"""``python -m tests.mutants [MODULE ...]``: which mutants survive the unit tests?

Without a module all are tried, and at least 95 % must be killed. It fails for each survivor that
``harmless.toml`` does not list with the reason why it is harmless, and for what is listed there but
killed, or not made any more.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants.mutations import Mutant, mutants
from tests.mutants.running import Suite, TestsFailError, preload, source_of, survivors

KILLED_AT_LEAST: Final = 0.95
HARMLESS: Final = Path(__file__).with_name("harmless.toml")


def _files(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/test_{name}.py" for name in names)


_VECTORS: Final = "tests/test_vectors.py"
# The pytest runs of a module, each for the survivors of the one before. The first kills most.
SUITES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "engine": (_files("engine"), _files("regressions"), (_VECTORS, "-k", "[engine")),
    "preflight": (_files("engine"), _files("regressions"), (_VECTORS, "-k", "[engine")),
    "key_check": (_files("key_check"), _files("engine")),
    "rules": (_files("rules"), _files("regressions", "rulefile")),
    "rule_map": (_files("rules"), _files("regressions", "rulefile")),
    "covered_urls": (_files("rules"), _files("rulefile")),
    "rule_engine": (_files("rules"), _files("app")),
    "answers": (_files("engine"), _files("app", "asgi")),
    "paths": (_files("paths", "root_path"), _files("engine", "rules")),
    "headers": (_files("headers"), _files("engine", "asgi", "wsgi")),
    "fields": (_files("headers"), _files("engine", "asgi", "wsgi")),
    "hosts": (_files("origins", "rules"), _files("policy", "regressions")),
    "origins": (_files("origins"), _files("policy")),
    "origin_set": (_files("origins"), _files("policy")),
    "regex": (_files("origins"), _files("policy"), _files("mesh_index")),
    "policy": (_files("policy", "problems"), _files("engine", "secrets", "config")),
    "option_values": (_files("policy", "problems"), _files("engine", "secrets", "config")),
    "origin_checks": (_files("policy", "problems"), _files("strangers", "config")),
    "header_key": (_files("policy", "problems"), _files("secrets", "config", "engine")),
    "asgi": (
        _files("asgi"),
        _files("app", "starlette", "rules", "regressions", "root_path", "config"),
        _files("exceptions"),
    ),
    "wsgi": (_files("wsgi"), _files("app", "rules", "regressions", "config"), _files("exceptions")),
}

_DECISION: Final = {"engine", "preflight", "key_check", "rule_engine", "answers", "fields"}
_ADAPTERS: Final = {"asgi": "meshcors.asgi._middleware", "wsgi": "meshcors.wsgi"}


def _module(name: str) -> str:
    """Return the whole name of one of the modules in `SUITES`."""
    if name in _ADAPTERS:
        return _ADAPTERS[name]
    return f"meshcors.{'_decision' if name in _DECISION else '_policy'}.{name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a module's mutants."""

    tried: int
    survived: int
    well: bool


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(SUITES)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", metavar="TEXT", help="the mutants with it in a name")
    parser.add_argument("--list", action="store_true", help="name the mutants, and run nothing")
    given = parser.parse_args()
    unknown = set(given.modules) - set(SUITES)
    if unknown:
        parser.error(f"no module of the decision core: {', '.join(sorted(unknown))}")
    modules = given.modules or list(SUITES)
    made = {name: mutants(source_of(_module(name)).read_text("utf-8")) for name in modules}
    chosen = {
        name: [mutant for mutant in all_made if given.only in mutant.name]
        for name, all_made in made.items()
    }
    if not any(chosen.values()):
        parser.error(f"no mutant of {', '.join(modules)} has {given.only!r} in its name")
    if given.list:
        for name, listed in chosen.items():
            for mutant in listed:
                print(f"{name}:{mutant.line_number}: {mutant.name}")
        return 0
    # The profile of hypothesis that uses the same examples each time.
    os.environ["CI"] = "true"
    preload()
    outcomes = [_try(name, made[name], chosen[name], given.jobs) for name in modules]
    tried = sum(outcome.tried for outcome in outcomes)
    survived = sum(outcome.survived for outcome in outcomes)
    share = 1 - survived / (tried or 1)
    print(f"together: {share:.1%} of {tried} killed, {survived} survived")
    whole = not given.modules and not given.only
    if whole and share < KILLED_AT_LEAST:
        print(f"at least {KILLED_AT_LEAST:.0%} must be killed")
        return 1
    return 0 if all(outcome.well for outcome in outcomes) else 1


def _try(name: str, made: list[Mutant], chosen: list[Mutant], jobs: int) -> Outcome:
    """Try the `chosen` mutants of all those `made` of a module, and print a report."""
    begin = time.monotonic()
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        done += more
        if sys.stderr.isatty():
            print(f"\r{name}: {done} of {len(chosen)}", end="\r", file=sys.stderr, flush=True)

    try:
        alive = survivors(Suite(_module(name), SUITES[name]), chosen, jobs, tell)
    except TestsFailError as error:
        print(f"{name}: the tests fail without any mutant:\n{error}")
        return Outcome(0, 0, well=False)
    print(
        f"{name}: {1 - len(alive) / (len(chosen) or 1):.1%} of {len(chosen)} killed,"
        f" {len(alive)} survived; {time.monotonic() - begin:.0f} s"
    )
    listed = _harmless(name)
    tried, survived = ({mutant.name for mutant in each} for each in (chosen, alive))
    news = [mutant for mutant in alive if mutant.name not in listed]
    for mutant in news:
        print(f"  survived, line {mutant.line_number}: '''{mutant.name}'''")
    gone = sorted(listed - {mutant.name for mutant in made})
    for each in gone:
        print(f"  listed in {HARMLESS.name}, and not made any more: {each}")
    killed = sorted((listed & tried) - survived)
    for each in killed:
        print(f"  listed in {HARMLESS.name}, and killed: {each}")
    sys.stdout.flush()
    return Outcome(len(chosen), len(alive), well=not (news or gone or killed))


def _harmless(module: str) -> set[str]:
    groups = tomllib.loads(HARMLESS.read_text("utf-8")).get(module, [])
    return {mutant for group in groups for mutant in group["mutants"]}


if __name__ == "__main__":
    sys.exit(main())
