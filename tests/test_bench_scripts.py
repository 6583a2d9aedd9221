"""The benchmark scripts run and print their tables; what they measure is nobody's test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
    assert len(rows) == 3
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
    assert head == "| file | verb | 3 | 6 | 6 to 3 | of it YAML |"
    assert len(rows) == 17
    pattern = r"\| .* \| (lint|fix) \| \d+ \| \d+ \| \d+\.\d \| \d+% \|"
    assert [row for row in rows if not re.fullmatch(pattern, row)] == []
    seconds = r"\| `meshcors (lint|fix)`, (3 hosts, 2 rules|4 rules) \| \d+\.\d\d \|"
    assert all(re.fullmatch(seconds, row) for row in whole.splitlines()[2:])
    assert len(whole.splitlines()) == 6
