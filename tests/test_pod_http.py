"""What the pod answers to raw bytes: the whole of `tests/data/http.txt`, and its page."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests import written_pages
from tests.dummy_process import INSTALLED, PLAIN, PodProcess, running
from tests.http_table import Case, read_table
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
    lines = [f"\n{counts()}"]
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


def counts() -> str:
    alike: Counter[tuple[bool, bool]] = Counter()
    for case in TABLE.cases:
        pod, nginx, envoy = case.answers.values()
        alike[pod == nginx, pod == envoy] += 1
    return (
        f"Of {alike.total()} cases all three answer {alike[True, True]} alike. The pod answers"
        f" {alike[True, False]} as nginx and not as Envoy,\n{alike[False, True]} as Envoy and not"
        f" as nginx, and {alike[False, False]} in its own way. The last column says why."
    )


def link(clause: str) -> str:
    number, section = clause.split()
    anchor = f"section-{section}" if re.match(r"\d", section) else f"appendix-{section}"
    return f"[{clause}](https://www.rfc-editor.org/rfc/rfc{number}#{anchor})"


# --- the admin port, whose handler reads bodies

FORM = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
ASKED = b"origin=https://ui.example&url=https://api.example/v1/x"
ALIVE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def chunked(*contents: bytes, trailers: bytes = b"") -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in contents)
    return b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n" + trailers + b"\r\n"


def sized(content: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(content) + content


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(FORM + sized(ASKED) + ALIVE, "200 200 open", id="a form"),
        pytest.param(FORM + chunked(ASKED[:9], ASKED[9:]) + ALIVE, "200 200 open", id="chunks"),
        pytest.param(FORM + sized(b"") + ALIVE, "200 200 open", id="no content"),
        pytest.param(FORM + sized(b"a" * 17_000) + ALIVE, "413 close", id="too large"),
        pytest.param(
            FORM + chunked(*[b"a" * 1000] * 17) + ALIVE, "413 close", id="too large, in chunks"
        ),
        pytest.param(FORM + b"Content-Length: 5\r\n\r\n", "waits", id="the body is awaited"),
        pytest.param(
            FORM + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", "100 waits", id="asked for"
        ),
        pytest.param(
            FORM + b"Expect: 100-continue\r\n" + sized(ASKED), "100 200 open", id="asked in vain"
        ),
        pytest.param(
            FORM.replace(b"1.1", b"1.0") + b"Expect: 100-continue\r\n" + sized(ASKED),
            "200 close",
            id="HTTP/1.0 knows no 100",
        ),
        pytest.param(
            FORM.replace(b"localhost", b"evil.example")
            + chunked(ASKED, trailers=b"Host: localhost\r\n"),
            "421 open",
            id="a Host among the trailers",
        ),
        pytest.param(
            FORM + b"Connection: Upgrade\r\nUpgrade: x\r\n" + sized(ALIVE),
            "400 close",
            id="an upgrade with a body",
        ),
        pytest.param(FORM + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", "400 close", id="no chunk"),
    ],
)
def test_the_admin_port_reads_bodies(pod: PodProcess, sent: bytes, expected: str) -> None:
    written = sent.decode("latin-1").encode("unicode_escape").decode("ascii")
    case = Case("admin", "", "", written, {"pod": expected})
    (found,) = exchange_all(pod.admin_port, [case], "pod").values()
    assert str(found) == expected
