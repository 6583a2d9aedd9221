"""A changed file becomes the policy or changes nothing, however it was changed."""

from __future__ import annotations

import bisect
import contextlib
import gc
import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Never

import pytest

from meshcors import HeaderKey, Policy, Rule, RuleSet
from meshcors._policy.errors import PolicyError
from meshcors.config import from_file
from meshcors.config._following import FileContent, FollowedFile
from meshcors.dummy import _reload as reload
from meshcors.dummy._agreement import Agreement
from meshcors.dummy._app import pod_handler
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._counters import FAILED_AT, READ_AT, RELOADS, SERVING, Counters
from meshcors.dummy._reload import ConfigurationFile, Reloader
from meshcors.dummy._state import PodState
from tests.dummy_process import UI, PodProcess, preflight_fields, run, running

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


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_large_policy_makes_no_long_line_in_the_log(tmp_path: Path, form: str) -> None:
    """Neither at the start nor at a reload: many names are counted, and a long one is cut."""
    long = "x" * 200_000

    def policy(names: int, key: str) -> str:
        origins = [f"https://{number}.ui.example" for number in range(names)]
        # The key is listed too, of which there is a warning.
        document = {"allowOrigins": origins, "allowHeaders": [key], "key": {"header": key}}
        rule = {"hosts": [f"h{number}.example" for number in range(names)], "pathPrefix": "/v1"}
        key_of_rule = document.pop("key")
        return json.dumps({"rules": [rule | {"corsPolicy": document, "key": key_of_rule}]})

    path = tmp_path / "policy.json"
    path.write_text(policy(4000, long))
    with running("--log-format", form, policy=("--config", str(path))) as pod:
        path.write_text(policy(4, f"{long}y"))
        pod.await_(lambda: "configuration reloaded" in pod.stderr())
        lines = pod.stderr().splitlines()
        assert "https://19.ui.example and 3,980 more; methods GET" in pod.stderr()
        assert "h19.example and 3,980 more/v1: allows" in pod.stderr()
        # The warnings of the start and of the reload, what is allowed, and the line to try.
        assert len([line for line in lines if "more characters" in line]) == 4
        assert max(map(len, lines)) < 5000


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
    pod.signal(signal.SIGHUP)
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
    pod.signal(signal.SIGHUP)
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
    contents = iter(["old", "1", "12", "123", "1234", "1234", "1234"])
    seen, taken = list[str](), list[str]()

    def content(file: FollowedFile) -> FileContent:
        if (text := next(contents, None)) is None:
            raise OverError
        seen.append(text)
        return FileContent(True, text)

    def read() -> Configuration:
        taken.append(seen[-1])
        return Configuration.of(POLICY)

    monkeypatch.setattr(FollowedFile, "content", content)
    monkeypatch.setattr(reload, "INTERVAL", 0)
    state = make_state()
    source = ConfigurationFile(FollowedFile(Path("policy.yaml")), read)
    reloader = Reloader(state, source, alone)
    with pytest.raises(OverError):
        reloader.watch(lambda call, *given: call(*given))
    assert taken == ["1234"]
    assert state.row[RELOADS["ok"]] == 1


