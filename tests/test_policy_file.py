"""A policy in a file that is followed: what it holds is used, or reported, and never half of it."""

from __future__ import annotations

import gc
import json
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

import meshcors.config._policy_in_file as module
from meshcors import MeshCORS, Policy, PolicyError, PolicyFile, RuleSet, wsgi
from meshcors._policy.wording import MOST_SHOWN
from tests.drivers import serve_asgi, serve_wsgi
from tests.test_replaceable import allowed, asgi_app, preflight, wsgi_app

# Nobody waits for the thread where a test looks itself.
NEVER = 3600.0


def policy(*origins: str) -> str:
    return json.dumps({"allowOrigins": [{"exact": origin} for origin in origins]})


def origins(followed: PolicyFile) -> list[str]:
    assert isinstance(followed.current, Policy)
    return [str(each) for each in followed.current.allow_origins]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "policy.json"
    written.write_text(policy("https://a.example"))
    return written


@pytest.fixture
def followed(path: Path) -> Iterator[PolicyFile]:
    with PolicyFile(path, interval=NEVER) as made:
        yield made


def test_what_the_file_holds_is_used_once_two_looks_have_found_the_same(
    followed: PolicyFile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "meshcors")
    followed.path.write_text(policy("https://b.example"))
    followed._look()
    assert origins(followed) == ["https://a.example"]
    followed.path.write_text(policy("https://b.example", "https://c.example"))
    followed._look()
    assert origins(followed) == ["https://a.example"], "it is still being written"
    followed._look()
    assert origins(followed) == ["https://b.example", "https://c.example"]
    followed._look()
    assert [each.getMessage() for each in caplog.records] == [
        f"policy replaced from {followed.path}"
    ]


