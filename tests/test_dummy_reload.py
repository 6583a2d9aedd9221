"""A changed file becomes the policy or changes nothing, however it was changed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Never

import pytest

from meshcors import Policy
from meshcors.dummy import _reload as reload
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import RELOADS, Counters
from meshcors.dummy._refusals import Refusals
from meshcors.dummy._reload import ConfigurationFile, FileContent, Reloader
from meshcors.dummy._state import PodState
from tests.dummy_process import UI, PodProcess, running

OTHER = "https://other.example"
POLICY = Policy(allow_origins=[UI])


def policy(*origins: str) -> str:
    return json.dumps({"corsPolicy": {"allowOrigins": list(origins)}})


def yaml(*origins: str) -> str:
    items = "".join(f"  - {origin}\n" for origin in origins)
    return f"corsPolicy:\n  maxAge: 600\n  allowOrigins:\n{items}"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[PodProcess, Path]]:
    """A pod and the file that it watches, mounted as Kubernetes mounts a ConfigMap."""
    data = tmp_path / "..data"
    (tmp_path / "..2026_1").mkdir()
    data.symlink_to("..2026_1")
    path = tmp_path / "policy.yaml"
    path.symlink_to("..data/policy.yaml")
    path.write_text(yaml(UI))
    with running(policy=("--config", str(path))) as pod:
        yield pod, path


def allows(pod: PodProcess, origin: str) -> bool:
    return pod.preflight(origin=origin, names="").status == 204


def reloads(pod: PodProcess, result: str) -> float:
    return pod.metric(f'meshcors_config_reloads_total{{result="{result}"}}')


def test_symlinks_that_are_swapped_are_a_change(watched: tuple[PodProcess, Path]) -> None:
    pod, path = watched
    mount = path.parent
    (mount / "..2026_2").mkdir()
    (mount / "..2026_2" / "policy.yaml").write_text(yaml(OTHER))
    (mount / "..data_tmp").symlink_to("..2026_2")
    (mount / "..data_tmp").replace(mount / "..data")
    pod.await_(lambda: allows(pod, OTHER))
    assert not allows(pod, UI)
    assert reloads(pod, "ok") == 1
    (line,) = [line for line in pod.log() if line["message"] == "configuration reloaded"]
    assert line["hash"] == json.loads(pod.admin("/policy").body)["hash"]


def test_file_written_in_place_or_renamed_is_a_change(watched: tuple[PodProcess, Path]) -> None:
    pod, path = watched
    path.write_text(yaml(OTHER))
    pod.await_(lambda: allows(pod, OTHER))
    path.with_name("new").write_text(yaml(UI))
    path.with_name("new").replace(path)
    pod.await_(lambda: allows(pod, UI))


def remove(path: Path) -> None:
    path.unlink()


def swap(path: Path, target: str) -> None:
    """Replace the file by a symbolic link to `target`, atomically."""
    path.with_name("new").symlink_to(target)
    path.with_name("new").replace(path)


def deny(path: Path) -> None:
    # root can read files of any mode
    path.with_name("directory").mkdir()
    swap(path, "directory")


def pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    swap(path, "pipe")


def device(path: Path) -> None:
    swap(path, "/dev/zero")


def loop(path: Path) -> None:
    swap(path, path.name)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(remove, "No such file or directory", id="removed"),
        pytest.param(deny, "a directory, not a regular file", id="made unreadable"),
        pytest.param(pipe, "a pipe, not a regular file", id="made a pipe"),
        pytest.param(device, "a device, not a regular file", id="made a device"),
        pytest.param(loop, "Too many levels of symbolic links", id="made a loop"),
        pytest.param(lambda path: path.write_text(""), "no_origins", id="emptied"),
        pytest.param(lambda path: path.write_bytes(b"\xff\xfe"), "write UTF-8 text", id="binary"),
        pytest.param(lambda path: path.write_text("a: [b"), "line 1 column", id="half-written"),
        pytest.param(
            lambda path: path.write_text(yaml("https://ui.example/")),
            "origin_trailing_slash",
            id="wrong",
        ),
    ],
)
def test_bad_file_keeps_the_last_good_policy(
    watched: tuple[PodProcess, Path], spoil: Callable[[Path], object], said: str
) -> None:
    pod, path = watched
    before = pod.admin("/policy").text
    spoil(path)
    pod.await_(lambda: reloads(pod, "failed") == 1)
    assert allows(pod, UI)
    assert pod.admin("/readyz").status == 200
    lines = [line for line in pod.log() if line["message"] == "configuration not reloaded"]
    assert [line["level"] for line in lines] == ["error"]
    assert said in lines[0]["problem"]
    assert said in pod.admin("/").text
    shown = json.loads(pod.admin("/policy").body)
    assert said in shown.pop("problems")[0]
    assert shown == {k: v for k, v in json.loads(before).items() if k != "problems"}

    # A valid file is taken again, even if it is the same as before.
    path.with_name("good").write_text(yaml(UI))
    path.with_name("good").replace(path)
    pod.await_(lambda: reloads(pod, "ok") == 1)
    assert json.loads(pod.admin("/policy").body)["problems"] == []
    assert reloads(pod, "failed") == 1


def test_bad_file_is_told_of_once(watched: tuple[PodProcess, Path]) -> None:
    pod, path = watched
    pipe(path)
    pod.await_(lambda: reloads(pod, "failed") == 1)
    time.sleep(3 * reload.INTERVAL)
    assert pod.stderr().count("configuration not reloaded") == 1


def test_symlink_that_swings_under_load_fails_nobody_and_is_logged_when_it_rests(
    watched: tuple[PodProcess, Path],
) -> None:
    pod, path = watched
    other, pipe_, new = (path.with_name(name) for name in ("other.yaml", "pipe", "new"))
    other.write_text(yaml(OTHER))
    os.mkfifo(pipe_)
    targets = itertools.cycle([pipe_, path.parent, "/dev/zero", other, "/nowhere"])
    over = threading.Event()

    def swing() -> None:
        while not over.is_set():
            new.symlink_to(next(targets))
            new.replace(path)
            time.sleep(0.001)

    swinging = threading.Thread(target=swing)
    swinging.start()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        pod.signal(signal.SIGHUP)
        answers = [pod.preflight(origin=origin, names="").status for origin in (UI, OTHER)]
        assert set(answers) <= {204, 403}
        assert pod.admin("/readyz").status == 200
    over.set()
    swinging.join()
    new.symlink_to(pipe_)
    new.replace(path)
    before = reloads(pod, "failed")
    pod.await_(lambda: reloads(pod, "failed") > before or "a pipe" in last_problem(pod))
    assert "Traceback" not in pod.stderr()
    new.symlink_to(other)
    new.replace(path)
    pod.await_(lambda: allows(pod, OTHER) and not allows(pod, UI))


def last_problem(pod: PodProcess) -> str:
    return [line["problem"] for line in pod.log() if "problem" in line][-1]


def test_hangups_while_it_reloads_become_one_more_reload(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(many_rules(2000))
    with running(policy=("--config", str(path))) as pod:
        pod.signal(signal.SIGHUP)
        began = time.monotonic()
        pod.await_(lambda: reloads(pod, "ok") == 1)
        took = time.monotonic() - began
        pod.signal(signal.SIGHUP)
        for _ in range(10):
            # Spaced out: the kernel merges equal signals that are pending.
            time.sleep(took / 200)
            pod.signal(signal.SIGHUP)
        pod.await_(lambda: reloads(pod, "ok") == 3)
        time.sleep(2 * took + 0.5)
        assert reloads(pod, "ok") == 3


def many_rules(count: int) -> str:
    return json.dumps(
        {
            "rules": [
                {"hosts": [f"h{number}.example"], "corsPolicy": {"allowOrigins": [UI]}}
                for number in range(count)
            ]
        }
    )


@pytest.mark.parametrize("check", [("--check",), ()], ids=["check", "start"])
def test_process_substitution_is_told_why_it_is_not_read(check: tuple[str, ...]) -> None:
    """In bash, ``--config <(command)`` passes the path of a pipe."""
    command = [sys.executable, "-m", "meshcors.dummy", *check]
    script = f"exec \"$@\" --config <(echo '{policy(UI)}')"
    ended = subprocess.run(
        ["bash", "-c", script, "bash", *command], capture_output=True, text=True, timeout=30
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert "/dev/fd/" in line
    assert "a pipe, not a regular file: save its content as a file" in line


def test_emptied_file_is_no_policy_even_where_flags_would_make_one(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("allowMethods: [PUT]\n")
    with running(policy=("--config", str(path), "--allow-origin", UI)) as pod:
        path.write_text(" \n")
        pod.await_(lambda: reloads(pod, "failed") == 1)
        assert pod.preflight(method="PUT", names="").headers["access-control-allow-methods"]


class OverError(Exception):
    """Ends a watch."""


def test_content_is_taken_only_once_it_is_the_same_at_two_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The pod began with "old"; after each read the file is looked at once more.
    contents = iter(["1", "12", "123", "1234", "1234", "1234"])
    seen, taken = ["old"], []

    def content_of(path: Path) -> FileContent:
        if (content := next(contents, None)) is None:
            raise OverError
        seen.append(content)
        return FileContent(True, content)

    def read() -> Configuration:
        taken.append(seen[-1])
        return Configuration.of(POLICY)

    monkeypatch.setattr(reload, "content_of", content_of)
    monkeypatch.setattr(reload, "INTERVAL", 0)
    state = make_state()
    reloader = Reloader(
        state,
        ConfigurationFile(Path("policy.yaml"), FileContent(True, "old"), read),
        logs=False,
    )
    with pytest.raises(OverError):
        reloader.watch(lambda call, *given: call(*given))
    assert taken == ["1234"]
    assert state.row[RELOADS["ok"]] == 1


def test_fault_while_reading_is_no_end_of_watching_and_its_text_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def read() -> Never:
        raise RuntimeError("s3cret")

    state = make_state()
    reloader = Reloader(
        state, ConfigurationFile(Path("/nowhere"), FileContent(True, "old"), read), logs=True
    )
    reloader.reload(FileContent(True, "new"), lambda call, *given: call(*given))
    said = "/nowhere: unexpected RuntimeError while reading it"
    assert state.problems == (said,)
    (record,) = caplog.records
    assert (record.fields, record.exc_info) == ({"problem": said}, None)


def test_state_knows_when_its_last_reloads_were() -> None:
    state = make_state()
    assert (state.reloaded_at, state.failed_at) == (None, None)
    state.keep_previous(("wrong",))
    assert state.reloaded_at is None
    assert state.failed_at is not None
    state.replace(state.configuration)
    assert state.failed_at is None
    assert state.reloaded_at is not None
    assert state.reloaded_at.tzinfo is UTC


def make_state() -> PodState:
    counters = Counters(1)
    return PodState(Configuration.of(POLICY), counters, counters.row(0), Refusals(counters.row(0)))


def test_hangup_reloads_at_once_and_without_a_file_changes_nothing(
    watched: tuple[PodProcess, Path],
) -> None:
    pod, path = watched
    pod.signal(signal.SIGHUP)
    pod.await_(lambda: reloads(pod, "ok") == 1)
    path.write_text("nonsense: 1")
    pod.signal(signal.SIGHUP)
    pod.await_(lambda: reloads(pod, "failed") == 1)
    assert allows(pod, UI)
    with running() as without:
        without.signal(signal.SIGHUP)
        assert without.preflight().status == 204


def test_workers_all_take_the_change(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(policy(UI))
    with running("--workers", "2", policy=("--config", str(path))) as pod:
        Path(path).write_text(policy(OTHER))
        pod.await_(lambda: all(allows(pod, OTHER) for _ in range(20)))
        # The log line follows the change; a second one, from the other worker, would too.
        pod.await_(lambda: logged(pod, "configuration reloaded") > 0)
        time.sleep(0.3)
        assert logged(pod, "configuration reloaded") == 1


def logged(pod: PodProcess, message: str) -> int:
    return [line["message"] for line in pod.log()].count(message)
