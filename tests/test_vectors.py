"""Every vector through every driver: the same answer, whatever serves it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from meshcors.browser import Credentials, Request, Response, judge_preflight, judge_response
from tests import vectors
from tests.drivers import DRIVERS, Outcome, comparable, named_policy, stop_all
from tests.vectors import APPS, EXACT, POLICIES, VECTORS, Vector

# Keys without values, and * without authorization, are served too, with a warning.
pytestmark = pytest.mark.filterwarnings("ignore::meshcors.PolicyWarning")

MOST_SHOWN = 5


@pytest.fixture(scope="module", autouse=True)
def _servers() -> Iterator[None]:
    yield
    stop_all()


def assert_answer(vector: Vector, outcome: Outcome) -> None:
    assert outcome.status == vector.status
    expected = vector.fields
    if ("content-length", EXACT) in expected:
        length = dict(outcome.fields)["content-length"]
        if vector.call.method == "HEAD":
            assert int(length) > 0
        else:
            assert int(length) == len(outcome.body)
        expected = tuple((name, length if value == EXACT else value) for name, value in expected)
    assert comparable(outcome.fields) == comparable(expected)
    names = Counter(name for name, _ in outcome.fields)
    assert [n for n in names if n.startswith("access-control-") and names[n] > 1] == []
    cookies = [value for name, value in outcome.fields if name == "set-cookie"]
    assert cookies == [value for name, value in expected if name == "set-cookie"]
    assert_body(vector, outcome)


def assert_body(vector: Vector, outcome: Outcome) -> None:
    if vector.body == "none":
        assert outcome.body == b""
    elif vector.body == "app":
        assert vector.app is not None
        # One by one, as the app made them: nothing is buffered.
        assert outcome.chunks == APPS[vector.app][2]
    else:
        problem = json.loads(outcome.body)
        assert problem.keys() == {"type", "title", "status", "detail", "reason"}
        assert problem["type"] == f"urn:meshcors:problem:{vector.body.replace('_', '-')}"
        assert problem["status"] == vector.status
        assert problem["reason"] == vector.body
        assert problem["title"]
        assert problem["detail"]
        told = problem["title"] + problem["detail"]
        secrets = [value for _, value in vector.call.headers if len(value.strip(" \t,")) > 1]
        assert not any(value in told for value in secrets)


def page_request(vector: Vector, credentials: Credentials) -> Request:
    """Return the call by a page that makes a browser send the vector's request."""
    fields = [(name, value.strip(" \t")) for name, value in vector.call.headers]
    method = dict(fields).get("access-control-request-method")
    lists = [value for name, value in fields if name == "access-control-request-headers"]
    names = [each.strip(" \t") for each in ",".join(lists).split(",") if each.strip(" \t")]
    return Request(
        dict(fields)["origin"],
        "https://api.example/v1/predict",
        method if is_preflight(vector) and method else vector.call.method,
        # A value that is safe in no header, so that all are announced.
        [(name, '"') for name in names],
        credentials,
    )


def is_preflight(vector: Vector) -> bool:
    asked = dict(vector.call.headers).get("access-control-request-method", "")
    return vector.call.method == "OPTIONS" and asked.strip() != ""


def assert_verdicts(vector: Vector, outcome: Outcome) -> None:
    """A browser judges the answer as the vector says, in both credentials modes."""
    if vector.verdicts is None:
        return
    answer = Response(outcome.status, outcome.fields)
    judge = judge_preflight if is_preflight(vector) else judge_response
    modes: tuple[Credentials, ...] = ("omit", "include")
    assert vector.verdicts == tuple(
        judge(page_request(vector, mode), answer).code for mode in modes
    )


# A test for each driver and policy, not for each of the many vectors: pytest's own work for so many
# tests would take longer than theirs. A failure names its vector.
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", DRIVERS)
def test_answer(name: str, policy: str) -> None:
    wrong: list[Exception] = []
    for vector in VECTORS:
        if vector.policy == policy and DRIVERS[name].runs(vector):
            try:
                assert_vector(name, vector)
            except Exception as error:
                error.add_note(f"{name}, {vector.id}: {vector}")
                wrong.append(error)
    if wrong:
        raise ExceptionGroup(f"{len(wrong)} vectors, such as these", wrong[:MOST_SHOWN])


def assert_vector(name: str, vector: Vector) -> None:
    driver = DRIVERS[name]
    outcome = driver.run(named_policy(vector.policy), vector.call, vector.app)
    assert_answer(vector, outcome)
    assert_verdicts(vector, outcome)
    assert outcome.called == vector.called
    assert outcome.closed == vector.called
    assert outcome.raised == (vector.app == "fails" and vector.called and driver.raises)
    assert outcome.reason in (None, vector.reason)
    if name == "engine":
        assert outcome.reason == vector.reason


def test_no_vector_is_left_out_silently(capsys: pytest.CaptureFixture[str]) -> None:
    ran = {name: list(filter(driver.runs, VECTORS)) for name, driver in DRIVERS.items()}
    with capsys.disabled():
        print(f"\n{len(VECTORS)} vectors; by driver: { {name: len(ran[name]) for name in ran} }")
    traits = {"app-fails", *(trait for vector in VECTORS for trait in vector.traits)}
    verdicts = {vector.verdicts for vector in VECTORS}
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)
    for name, driver in DRIVERS.items():
        assert driver.leaves_out.keys() <= traits
        assert all(driver.leaves_out.values()), "each with its reason"
        assert {vector.policy for vector in ran[name]} == POLICIES.keys()
        assert {vector.verdicts for vector in ran[name]} == verdicts
        apps = set() if "app-called" in driver.leaves_out else APPS.keys()
        apps -= {"fails"} if "app-fails" in driver.leaves_out else set()
        assert {vector.app for vector in ran[name] if vector.called} == apps
    served = {vector.id for name in ran if name != "engine" for vector in ran[name]}
    assert served == {vector.id for vector in VECTORS}


def test_every_table_is_among_the_vectors_and_none_is_empty() -> None:
    written = {name for name in vars(vectors) if name.endswith("_vectors")}
    assert {table.__name__ for table in vectors.TABLES} == written
    assert [table.__name__ for table in vectors.TABLES if not list(table())] == []


def test_a_driver_runs_all_that_is_not_left_out_for_a_reason() -> None:
    for driver in DRIVERS.values():
        for vector in VECTORS:
            reasons = driver.leaves_out.keys() & vector.traits
            fails = vector.app == "fails" and vector.called and "app-fails" in driver.leaves_out
            assert driver.runs(vector) is not (bool(reasons) or fails)
