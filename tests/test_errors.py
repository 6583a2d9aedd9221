"""Problems are printed in lines of bounded length."""

from __future__ import annotations

import copy
import pickle

import pytest

from meshcors import Policy, PolicyError, PolicyWarning, Problem
from meshcors._policy.wording import MOST_SHOWN, did_you_mean, shown


def test_one_problem_is_one_line() -> None:
    error = PolicyError([Problem("code_a", "field", "value", "the hint")])
    assert str(error) == "field: value: the hint [code_a]"


def test_several_problems_are_a_line_each() -> None:
    error = PolicyError(Problem(f"code_{n}", "field", "", "hint") for n in (1, 2))
    assert str(error).splitlines() == [
        "2 problems",
        "  field: hint [code_1]",
        "  field: hint [code_2]",
    ]


@pytest.mark.parametrize(
    ("count", "last"),
    [
        (MOST_SHOWN, f"field: hint [code_{MOST_SHOWN - 1}]"),
        (MOST_SHOWN + 1, "and 1 more problem"),
        (4000, "and 3,950 more problems"),
    ],
)
def test_of_many_problems_the_first_are_shown(count: int, last: str) -> None:
    error = PolicyError(Problem(f"code_{n}", "field", "", "hint") for n in range(count))
    assert len(error.problems) == count
    first, *lines = str(error).splitlines()
    assert first == f"{count:,} problems"
    assert lines[0] == "  field: hint [code_0]"
    assert (len(lines), lines[-1]) == (min(count, MOST_SHOWN + 1), f"  {last}")


class OwnError(PolicyError):
    """A subclass of a user."""


@pytest.mark.parametrize("kind", [PolicyError, OwnError])
def test_it_is_a_value_error_that_can_be_pickled_and_copied(kind: type[PolicyError]) -> None:
    error = kind([Problem("a", "b", "c", "d")])
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert isinstance(again, ValueError)
        assert again.problems == error.problems
        assert str(again) == str(error)
        assert again.__notes__ == ["a note"]
    assert issubclass(PolicyWarning, UserWarning)


@pytest.mark.parametrize("count", [1, 2])
def test_its_one_argument_is_its_text(count: int) -> None:
    error = PolicyError([Problem("a", "b", "c", "d")] * count)
    # waitress prints the arguments instead of the exception.
    assert error.args == (str(error),)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param("a\r\nb", id="line ends"),
        pytest.param("a\x1b[31mb", id="terminal escape"),
        pytest.param("a\x00b", id="NUL"),
        pytest.param("a\u2028b", id="line separator"),
        pytest.param("a\u202eb", id="right-to-left override"),
        pytest.param("a\ud800b", id="lone surrogate"),
    ],
)
def test_unprintable_parts_are_escaped(part: str) -> None:
    for problem in (
        Problem("code", part, "", "hint"),
        Problem("code", "field", part, "hint"),
        Problem("code", "field", "value", part),
    ):
        line = str(problem)
        assert line.isprintable()
        assert line.encode()
        assert "\\" in line


def test_long_parts_are_cut() -> None:
    assert len(str(Problem("code", "x" * 10**6, "y" * 10**6, "z" * 10**6))) < 1300


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("allow_orgins", "unknown; did you mean allow_origins?", id="near"),
        pytest.param("zzz", "unknown; known: allow_origins, max_age", id="far"),
    ],
)
def test_did_you_mean(name: str, hint: str) -> None:
    assert did_you_mean(name, ["max_age", "allow_origins"]) == hint


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("x", "'x'", id="text"),
        pytest.param(None, "None", id="nothing"),
        pytest.param(10**5000, "<int too long to print>", id="number of 5001 digits"),
    ],
)
def test_shown(value: object, text: str) -> None:
    assert shown(value) == text


def test_shown_bears_any_value() -> None:
    deep: list[object] = []
    deep.append(deep)
    for value in (Unprintable(), deep, "x" * 10**6, {"a": [["b"] * 1000] * 1000}):
        assert len(shown(value)) < 300


def test_problems_come_in_the_order_of_their_fields() -> None:
    with pytest.raises(PolicyError) as caught:
        Policy(allow_origins=[], max_age=-1, allow_methods="GET")
    fields = [problem.field for problem in caught.value.problems]
    assert fields == sorted(fields) == ["allow_methods", "allow_origins", "max_age"]
