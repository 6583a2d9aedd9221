"""Every stack says what each call is, or why there is none; the page is what they yield."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import written_pages
from tests.stacks import page
from tests.stacks.__main__ import unexpected
from tests.stacks.asking import OF_THE_POLICY, UI, Answer, Headers, closed, readable
from tests.stacks.stack import CALLS, RESULTS, Call, Stack, stacks

STACKS = {stack.name: stack for stack in stacks()}
RUN = [stack for stack in STACKS.values() if not stack.not_run]


@pytest.fixture(params=STACKS.values(), ids=STACKS)
def stack(request: pytest.FixtureRequest) -> Stack:
    found: Stack = request.param
    return found


def result(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stack.result.read_text(encoding="utf-8"))
    return found


def test_no_stack_leaves_a_call_out(stack: Stack) -> None:
    assert sorted(stack.calls) == sorted(CALLS)
    assert [name for name, call in stack.calls.items() if not call] == []


def test_line_is_in_the_app_or_starts_it(stack: Stack) -> None:
    _, _, app = stack.app.read_text(encoding="utf-8").partition("# ///\n")
    variables = [f"{name}={value}" for name, value in stack.environment.items()]
    assert stack.line in app or stack.line in " ".join([*variables, *stack.start])


def test_each_stack_has_a_result_and_each_result_a_stack() -> None:
    assert sorted(stack.name for stack in RUN) == sorted(
        file.stem for file in RESULTS.glob("*.json")
    )


@pytest.mark.parametrize("stack", RUN, ids=lambda stack: stack.name)
def test_result_has_a_cell_for_each_call(stack: Stack) -> None:
    asked = {name for name, call in stack.calls.items() if isinstance(call, Call)}
    assert set(result(stack)["cells"]) == asked | set(OF_THE_POLICY)


@pytest.mark.parametrize("stack", RUN, ids=lambda stack: stack.name)
def test_no_cell_has_a_fault_but_those_that_its_file_names(stack: Stack) -> None:
    assert unexpected(stack, result(stack)["cells"]) == []
    gaps = [each for each in stack.calls.values() if isinstance(each, Call) and each.outside]
    assert stack.outside or not gaps, "the table must say what stays outside"


def test_page_is_what_the_results_yield() -> None:
    written_pages.check(page.PAGE, page.filled(page.PAGE.read_text(encoding="utf-8")))


ORIGIN = ("access-control-allow-origin", UI)
VARY = ("vary", "accept-encoding, Origin")


@pytest.mark.parametrize(
    ("headers", "wrong"),
    [
        ([ORIGIN, VARY], []),
        ([VARY], ["no CORS fields"]),
        ([ORIGIN, ORIGIN, VARY], [f"grants {UI}, {UI}"]),
        ([("access-control-allow-origin", "*"), VARY], ["grants *"]),
        ([ORIGIN], ["no Vary"]),
    ],
)
def test_answer_that_a_page_reads(headers: Headers, wrong: list[str]) -> None:
    assert readable(Answer(200, headers), 200).wrong == wrong
    assert readable(Answer(404, headers), 200).wrong == ["not 200", *wrong]


def test_answer_to_a_stranger_has_no_field_of_cors() -> None:
    assert closed(Answer(200, [VARY]), 200).wrong == []
    assert closed(Answer(200, [VARY, ORIGIN]), 200).wrong == ["has access-control-allow-origin"]


def test_gap_that_is_closed_or_has_another_status_is_told() -> None:
    stack = STACKS["bentoml_serve"]
    gap = {"status": 429, "wrong": ["no CORS fields"]}
    assert unexpected(stack, {"limit": gap}) == []
    assert unexpected(stack, {"limit": {**gap, "wrong": []}}) != []
    assert unexpected(stack, {"limit": {**gap, "status": 500}}) != []
    assert unexpected(stack, {"error": gap}) != []