@pytest.mark.parametrize(
    ("kinds", "used"),
    [
        pytest.param("aaaaaaaaa", "a7", id="one change"),
        pytest.param("abababababababab", "b7", id="it changes faster than the spread"),
        pytest.param("aabbccddeeffgghh", "b7 d15 f23 h31", id="it changes again at once"),
        pytest.param("aa--------bbbbbbbb", "b27", id="it was as before meanwhile"),
    ],
)
def test_spread_begins_at_the_first_change(
    kinds: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spread of 6 looks; each letter is what the file holds for two looks."""
    clock = 0.0
    taken = list[str]()

    def holds() -> FileContent:
        if int(clock / 2) >= len(kinds):
            raise OverError
        return FileContent(True, kinds[int(clock / 2)])

    def pause(file: FollowedFile, seconds: float) -> bool:
        nonlocal clock
        clock += seconds
        return False

    def read() -> Configuration:
        taken.append(f"{holds().text}{clock:g}")
        return Configuration.of(POLICY)

    monkeypatch.setattr(FollowedFile, "content", lambda file: holds())
    monkeypatch.setattr(FollowedFile, "pause", pause)
    monkeypatch.setattr(reload, "INTERVAL", 1)
    monkeypatch.setattr(reload, "monotonic", lambda: clock)
    monkeypatch.setattr(reload, "uniform", lambda low, high: high)
    file = FollowedFile(Path("policy.yaml"))
    file.taken = FileContent(True, "-")
    reloader = Reloader(make_state(), ConfigurationFile(file, read, spread=6), alone)
    with pytest.raises(OverError):
        reloader.watch(lambda call, *given: call(*given))
    assert taken == used.split()


def test_fault_while_reading_is_no_end_of_watching_and_its_text_is_not_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> Never:
        raise RuntimeError("s3cret")

    new = FileContent(True, "new")
    monkeypatch.setattr(FollowedFile, "content", lambda file: new)

    state = make_state()
    source = ConfigurationFile(FollowedFile(Path("/nowhere")), read)
    reloader = Reloader(state, source, alone)
    reloader.reload(new, lambda call, *given: call(*given))
    said = "/nowhere: unexpected RuntimeError while reading it"
    assert state.problems == (said,)
    (record,) = caplog.records
    assert (record.fields, record.exc_info) == ({"problem": said}, None)
    # A problem of another content than the one that was looked at is not held against that one.
    reloader.reload(FileContent(True, "newer"), lambda call, *given: call(*given))
    assert len(caplog.records) == 1


def test_state_knows_when_its_last_reloads_were() -> None:
    state = make_state()
    times = state.counters.total
    state.keep_previous(("wrong",))
    assert times(READ_AT) == 0
    assert 0 <= time.time() - times(FAILED_AT) < 60
    state.replace(state.configuration)
    assert times(FAILED_AT) == 0
    assert 0 <= time.time() - times(READ_AT) < 60


SUCCESSFUL = "meshcors_config_last_reload_successful"
SUCCESS_TIME = "meshcors_config_last_reload_success_timestamp_seconds"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_gauge_stays_0_as_long_as_the_file_is_bad(tmp_path: Path, workers: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(policy(UI))
    with running("--workers", workers, policy=("--config", str(path))) as pod:
        assert pod.metric(SUCCESSFUL) == 1
        started = pod.metric(SUCCESS_TIME)
        assert 0 <= time.time() - started < 60
        change(pod, path, "{")
        pod.await_(lambda: pod.metric(SUCCESSFUL) == 0)
        if workers == "2":
            (*_, watcher) = children(pod)
            os.kill(watcher, signal.SIGKILL)
            pod.await_(lambda: logged(pod, "configuration not reloaded") == 2)
        time.sleep(1)
        assert (pod.metric(SUCCESSFUL), pod.metric(SUCCESS_TIME)) == (0, started)
        change(pod, path, policy(OTHER))
        pod.await_(lambda: pod.metric(SUCCESSFUL) == 1)
        assert pod.metric(SUCCESS_TIME) > started


@pytest.mark.parametrize("workers", ["1", "2"])
def test_pod_starts_on_the_last_good_configuration_if_the_file_is_bad(
    tmp_path: Path, workers: str
) -> None:
    path, kept = tmp_path / "policy.json", tmp_path / "kept.json"
    flags = ("--last-good", str(kept), "--workers", workers)
    path.write_text(policy(UI))
    with running(*flags, policy=("--config", str(path))) as pod:
        assert UI in kept.read_text()
        change(pod, path, policy(OTHER))
        pod.await_(lambda: OTHER in kept.read_text())
        change(pod, path, "{")
        pod.await_(lambda: pod.metric(SUCCESSFUL) == 0)
    os.utime(kept, (1e9, 1e9))
    before = kept.read_text()
    with running(*flags, policy=("--config", str(path))) as pod:
        pod.await_(lambda: pod.metric(SUCCESSFUL) == 0)
        assert allows(pod, OTHER)
        assert not allows(pod, UI)
        assert "line 1 column 2" in last_problem(pod)
        assert (pod.metric(SUCCESS_TIME), kept.read_text()) == (1e9, before)
        change(pod, path, policy(UI))
        pod.await_(lambda: allows(pod, UI))
        pod.await_(lambda: UI in kept.read_text())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["kept.json", "policy.json"]


def test_pod_without_a_good_configuration_does_not_start(tmp_path: Path) -> None:
    path, kept = tmp_path / "policy.json", tmp_path / "kept.json"
    path.write_text("{")
    flags = ("--config", str(path), "--last-good", str(kept))
    for content in (None, "[]"):
        if content is not None:
            kept.write_text(content)
        done = run(*flags)
        assert done.returncode == 2
        assert f"{path}: line 1 column 2" in done.stderr
    kept.write_text(policy(UI))
    # What is checked is the file.
    assert run(*flags, "--check").returncode == 2
    assert kept.read_text() == policy(UI)


def test_last_good_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(policy(UI))
    flags = ("--last-good", str(tmp_path / "missing" / "kept.json"))
    with running(*flags, policy=("--config", str(path))) as pod:
        (line,) = [line for line in pod.log() if line["level"] == "warning"]
        assert line["message"] == "--last-good: not written: No such file or directory"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_lies_where_the_last_good_one_is_written_is_not_opened(
    tmp_path: Path, kind: str
) -> None:
    path, kept, victim = (tmp_path / name for name in ("policy.json", "kept.json", "victim"))
    path.write_text(policy(UI))
    victim.write_text("theirs")
    new = tmp_path / "kept.json.new"
    if kind == "link":
        new.symlink_to(victim)
    else:
        os.mkfifo(new)
    with running("--last-good", str(kept), policy=("--config", str(path))):
        assert UI in kept.read_text()
    assert victim.read_text() == "theirs"
    assert not kept.is_symlink()


@pytest.mark.parametrize(
    ("config", "kept", "line"),
    [
        ("policy.json", "policy.json", "--config is read there: name another file"),
        ("kept.json.new", "kept.json", "--config is read there: name another file"),
        ("policy.json", "kept.TOML", "JSON is written there: name a .json or .yaml file"),
    ],
)
def test_last_good_is_a_file_of_its_own(tmp_path: Path, config: str, kept: str, line: str) -> None:
    path = tmp_path / config
    path.write_text(policy(UI))
    # Through another spelling of the same path.
    flags = ("--last-good", str(tmp_path / ".." / tmp_path.name / kept))
    done = run("--config", str(path), *flags, "--port", "0")
    assert (done.returncode, done.stderr) == (2, f"meshcors.dummy: --last-good: {line}\n")
    assert [each.name for each in tmp_path.iterdir()] == [config]
    assert path.read_text() == policy(UI)


@pytest.mark.parametrize(("origins", "fits"), [(20_000, True), (40_000, False)])
def test_last_good_is_written_if_it_can_be_read_again(
    tmp_path: Path, origins: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(reload, "log", lambda _, message: said.append(message))
    made = Policy(allow_origins=[f"https://n{number}.example" for number in range(origins)])
    configuration = Configuration.of(made)
    assert len(configuration.json) > 1 << 20
    kept = tmp_path / "kept.json"
    file = FollowedFile(tmp_path / "policy.json")
    ConfigurationFile(file, lambda: configuration, last_good=kept).keep(configuration)
    if fits:
        assert (from_file(kept), said) == (made, [])
    else:
        assert said == ["--last-good: not written: as JSON, it has more than 1 MiB"]
        assert not kept.exists()


def test_change_is_used_after_a_part_of_the_spread_and_a_signal_ends_the_wait(
    tmp_path: Path,
) -> None:
    path = tmp_path / "policy.json"
    path.write_text(policy(UI))
    # Of a day, a random part is longer than this test.
    with running("--reload-spread", "86400", policy=("--config", str(path))) as pod:
        path.with_name("new").write_text(policy(OTHER))
        path.with_name("new").replace(path)
        time.sleep(2.5)
        assert allows(pod, UI)
        pod.signal(signal.SIGHUP)
        pod.await_(lambda: allows(pod, OTHER))
        assert problems(pod) == []
    with running("--reload-spread", "0.5", policy=("--config", str(path))) as pod:
        path.with_name("new").write_text(policy(UI))
        path.with_name("new").replace(path)
        pod.await_(lambda: allows(pod, UI))


def test_configuration_that_is_replaced_is_freed_at_once() -> None:
    """Without waiting for the garbage collector, which the pod tells to leave it alone."""
    both = Policy(allow_origins=[UI], key=HeaderKey("k"))
    for source in (both, RuleSet([Rule(both, hosts=["a.example"]), Rule(both)])):
        configuration = Configuration.of(source)
        row = Counters(1).row(0)
        handler = pod_handler(configuration.engine, row, lambda *answered: None)
        fields = {b"origin": UI.encode(), b"host": b"a.example"}
        for method in ("OPTIONS", "GET"):
            handler.handle(method, "/", {**fields, b"access-control-request-method": b"PUT"}, b"")
        engine = weakref.ref(configuration.engine)
        gc.disable()
        try:
            del configuration, handler
            assert engine() is None
        finally:
            gc.enable()


def alone(configuration: Configuration) -> Iterable[str]:
    return ()


def make_state() -> PodState:
    return PodState(Configuration.of(POLICY), Counters(1), 0)


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


def numbered(number: int, others: int = 0) -> str:
    """A policy that its answers name, after `others`, with which it takes a while to read."""
    rules = json.loads(many_rules(others))["rules"]
    rules.append({"corsPolicy": {"allowOrigins": [UI], "maxAge": f"{number}s"}})
    return json.dumps({"rules": rules})


class Client:
    """Preflights, one after the other, on a connection that stays open, and what came of them."""

    def __init__(self, pod: PodProcess) -> None:
        self.connection = http.client.HTTPConnection(pod.host, pod.port, timeout=20)
        # When each was sent, when its answer had come, and which policy that was of.
        self.answers: list[tuple[float, float, int]] = []
        self.ask()
        self.worker = owner(pod, self.connection.sock.getsockname()[1])

    def ask(self) -> int:
        sent = time.monotonic()
        self.connection.request("OPTIONS", "/", headers=preflight_fields(names=""))
        response = self.connection.getresponse()
        response.read()
        number = int(response.headers["access-control-max-age"])
        self.answers.append((sent, time.monotonic(), number))
        return number


def owner(pod: PodProcess, client_port: int) -> int:
    """Return the worker at the other end of a connection."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    local, remote = (f":{port:04X}" for port in (pod.port, client_port))
    (inode,) = [each[9] for each in lines if each[1][8:] == local and each[2][8:] == remote]
    (found,) = [pid for pid in children(pod) if f"socket:[{inode}]" in descriptors(pid)]
    return found


def children(pod: PodProcess) -> list[int]:
    pid = pod.process.pid
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descriptors(pid: int) -> Iterator[str]:
    for each in Path(f"/proc/{pid}/fd").iterdir():
        # Some are closed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            yield str(each.readlink())


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[PodProcess, Path]]:
    """A pod of two workers, and the file that it watches."""
    path = tmp_path / "policy.json"
    path.write_text(numbered(1))
    with running("--workers", "2", policy=("--config", str(path))) as pod:
        yield pod, path


