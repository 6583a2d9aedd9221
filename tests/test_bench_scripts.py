"""The benchmark scripts run and print their tables; what they measure is nobody's test."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.bench import bench_import, bench_middleware, bench_server, bench_toolbox

ROOT = Path(__file__).parent.parent


def test_the_comparison_of_middleware_prints_its_table() -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.bench.bench_middleware"]
    done = subprocess.run(
        [*command, "--rounds", "2", "--calls", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    versions, _, head, rule, *rows = done.stdout.splitlines()
    assert versions.startswith("CPython ")
    assert head.split("|")[1:4] == [" request ", " meshcors adds ", " the other adds "]
    assert rule == "|---|---|---|---|---|"
    assert len(rows) == len(list(bench_middleware.contests()))
    number = r"-?\d+\.\d\d"
    pattern = rf"\| .* \| {number} µs \| {number} µs \(.*\) \| {number} \| 0\.\d+ \|"
    assert [row for row in rows if not re.fullmatch(pattern, row)] == []


def test_the_growth_of_the_toolbox_prints_its_tables() -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.bench.bench_toolbox"]
    sizes = ["--size", "3", "--rounds", "1", "--hosts", "3", "--rules", "2", "--alone", "4"]
    done = subprocess.run([*command, *sizes], cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    growth, whole = done.stdout.split("\n\n")[1:]
    head, _, *rows = growth.splitlines()
    assert head == "| file | verb | 3 | 6 | ratio | YAML's share |"
    assert len(rows) == sum(len(shape.verbs) for shape in bench_toolbox.SHAPES.values())
    pattern = r"\| .* \| (lint|fix) \| \d+ \| \d+ \| \d+\.\d \| \d+% \|"
    assert [row for row in rows if not re.fullmatch(pattern, row)] == []
    seconds = r"\| `meshcors (lint|fix)`, (3 hosts, 2 rules|4 rules) \| \d+\.\d\d \|"
    _, _, *rows = whole.splitlines()
    assert [row for row in rows if not re.fullmatch(seconds, row)] == []
    assert len(rows) == 2 * len(bench_toolbox.VERBS)


def test_the_comparison_in_a_server_prints_its_table(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    command = [sys.executable, "-W", "error", "-m", "tests.bench.bench_server"]
    few = ["--rounds", "1", "--requests", "3", "--connections", "2", "--json", str(kept)]
    done = subprocess.run([*command, *few], cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    names = [line.split("|")[1].strip() for line in done.stdout.splitlines()[4:]]
    assert tuple(names) == bench_server.SERVERS
    assert json.loads(kept.read_text())["cost"].keys() == set(bench_server.SERVERS)


def test_the_comparison_of_imports_prints_its_table(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    command = [sys.executable, "-W", "error", "-m", "tests.bench.bench_import"]
    few = ["--rounds", "1", "--json", str(kept)]
    done = subprocess.run([*command, *few], cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    names = [line.split("|")[1].strip() for line in done.stdout.splitlines()[4:]]
    assert names == list(bench_import.STATEMENTS)
    assert json.loads(kept.read_text())["cost"].keys() == bench_import.STATEMENTS.keys()
