"""With `pytest -n auto`, a file's tests share a process, and so do all that wait for pods."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import conftest
from tests.e2e.processes import free_port

ROOT = Path(__file__).parent.parent
FILES = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").glob("**/test_*.py")]
BEGINS = [begin for begins in conftest.ONE_AFTER_ANOTHER.values() for begin in begins]


@pytest.mark.parametrize(
    ("test", "queue"),
    [
        ("tests/test_engine.py::test_a", "tests/test_engine.py"),
        ("tests/test_engine.py::test_a[b::c]", "tests/test_engine.py"),
        ("tests/e2e/test_matrix.py::test_a[b@c]", "tests/e2e/test_matrix.py"),
        ("tests/e2e/test_pod_load.py::test_a", "pods"),
        ("tests/test_dummy_life.py::test_a", "pods"),
        ("tests/e2e/test_pod_page.py::test_a", "browsers"),
        ("tests/e2e/test_browser_matrix.py::test_a", "browsers"),
    ],
)
def test_what_a_test_waits_in(test: str, queue: str) -> None:
    config: Any = SimpleNamespace(getvalue=lambda _: ["popen"], option=SimpleNamespace())
    scheduler = conftest.pytest_xdist_make_scheduler(config, None)
    assert scheduler._split_scope(test) == queue
    assert config.option.loadscopereorder is False


def test_the_scheduler_still_asks_for_it() -> None:
    assert "_split_scope" in vars(LoadScopeScheduling)


@pytest.mark.parametrize("begin", BEGINS)
def test_each_queue_has_files(begin: str) -> None:
    assert [name for name in FILES if name.startswith(begin)]


@pytest.mark.parametrize("quick", [True, False])
def test_each_process_runs_what_was_asked_for(quick: bool) -> None:
    source = pytest.Config.ArgsSource
    asked = source.TESTPATHS if quick else source.ARGS
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CI", raising=False)
        patch.delenv("NOX_CURRENT_SESSION", raising=False)
        node: Any = SimpleNamespace(workerinput={}, config=SimpleNamespace(args_source=asked))
        conftest.pytest_configure_node(node)
    # A process is always told what to run.
    started: Any = SimpleNamespace(workerinput=node.workerinput, args_source=source.ARGS)
    assert conftest.is_quick(started) is quick


def test_no_port_is_one_that_the_kernel_hands_out() -> None:
    ports = {free_port() for _ in range(50)}
    assert len(ports) == 50
    assert all(20_000 <= port < 32_000 for port in ports)