def change(pod: PodProcess, path: Path, text: str) -> None:
    path.with_name("new").write_text(text)
    path.with_name("new").replace(path)
    pod.signal(signal.SIGHUP)


def test_workers_switch_together_under_load(pair: tuple[PodProcess, Path]) -> None:
    pod, path = pair
    by_worker: dict[int, list[Client]] = {}
    while len(by_worker) < 2 or min(map(len, by_worker.values())) < 2:
        client = Client(pod)
        by_worker.setdefault(client.worker, []).append(client)
    clients = [client for ours in by_worker.values() for client in ours[:2]]
    over = threading.Event()

    def load(client: Client) -> None:
        while not over.is_set():
            client.ask()

    threads = [threading.Thread(target=load, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for number in range(2, 7):
        change(pod, path, numbered(number, others=300))
        pod.await_(lambda n=number: all(client.answers[-1][2] == n for client in clients))
    over.set()
    for thread in threads:
        thread.join()
    for ours in by_worker.values():
        assert {number for client in ours for _, _, number in client.answers} >= set(range(1, 7))
        for client in ours:
            client.connection.close()

    # Whoever has seen an answer of a new policy gets no answer of an older one any more.
    seen = [answer for client in clients for answer in client.answers]
    received = sorted((received, number) for _, received, number in seen)
    newest = list(itertools.accumulate((number for _, number in received), max))
    for sent, _, number in seen:
        before = bisect.bisect_left(received, (sent, 0))
        assert before == 0 or number >= newest[before - 1]
    assert reloads(pod, "ok") == 5
    assert logged(pod, "configuration reloaded") == 5


def test_what_is_committed_stays_whatever_is_proposed_and_given_up() -> None:
    """As by a process that dies while it waits, and by the one in its place."""
    first, *others = (Configuration.of(Policy(allow_origins=[UI], max_age=n)) for n in range(6))
    counters = Counters(1)
    row = counters.row(0)
    agreement = Agreement(first, counters, 1)
    committed = first
    for other in others:
        row[SERVING] = 1
        for _ in range(2):
            assert (
                next(iter(agreement.agree(other)))
                == "worker 0 is not ready for it: kill it if it hangs"
            )
            assert in_new_process(agreement, first) == committed.json
        row[SERVING] = 0
        (_,) = agreement.agree(other)
        committed = other
        assert agreement.current() is committed
        assert in_new_process(agreement, first) == committed.json


def in_new_process(agreement: Agreement, first: Configuration) -> bytes:
    """What a process answers by that is forked from one that knows the `first` only."""
    forked = Agreement.__new__(Agreement)
    vars(forked).update(vars(agreement), _prepared={0: first})
    label = agreement.committed[0]
    forked._prepare(label)
    assert label in forked._prepared
    return forked.current().json


def test_more_rules_than_processes_can_share_are_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("meshcors.dummy._agreement.MAX_BYTES", 10)
    configuration = Configuration.of(POLICY)
    agreement = Agreement(configuration, Counters(1), 1)
    with pytest.raises(PolicyError, match="--workers: leave it out"):
        list(agreement.agree(configuration))


def answers(pod: PodProcess) -> set[int]:
    """The policies that answer on 20 new connections."""
    found = [pod.preflight(names="").headers for _ in range(20)]
    return {int(headers["access-control-max-age"]) for headers in found}


def test_replaced_processes_know_the_policy_though_the_file_is_bad_meanwhile(
    pair: tuple[PodProcess, Path],
) -> None:
    pod, path = pair
    change(pod, path, numbered(2))
    pod.await_(lambda: answers(pod) == {2})
    shown = json.loads(pod.admin("/policy").body)["hash"]
    change(pod, path, "{")
    pod.await_(lambda: reloads(pod, "failed") == 1)
    assert logged(pod, "configuration not reloaded") == 1
    before = children(pod)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    pod.await_(lambda: logged(pod, "worker is serving") == 4)
    assert not {*before} & {*children(pod)}
    assert answers(pod) == {2}
    pod.await_(lambda: reloads(pod, "failed") == 2)
    page = json.loads(pod.admin("/policy").body)
    assert (page["hash"], len(page["problems"])) == (shown, 1)


def test_replaced_watcher_sees_that_the_file_is_again_as_on_start(
    pair: tuple[PodProcess, Path],
) -> None:
    pod, path = pair
    change(pod, path, numbered(2))
    pod.await_(lambda: answers(pod) == {2})
    os.kill(children(pod)[2], signal.SIGKILL)
    path.write_text(numbered(1))
    pod.await_(lambda: answers(pod) == {1})


# Starts a pod that soon says what it waits for, and whose disk hangs while there is a file "hang".
IMPATIENT = """
import sys, time
from pathlib import Path
from meshcors.config._following import FollowedFile
from meshcors.dummy import _reload
hang = Path(sys.argv[sys.argv.index("--config") + 1]).with_name("hang")
def content(file, read=FollowedFile.content):
    while hang.exists():
        time.sleep(0.01)
    return read(file)
FollowedFile.content = content
_reload.PATIENCE = 1
from meshcors.dummy._command import main
main(prog_name="python -m meshcors.dummy")
"""


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[tuple[PodProcess, Path]]:
    path = tmp_path / "policy.json"
    path.write_text(numbered(1))
    policy = ("--config", str(path))
    with running("--workers", "2", policy=policy, start=("-c", IMPATIENT)) as pod:
        yield pod, path


@pytest.mark.parametrize(
    ("watcher_dies", "then"),
    [(False, signal.SIGCONT), (False, signal.SIGKILL), (True, signal.SIGCONT)],
)
def test_worker_that_hangs_holds_all_back_until_it_goes_on_or_dies(
    impatient: tuple[PodProcess, Path], watcher_dies: bool, then: signal.Signals
) -> None:
    pod, path = impatient
    clients = [Client(pod)]
    while clients[-1].worker == clients[0].worker:
        clients.append(Client(pod))
    hanging, other = clients[0], clients[-1]
    os.kill(hanging.worker, signal.SIGSTOP)
    change(pod, path, numbered(2))
    late = "not reloaded within 1 s: worker "
    pod.await_(lambda: late in pod.stderr())
    assert other.ask() == 1
    assert last_problem(pod) in problems(pod)[0]
    (number,) = [each["worker"] for each in pod.log() if each.get("pid") == hanging.worker]
    assert f"worker {number} " in last_problem(pod)
    if watcher_dies:
        (watcher,) = {*children(pod)} - {hanging.worker, other.worker}
        os.kill(watcher, signal.SIGKILL)
        pod.await_(lambda: pod.stderr().count(late) > 1)
        assert other.ask() == 1
    os.kill(hanging.worker, then)
    pod.await_(lambda: other.ask() == 2)
    if then == signal.SIGCONT:
        assert hanging.ask() == 2
    pod.await_(lambda: answers(pod) == {2})
    pod.await_(lambda: problems(pod) == [])
    for client in clients:
        client.connection.close()


def test_what_is_taken_back_while_a_worker_hangs_is_never_answered_by(
    impatient: tuple[PodProcess, Path],
) -> None:
    pod, path = impatient
    hanging, *_ = clients = [Client(pod)]
    while clients[-1].worker == hanging.worker:
        clients.append(Client(pod))
    other = clients[-1]
    os.kill(hanging.worker, signal.SIGSTOP)
    change(pod, path, numbered(2))
    pod.await_(lambda: "not reloaded within 1 s: worker " in pod.stderr())
    path.write_text(numbered(1))
    os.kill(hanging.worker, signal.SIGKILL)
    pod.await_(lambda: problems(pod) == [])
    other.ask()
    assert {number for _, _, number in other.answers} == {1}
    assert answers(pod) == {1}
    for client in clients:
        client.connection.close()


def test_pod_with_a_worker_that_hangs_ends_all_the_same(pair: tuple[PodProcess, Path]) -> None:
    pod, _ = pair
    hanging = Client(pod)
    os.kill(hanging.worker, signal.SIGSTOP)
    pod.signal(signal.SIGTERM)
    assert pod.wait() == 0
    assert not Path(f"/proc/{hanging.worker}").exists()
    hanging.connection.close()


def test_file_system_that_hangs_is_told_of_and_holds_nobody_up(
    impatient: tuple[PodProcess, Path],
) -> None:
    pod, path = impatient
    hang = path.with_name("hang")
    hang.touch()
    pod.await_(lambda: "not reloaded within 1 s: it is still being read" in pod.stderr())
    assert answers(pod) == {1}
    assert len(problems(pod)) == 1
    hang.unlink()
    pod.await_(lambda: problems(pod) == [])
    hang.touch()
    pod.signal(signal.SIGHUP)
    pod.signal(signal.SIGTERM)
    assert pod.wait() == 0


def problems(pod: PodProcess) -> list[str]:
    found: list[str] = json.loads(pod.admin("/policy").body)["problems"]
    return found


def test_pod_that_is_told_to_end_while_it_reloads_ends_with_0(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(many_rules(1000))
    with running("--workers", "2", policy=("--config", str(path))) as pod:
        for _ in range(3):
            pod.signal(signal.SIGHUP)
            time.sleep(0.05)
        pod.signal(signal.SIGTERM)
        assert pod.wait() == 0
        assert "Traceback" not in pod.stderr()


def logged(pod: PodProcess, message: str) -> int:
    return [line["message"] for line in pod.log()].count(message)
