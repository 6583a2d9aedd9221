"""What the pod answers to raw bytes: the whole of `tests/data/http.txt`, and its page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests import written_pages
from tests.dummy_process import INSTALLED, PLAIN, PodProcess, running
from tests.http_table import read_table
from tests.http_wire import Exchange, exchange_all

PAGE = Path(__file__).parent.parent / "docs" / "http.md"
MARK = "<!-- Below: WRITE_PAGES=1 pytest tests/test_pod_http.py -->\n"
TABLE = read_table()
RULE = {
    "hosts": ["api.example"],
    "pathPrefix": "/v1",
    "corsPolicy": {"allowOrigins": ["https://ui.example"]},
}
Found = dict[str, Exchange]


@pytest.fixture(scope="module", params=[INSTALLED, PLAIN], ids=["extra", "plain install"])
def pod(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PodProcess]:
    config = tmp_path_factory.mktemp("http") / "rules.json"
    config.write_text(json.dumps({"rules": [RULE]}))
    with running("--config", str(config), policy=(), start=request.param) as started:
        yield started


@pytest.fixture(scope="module")
def found(pod: PodProcess) -> Found:
    return exchange_all(pod.port, TABLE.cases, "pod")


def test_every_case_is_answered_as_the_table_says(found: Found) -> None:
    said = {case.name: case.answers["pod"] for case in TABLE.cases}
    assert {name: str(each) for name, each in found.items() if str(each) != said[name]} == {}


def test_every_answer_has_a_date_and_a_length(found: Found) -> None:
    for name, exchange in found.items():
        for answer in exchange.answers:
            # RFC 9110 6.6.1
            date = parsedate_to_datetime(answer.field("date") or "")
            assert date.tzname() == "UTC", name
            # RFC 9110 8.6
            has_length = answer.field("content-length") is not None
            assert has_length == (answer.status != 204), name


def test_the_last_answer_before_the_end_announces_it(found: Found) -> None:
    for case in TABLE.cases:
        exchange = found[case.name]
        announced = [answer.field("connection") for answer in exchange.answers]
        if exchange.end == "open" or case.ends or case.note == "early":
            # The end is the client's, or follows from what came after the answer.
            assert {*announced} <= {None}, case.name
        else:
            # RFC 9112 9.6
            assert announced == [None] * (len(announced) - 1) + ["close"], case.name


def test_nothing_of_this_was_a_fault_of_the_pod(pod: PodProcess, found: Found) -> None:
    assert found
    assert [line for line in pod.log() if line["level"] in ("error", "critical")] == []
    assert pod.admin("/healthz").status == 200


# --- the table itself, and the page


def test_every_case_is_another_one() -> None:
    assert len({case.name for case in TABLE.cases}) == len(TABLE.cases)
    assert len({(case.sent, case.ends) for case in TABLE.cases}) == len(TABLE.cases)


def test_a_note_says_why_wherever_servers_differ() -> None:
    for case in TABLE.cases:
        assert (len({*case.answers.values()}) > 1) == bool(case.note), case.name
    assert list(dict.fromkeys(case.note for case in TABLE.cases if case.note)) == [*TABLE.notes]


def test_the_page_is_the_table() -> None:
    begin, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    assert mark
    written_pages.check(PAGE, begin + mark + tables())


def tables() -> str:
    lines = []
    section = ""
    for case in TABLE.cases:
        if case.section != section:
            section = case.section
            lines += [
                f"\n## {section}\n",
                "| sent | RFC | pod | nginx | Envoy | why |",
                "|---" * 6 + "|",
            ]
        answers = " | ".join(case.answers.values())
        why = f"[{case.note}](#{case.note})" if case.note else ""
        lines.append(f"| {case.title} | {link(case.clause)} | {answers} | {why} |")
    lines += ["\n## Why\n", "| note | |", "|---|---|"]
    lines += [f'| <a id="{name}"></a>{name} | {text} |' for name, text in TABLE.notes.items()]
    return "\n".join(lines) + "\n"


def link(clause: str) -> str:
    number, section = clause.split()
    anchor = f"section-{section}" if re.match(r"\d", section) else f"appendix-{section}"
    return f"[{clause}](https://www.rfc-editor.org/rfc/rfc{number}#{anchor})"
