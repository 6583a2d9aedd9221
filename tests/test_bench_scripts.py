"""The benchmark scripts run and print their tables; what they measure is nobody's test."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock
from xml.etree import ElementTree

import pytest

from tests.bench import __main__ as bench
from tests.bench import bounds, machine, report
from tests.bench.__main__ import SCRIPTS
from tests.bench.plots import TOO_CLOSE, plot
from tests.bench.tables import Figure, Report, Row, Table, as_json, from_json
from tests.test_picture import luminance

ROOT = Path(__file__).parent.parent
NUMBER = r"-?[\d,]+(\.\d+)?"
SPREAD = rf"( \({NUMBER} to {NUMBER}\))?"
# A name of a row or a group, a value with its unit, a ratio, a bound: some may be left out.
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Every script in its smallest form, all at once: most of the time they wait for servers."""
    command = [sys.executable, "-W", "error", "-m"]
    scripts = {
        script: subprocess.Popen(
            [*command, f"tests.bench.{script}", "--effort", "0.01"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for script in SCRIPTS
    }
    yield scripts
    for process in scripts.values():
        # Killed, they would leave their servers behind.
        process.communicate(timeout=120)


# Everybody whom a script compares meshcors with; nginx is a program of the system.
PEERS = {
    "bench_middleware": ("Starlette", "asgi-cors", "Litestar", "flask-cors", "django-cors-headers"),
    "bench_pod": ("Envoy's cors filter", "granian", "uvicorn", "Starlette's CORSMiddleware"),
    "bench_server": ("Starlette", "asgi-cors", "the same three fields, no decision"),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_prints_its_tables(script: str, running: dict[str, subprocess.Popen[str]]) -> None:
    printed, complaint = running[script].communicate(timeout=120)
    assert not running[script].returncode, complaint
    assert re.match(r".+, \d+ cores?, Linux [\d.]+, CPython 3\.\d+\.\d+\nmeshcors ", printed)
    parts = printed.split("\n## ")[1:]
    tables = [part for part in parts if not part.startswith("Where meshcors is not")]
    assert tables
    assert [name for name in PEERS.get(script, ()) if f"| {name}" not in "".join(tables)] == []
    for table in tables:
        _, blank, head, _, *rows = table.rstrip().splitlines()
        assert (blank, head[:2]) == ("", "| ")
        assert len([row for row in rows if row.startswith("|")]) > 1
        assert {row.count("|") for row in rows if row.startswith("|")} == {head.count("|")}
        values = rf" \| ({NUMBER}( (µs|ms|ns|s|MiB|%))?{SPREAD}|{TOO_CLOSE}) \|"
        assert [row for row in rows if row.startswith("|") and not re.search(values, row)] == []


def test_a_missing_package_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "PACKAGES", ("meshcors", "not-there"))
    with pytest.raises(SystemExit, match="2"):
        machine.versions()
    install = "python -m pip install -e '.[all]' --group bench"
    assert capsys.readouterr().err == f"not-there is missing: {install}\n"
    for page in report.PAGES:
        assert f"$ {install}\n" in page.read_text(encoding="utf-8")


def test_nothing_is_written_on_a_busy_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "load_per_core", lambda: 0.51)
    monkeypatch.setattr(bench, "SCRIPTS", ())
    store = Mock()
    monkeypatch.setattr(report, "store", store)
    monkeypatch.setattr(report, "written", Mock(return_value=[]))
    with pytest.raises(SystemExit, match="2"):
        bench.main(["--write"])
    assert capsys.readouterr() == (
        "",
        "the machine is busy: a load of 0.51 per core in the last minute, --write takes at most 0.5"
        "; wait, or add --force\n",
    )
    bench.main(["--write", "--force"])
    monkeypatch.setattr(bench, "load_per_core", lambda: 0.5)
    bench.main(["--write"])
    assert store.call_count == 2


OURS = Row("ours", Figure(2, 1, 3), "µs", group="a & b")
THEIRS = Row("theirs", Figure(1000, 900, 1100), "µs", Figure(0.5, 0.4, 0.6), 0.45, "a & b")
# Not the ratio of the medians, which is 2.
FASTER = Row("faster", Figure(1, 1, 1), "µs", Figure(1.9, 1.9, 1.9), None, "a & b")
ALONE = Row("alone", Figure(1, 1, 1), "s", group="c")
TABLE = Table(
    "key", "Title", "time", "ours / it", [OURS, THEIRS, FASTER, ALONE], "ours", ["A note."]
)
REPORT = Report("machine", "versions", [TABLE])


def test_a_table_has_value_spread_ratio_and_bound() -> None:
    assert report.markdown(TABLE).splitlines() == [
        "|  |  | time | ours / it | at most |",
        "| --- | --- | --- | --- | --- |",
        "| a & b | **ours** | 2.00 µs (1.00 to 3.00) |  |  |",
        "| a & b | theirs | 1,000 µs (900 to 1,100) | 0.50 (0.40 to 0.60) | 0.45, missed |",
        "| a & b | faster | 1.00 µs | 1.90 |  |",
        "| c | alone | 1.00 s |  |  |",
        "",
        "A note.",
    ]


def test_what_is_ahead_of_meshcors_is_listed() -> None:
    assert report.not_ahead(REPORT) == "- Title: a & b, faster (1.90)"
    assert report.whole(REPORT).endswith("not ahead\n\n- Title: a & b, faster (1.90)")
    others = replace(TABLE, ratio="it / theirs")
    assert report.not_ahead(replace(REPORT, tables=[others])) == "- Title: a & b, faster (2.00)"
    assert report.not_ahead(replace(REPORT, tables=[replace(TABLE, ours="")])) == ""


def test_a_figure_that_is_noise_is_not_shown() -> None:
    noise = Figure(0.5, -0.1, 1.1)
    rows = [OURS, replace(FASTER, value=noise), replace(FASTER, ratio=noise, bound=0.4)]
    table = replace(TABLE, rows=rows, notes=[])
    assert report.markdown(table).splitlines()[3:] == [
        "| a & b | faster | too close to measure | 1.90 |  |",
        "| a & b | faster | 1.00 µs | too close to measure | 0.4 |",
    ]
    assert report.not_ahead(replace(REPORT, tables=[table])) == ""
    assert "faster: too close to measure; " in plot(table)


def test_a_report_is_the_same_after_json() -> None:
    assert from_json(json.loads(json.dumps(as_json(REPORT)))) == REPORT


def test_a_picture_says_in_words_what_it_shows() -> None:
    picture = ElementTree.fromstring(plot(TABLE))
    assert picture.get("role") == "img"
    told = picture.findtext(f"{SVG}desc")
    assert told == (
        "time. a & b, ours: 2.00 µs; a & b, theirs: 1,000 µs; a & b, faster: 1.00 µs;"
        " c, alone: 1.00 s."
    )
    assert len(picture.findall(f"{SVG}rect")) == 1 + len(TABLE.rows)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_a_picture_is_readable(scheme: int) -> None:
    """Text has the contrast that WCAG 2.2 asks for, and so have bars."""
    style = plot(TABLE).split("@media (prefers-color-scheme: dark)")[scheme]
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", style))
    page = luminance(colors["page"])
    for name, least in {"text": 4.5, "quiet": 4.5, "ours": 3, "bar": 3}.items():
        light, dark = sorted([luminance(colors[name]), page], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= least, name


@pytest.mark.parametrize(
    ("values", "line", "fails"),
    [
        (
            [0.4, 0.44, 0.45],
            "held: Title, a & b, theirs: 0.44, at most 0.45 (0.40, 0.44, 0.45)",
            False,
        ),
        (
            [0.4, 0.47, 0.9],
            "over: Title, a & b, theirs: 0.47, at most 0.45 (0.40, 0.47, 0.90)",
            False,
        ),
        (
            [0.4, 0.5, 0.9],
            "FAILED: Title, a & b, theirs: 0.50, at most 0.45 (0.40, 0.50, 0.90)",
            True,
        ),
    ],
    ids=["held", "within a tenth", "failed"],
)
def test_a_bound_fails_by_the_median(values: list[float], line: str, fails: bool) -> None:
    runs = [
        [
            Table(
                "",
                "Title",
                "",
                "",
                [OURS, Row("theirs", OURS.value, "µs", Figure(v, v, v), 0.45, "a & b")],
            )
        ]
        for v in values
    ]
    assert bounds.judged(bounds.bounded(runs)) == [(line, fails)]


def test_pages_show_the_stored_figures() -> None:
    """``python -m tests.bench --write`` measures anew and writes them."""
    stored = report.stored()
    for path, text in report.written(stored):
        assert path.read_text(encoding="utf-8") == text, (
            f"{path.name} does not show benchmarks.json"
        )
    assert {table.key for table in stored.tables} >= {"pod-cpu", "asgi-middleware", "rules"}