def test_what_was_there_only_for_a_moment_is_not_used(followed: PolicyFile) -> None:
    for _ in range(3):
        followed.path.write_text(policy("https://b.example"))
        followed._look()
        followed.path.write_text(policy("https://a.example"))
        followed._look()
    assert origins(followed) == ["https://a.example"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param("", "file_malformed", id="empty"),
        pytest.param('{"allowOrigins": [', "file_malformed", id="half of it"),
        pytest.param("{}", "no_origins", id="no policy"),
        pytest.param(policy("https://b.example/"), "origin_trailing_slash", id="a wrong origin"),
        pytest.param("[" * 100_000, "file_malformed", id="too deep"),
        pytest.param(" " * (1 << 20) + "{}", "file_too_large", id="too large"),
        pytest.param(b"\xff", "file_not_utf8", id="no text"),
        pytest.param(None, "file_unreadable", id="no file"),
    ],
)
def test_while_it_holds_no_policy_the_last_good_one_stays(
    followed: PolicyFile, content: str | bytes | None, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "meshcors")
    if content is None:
        followed.path.unlink()
    elif isinstance(content, bytes):
        followed.path.write_bytes(content)
    else:
        followed.path.write_text(content)
    for _ in range(4):
        followed._look()
    assert origins(followed) == ["https://a.example"]
    (problem,) = followed.problems
    assert problem.endswith(f"[{code}]")
    # Once, however often it is looked at.
    assert [each.getMessage() for each in caplog.records] == [f"policy not replaced: {problem}"]
    with pytest.raises(PolicyError) as caught:
        PolicyFile(followed.path)
    assert [str(each) for each in caught.value.problems] == [problem]
    followed.path.write_text(policy("https://a.example"))
    followed._look()
    followed._look()
    assert followed.problems == ()
    assert len(caplog.records) == 1, "the policy is what it was"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_process_forked_while_a_change_is_made_makes_it_too(followed: PolicyFile) -> None:
    children: list[int] = []

    def prepare(source: Policy | RuleSet) -> None:
        if source == followed.current or children:
            return
        children.append(os.fork())
        if not children[0]:
            # As its own thread does: the parent's, which makes the change, is not here.
            try:
                followed._look()
            finally:
                os._exit(origins(followed) != ["https://b.example"])

    adapter = Adapter()
    followed.attach(prepare, adapter.switch)
    followed.path.write_text(policy("https://b.example"))
    followed._look()
    followed._look()
    assert origins(followed) == ["https://b.example"]
    (child,) = children
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_look_that_takes_long_is_followed_by_a_long_pause(
    followed: PolicyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    # What the clock says before and after each look.
    times = iter([0.0, 0.1, 10.0, 13.0, 50.0, 50.0])

    class Closed(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            pauses.append(timeout)
            return len(pauses) == 4

    monkeypatch.setattr(module, "monotonic", lambda: next(times))
    module._watch(weakref.ref(followed), Closed(), 2.0)
    assert pauses == [2.0, 2.0, 30.0, 2.0]


class Adapter:
    def switch(self, prepared: None) -> None: ...


def test_every_problem_has_a_line(followed: PolicyFile, caplog: pytest.LogCaptureFixture) -> None:
    followed.path.write_text(policy("https://b.example/", "ftp"))
    followed._look()
    followed._look()
    assert len(followed.problems) == len(caplog.records) == 2


def test_of_many_problems_the_first_have_lines(
    followed: PolicyFile, caplog: pytest.LogCaptureFixture
) -> None:
    followed.path.write_text(policy(*(f"https://b{n}.example/" for n in range(4000))))
    followed._look()
    followed._look()
    assert len(followed.problems) == len(caplog.records) == MOST_SHOWN + 1
    assert followed.problems[-1] == "and 3,950 more problems"


def test_an_error_that_nobody_expects_is_a_problem_too(
    followed: PolicyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(text: str, name: str) -> Policy:
        raise KeyError("secret")

    monkeypatch.setattr(module, "source_of_text", fail)
    followed.path.write_text("{}")
    followed._look()
    followed._look()
    assert followed.problems == (f"{followed.path}: unexpected KeyError while reading it",)
    assert origins(followed) == ["https://a.example"]


def test_what_an_adapter_cannot_answer_by_is_a_problem(path: Path) -> None:
    path.write_text(
        json.dumps({"rules": [{"corsPolicy": json.loads(policy("https://a.example"))}]})
    )
    with PolicyFile(path, interval=NEVER) as followed:
        made = MeshCORS(asgi_app, followed, uncovered="app")
        path.write_text(policy("https://b.example"))
        followed._look()
        followed._look()
        (problem,) = followed.problems
        assert problem.endswith("[uncovered_without_rules]")
        assert isinstance(followed.current, RuleSet)
        assert made.rules is not None
        assert allowed(serve_asgi(made, preflight("https://a.example"))) == "https://a.example"


@pytest.mark.filterwarnings("error")
def test_a_warning_that_is_an_error_is_a_problem(followed: PolicyFile) -> None:
    made = MeshCORS(asgi_app, followed)
    document = {"corsPolicy": json.loads(policy("https://b.example")), "key": {"header": "x-key"}}
    followed.path.write_text(json.dumps(document))
    followed._look()
    followed._look()
    assert followed.problems == (f"{followed.path}: unexpected PolicyWarning while using it",)
    assert made.policy == followed.current
    assert origins(followed) == ["https://a.example"]


def test_rules_and_a_policy_may_take_turns(followed: PolicyFile) -> None:
    made = wsgi.MeshCORS(wsgi_app, followed)
    rules = {
        "rules": [{"corsPolicy": json.loads(policy("https://b.example")), "pathPrefix": "/v1"}]
    }
    for text, origin in (
        (json.dumps(rules), "https://b.example"),
        (policy("https://c.example"), "https://c.example"),
    ):
        followed.path.write_text(text)
        followed._look()
        followed._look()
        assert allowed(serve_wsgi(made, preflight(origin, "/v1"))) == origin


def test_the_values_of_a_key_in_another_file_are_followed_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values, path = tmp_path / "key", tmp_path / "policy.json"
    values.write_text("one")
    key = {"header": "x-key", "valuesFile": str(values)}
    path.write_text(json.dumps({"corsPolicy": json.loads(policy("https://a.example")), "key": key}))

    def accepts(value: str) -> bool:
        assert isinstance(followed.current, Policy)
        assert followed.current.key is not None
        assert followed.current.key.values is not None
        return value in followed.current.key.values

    with PolicyFile(path, interval=NEVER) as followed:
        values.write_text("two")
        followed._look()
        assert accepts("one")
        followed._look()
        assert (accepts("one"), accepts("two")) == (False, True)
        values.unlink()
        for _ in range(3):
            followed._look()
        assert accepts("two")
        (problem,) = followed.problems
        assert "two" not in problem
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == 1, "it is logged once"
        values.write_text("three")
        followed._look()
        followed._look()
        assert accepts("three")
        assert followed.problems == ()


# --- its thread


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "meshcors policy"]


def eventually(said: str, holds: object, seconds: float = 60) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, said
        time.sleep(0.01)


def test_a_thread_looks_until_it_is_closed(path: Path) -> None:
    with PolicyFile(path, interval=0.05) as followed:
        made = MeshCORS(asgi_app, followed)
        path.write_text(policy("https://b.example"))
        eventually(
            "the file is followed",
            lambda: made.policy == Policy(allow_origins=["https://b.example"]),
        )
        assert len(threads()) == 1
    assert threads() == []
    followed.close()
    path.write_text(policy("https://c.example"))
    assert origins(followed) == ["https://b.example"]


def test_it_may_be_closed_from_its_own_thread(path: Path) -> None:
    followed = PolicyFile(path, interval=0.05)

    class Closing:
        def __init__(self) -> None:
            followed.attach(lambda source: source, self.switch)

        def switch(self, source: Policy | RuleSet) -> None:
            if threading.current_thread().name == "meshcors policy":
                followed.close()

    closing = Closing()
    path.write_text(policy("https://b.example"))
    eventually("its thread ends", lambda: threads() == [])
    assert origins(followed) == ["https://b.example"]
    del closing


def test_it_ends_when_nobody_uses_it_any_more(path: Path) -> None:
    made = MeshCORS(asgi_app, PolicyFile(path, interval=0.05))
    gc.collect()
    path.write_text(policy("https://b.example"))
    end = time.monotonic() + 60
    while made.policy != Policy(allow_origins=["https://b.example"]):
        assert time.monotonic() < end
        time.sleep(0.01)
    del made
    gc.collect()
    eventually("its thread ends", lambda: threads() == [])


@pytest.mark.parametrize("interval", [0.0, -1.0, 0.01, float("nan")])
def test_an_interval_is_long_enough(path: Path, interval: float) -> None:
    with pytest.raises(ValueError, match=r"interval: write seconds, 0\.05 or more"):
        PolicyFile(path, interval=interval)
    assert threads() == []


def test_its_repr_names_the_policy(followed: PolicyFile) -> None:
    assert repr(followed) == f"<meshcors.PolicyFile: {followed.current!r}>"
