"""Runs tests against mutants: each in a process of its own, forked from one that has pytest loaded.

A mutant is compiled in memory and takes the module's place when the child imports it, so constants
and tables at the top of a module are tested like any function.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from multiprocessing import connection, get_context
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

import pytest

from tests.mutants.mutations import Mutant

# Imported once, before the first fork: what the tests import besides this project.
PRELOADED: Final = (
    *("a2wsgi", "fastapi", "flask", "httpx", "hypothesis", "publicsuffixlist", "re2"),
    *("ruamel.yaml", "starlette.testclient", "uvicorn", "werkzeug"),
)
# A mutant may take so many times as long as the tests, plus so many seconds.
PATIENCE: Final = 4
MORE_CPU_SECONDS: Final = 2
MORE_SECONDS: Final = 30
# Stops a mutant that fills the memory; the tests take far less.
MAX_MEMORY_BYTES: Final = 4 << 30

_ARGUMENTS: Final = (
    *("-x", "-q", "--no-header", "-p", "no:cacheprovider"),
    # No plugins but hypothesis's: loading them takes longer than the tests.
    *("--disable-plugin-autoload", "-p", "hypothesispytest", "-o", "faulthandler_timeout=0"),
    # Some modules are loaded already, so pytest cannot rewrite their assertions.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
_fork: Final = get_context("fork")


class TestsFailError(Exception):
    """The tests fail on the unchanged module; the text is pytest's output."""

    __test__ = False


@dataclass(frozen=True, slots=True)
class Suite:
    """A module, and the arguments of its pytest runs, each for the survivors of the one before."""

    module: str
    runs: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Limits:
    """The limits of a run in seconds."""

    cpu: int
    wall: float


def preload() -> None:
    """Import what every child needs."""
    for name in PRELOADED:
        importlib.import_module(name)
    # Exempts what is loaded from garbage collection in the children.
    gc.collect()
    gc.freeze()


def source_of(module: str) -> Path:
    """Return the file that an import of `module` reads, without importing anything.

    `importlib.util.find_spec` imports the packages that contain the module. Then the module would
    be loaded before its mutant can replace it.
    """
    name, path = "", None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        found = PathFinder.find_spec(name, path)
        if found is None or not found.origin:
            raise ModuleNotFoundError(module)
        path = found.submodule_search_locations
    return Path(found.origin)


def survivors(
    suite: Suite, mutants: Sequence[Mutant], jobs: int, tell: Callable[[int], None]
) -> list[Mutant]:
    """Return the `mutants` with which all tests of `suite` pass.

    `tell` is called with the number of mutants that are done. Raises `TestsFailError`.
    """
    left = list(mutants)
    for run, limits in [(run, _limits(suite.module, run)) for run in suite.runs]:
        passed: set[str] = set()
        for mutant, survived in _run_all(suite.module, left, run, limits, jobs):
            if survived:
                passed.add(mutant.name)
            else:
                tell(1)
        left = [mutant for mutant in left if mutant.name in passed]
    tell(len(left))
    return left


def _limits(module: str, run: Sequence[str]) -> _Limits:
    """Run the tests on the unchanged module, and return the limits for mutants."""
    begin, used = time.monotonic(), _cpu_of_children()
    read, write = os.pipe()
    child = _fork.Process(target=_test, args=(module, None, run, write, None))
    child.start()
    os.close(write)
    with os.fdopen(read, errors="replace") as output:
        text = output.read()
    child.join()
    if child.exitcode != 0:
        raise TestsFailError(text)
    cpu = math.ceil(PATIENCE * (_cpu_of_children() - used) + MORE_CPU_SECONDS)
    return _Limits(cpu, PATIENCE * (time.monotonic() - begin) + MORE_SECONDS)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run_all(
    module: str, mutants: Sequence[Mutant], run: Sequence[str], limits: _Limits, jobs: int
) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant when it is done, and whether it survived."""
    waiting = list(reversed(mutants))
    running: dict[Any, tuple[Any, Mutant, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            child = _fork.Process(target=_test, args=(module, mutant, run, None, limits.cpu))
            child.start()
            running[child.sentinel] = (child, mutant, time.monotonic() + limits.wall)
        first = min(until for _, _, until in running.values())
        ended = connection.wait(list(running), max(0.0, first - time.monotonic()))
        for sentinel, (child, mutant, until) in list(running.items()):
            if sentinel not in ended and time.monotonic() < until:
                continue
            # Together with whatever it started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.join()
            del running[sentinel]
            yield mutant, child.exitcode == 0
            child.close()


def _test(
    module: str, mutant: Mutant | None, run: Sequence[str], output: int | None, cpu: int | None
) -> None:
    """In the child, run the tests with the mutant as the module; exit with 0 if they pass."""
    code = 1
    try:
        os.setsid()
        to = os.open(os.devnull, os.O_WRONLY) if output is None else output
        for stream in (1, 2):
            os.dup2(to, stream)
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
        if cpu is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
        plugins: list[object] = []
        if mutant is not None:
            plugins.append(_EndAtFirstFailure())
            path = source_of(module)
            sys.meta_path.insert(0, _Finder(module, path, mutant.compile(str(path))))
        code = int(pytest.main([*_ARGUMENTS, *run], plugins))
        sys.stdout.flush()
    finally:
        # Without waiting for threads that a test left running.
        os._exit(code)


class _EndAtFirstFailure:
    """Ends the process at the first failure: nobody reads why a test fails on a mutant."""

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            os._exit(1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(1)


class _Finder:
    """Finds the mutant when the module is imported."""

    def __init__(self, module: str, path: Path, code: CodeType) -> None:
        self._module = module
        self._loader = _Loader(module, str(path))
        self._loader.code = code

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._module:
            return None
        return importlib.util.spec_from_file_location(name, self._loader.path, loader=self._loader)


class _Loader(SourceFileLoader):
    """Loads a module from given code."""

    code: CodeType

    def get_code(self, fullname: str) -> CodeType:
        return self.code
