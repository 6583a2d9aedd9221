from __future__ import annotations

import contextlib
import json
import re
import shlex
import socket
import subprocess
import time
from pathlib import Path

import pytest

from meshcors.config import rules_from_file
from tests.dummy_process import (
    INSTALLED,
    KEY,
    PLAIN,
    POLICY_FLAGS,
    UI,
    preflight_fields,
    request,
    run,
    running,
)

VIRTUAL_SERVICE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: models}
spec:
  hosts: [models.example]
  gateways: [public]
  http:
  - match: [{headers: {model-api-key: {exact: xyz}}}]
    corsPolicy:
      allowOrigins: [{exact: https://ui.example}]
      allowHeaders: [model-api-key]
      maxAge: 10m
    route: [{destination: {host: one}}]
"""


@pytest.mark.parametrize(
    ("flags", "env", "lines"),
    [
        pytest.param(
            (),
            {},
            ["--allow-origin or MESHCORS_ALLOW_ORIGINS: name the pages' origins"],
            id="no origins",
        ),
        pytest.param(
            ("--allow-origin", "https://ui.example/", "--max-age", "soon"),
            {},
            ["--max-age: write whole seconds", "--allow-origin: https://ui.example/: "],
            id="two mistakes, two lines",
        ),
        pytest.param(
            POLICY_FLAGS,
            {"MESHCORS_ALLOW_ORIGIN": "x"},
            ["MESHCORS_ALLOW_ORIGIN: unknown; did you mean MESHCORS_ALLOW_ORIGINS?"],
            id="unknown variable",
        ),
        pytest.param(
            ("--config", "/nowhere/policy.yaml"),
            {},
            ["--config: No such file or directory"],
            id="no such file",
        ),
        pytest.param(
            (*POLICY_FLAGS, "--host", "no such host"),
            {},
            ["--host: no such host: "],
            id="no such host",
        ),
        pytest.param(
            (*POLICY_FLAGS, "--host", "192.0.2.1"),
            {},
            ["--host: 192.0.2.1: Cannot assign requested address"],
            id="another machine's address",
        ),
        pytest.param(
            (*POLICY_FLAGS, "--uds", "/nowhere/pod.sock", "--admin-port", "0"),
            {},
            ["--uds: No such file or directory"],
            id="no place for the Unix socket",
        ),
    ],
)
def test_mistake_is_told_in_a_line_each_and_ends_it_with_2(
    flags: tuple[str, ...], env: dict[str, str], lines: list[str]
) -> None:
    ended = run(*flags, env=env)
    assert ended.returncode == 2
    said = ended.stderr.splitlines()
    assert len(said) == len(lines)
    for line, expected in zip(sorted(said), sorted(lines), strict=True):
        assert line.startswith(f"meshcors.dummy: {expected}")
    assert ended.stdout == ""


def test_of_many_problems_the_first_are_told(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    wrong = [f"https://ui{n}.example/" for n in range(4000)]
    path.write_text(json.dumps({"allowOrigins": wrong}))
    ended = run("--config", str(path), "--check")
    said = ended.stderr.splitlines()
    assert (ended.returncode, len(said)) == (2, 51)
    assert said[-1] == "meshcors.dummy: and 3,950 more problems"


def test_of_many_warnings_and_rules_the_first_are_told(tmp_path: Path) -> None:
    rules = [
        {
            "hosts": [f"h{number}.example"],
            "corsPolicy": {"allowOrigins": [UI], "allowMethods": ["GET"]},
        }
        for number in range(200)
    ]
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"rules": rules}))
    with running(policy=("--config", str(path))) as pod:
        lines = [line["message"] for line in pod.log()]
    left_out = [line for line in lines if line.startswith("and ")]
    assert left_out == ["and 150 more warnings", "and 150 more rules"]
    assert len(lines) < 110


@pytest.mark.parametrize("flag", ["--port", "--admin-port"])
def test_port_that_was_asked_for_and_is_taken_ends_it_with_2(flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        flags = {"--port": "0", "--admin-port": "0", flag: port}
        words = [word for pair in flags.items() for word in pair]
        ended = run(*POLICY_FLAGS, "--host", "127.0.0.1", *words)
    assert ended.returncode == 2
    last = ended.stderr.splitlines()[-1]
    assert last == f"meshcors.dummy: {flag}: port {port} is taken: free it, or choose another"
    assert ended.stdout == ""


# Runs a pod that may open 64 files.
FEW_FILES = ("bash", "-c", 'ulimit -n 64; exec "$@"', "bash")


@pytest.mark.parametrize("check", [(), ("--check",)], ids=["start", "check"])
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--max-connections", "100000000", "--port", "0", "--admin-port", "0"),
            "--max-connections: the limit on open files leaves room for 26 connections: raise it,"
            " or ask for fewer",
        ),
        (
            ("--port", "8080", "--admin-port", "8080"),
            "--admin-port: 8080 is already used by --port: choose another",
        ),
        (
            ("--port", "8080", "--admin-port", "8080", "--admin-host", "127.0.0.1"),
            "--admin-port: 8080 is already used by --port: choose another",
        ),
    ],
    ids=["no room", "one port for both", "one port, also on every interface"],
)
def test_what_cannot_start_is_refused_by_check_too_and_prints_nothing(
    flags: tuple[str, ...], said: str, check: tuple[str, ...]
) -> None:
    ended = run(*POLICY_FLAGS, *flags, *check, before=FEW_FILES)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"meshcors.dummy: {said}\n"


@pytest.mark.parametrize(
    "places",
    [
        ("--port", "0", "--admin-port", "0"),
        ("--port", "8080", "--admin-port", "8080", "--uds", "pod.sock"),
        ("--host", "::1", "--port", "8080", "--admin-host", "127.0.0.1", "--admin-port", "8080"),
    ],
    ids=["two free ones", "Unix socket", "two hosts"],
)
def test_ports_that_only_look_alike_are_fine(places: tuple[str, ...]) -> None:
    ended = run(*POLICY_FLAGS, "--check", *places)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("asked", [None, "26"])
def test_fewer_connections_than_by_default_are_warned_of_unless_asked_for(
    asked: str | None,
) -> None:
    flags = ("--max-connections", asked) if asked else ()
    with running(*flags, before=FEW_FILES) as pod:
        warned = [line for line in pod.log() if line["level"] == "warning"]
    assert [line.get("max_connections") for line in warned] == ([] if asked else [26])
    assert all("(ulimit -n)" in line["message"] for line in warned)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--alow-origin", UI), "--alow-origin: unknown; did you mean --allow-origin?"),
        (("--allow-origins", UI), "--allow-origins: unknown; did you mean --allow-origin?"),
        *(
            (
                (flag,),
                f"{flag}: the pod needs no values, only the name of their header: --key-header",
            )
            for flag in ("--key-values", "--key-values-file", "--key-value")
        ),
        (("--key-values=s3cret",), "--key-values: the pod needs no values, only the name of"),
        (("--port", "70000"), "--port: write a whole number from 0 to 65535"),
        (("--workers", "x"), "--workers: write a whole number from 1 to 256"),
        (("--max-connections", "0"), "--max-connections: write a whole number, at least 1"),
        (("--drain", "s3cret"), "--drain: write a number from 0 to 86400"),
        (("--keep-alive", "nan"), "--keep-alive: write a number from 0 to 86400"),
        (("--log-format", "s3cret"), "--log-format: write auto, json or text"),
        (("--drain",), "--drain: its value is missing; write --drain SECONDS"),
        (("--check=1",), "--check: it takes no value: leave that out"),
        (("--max-age", "1", "--max-age", "s3cret"), "--max-age: given twice: leave one out"),
        (("--allow-credentials", "--no-allow-credentials"), "--allow-credentials: given twice"),
        (("stray",), "expected only flags: remove the extra argument"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_flag_that_is_wrong_is_told_in_one_line(flags: tuple[str, ...], line: str) -> None:
    ended = run(*flags)
    assert (ended.returncode, ended.stdout) == (2, "")
    (said,) = ended.stderr.splitlines()
    assert said.startswith(f"meshcors.dummy: {line}")
    assert "s3cret" not in said


@pytest.mark.parametrize("start", [INSTALLED, PLAIN], ids=["extra", "plain install"])
def test_start_says_what_it_allows_and_a_line_to_try(start: tuple[str, ...]) -> None:
    with running(start=start) as pod:
        messages = [line["message"] for line in pod.log()]
        assert f"listening on http://127.0.0.1:{pod.port}" in messages
        assert f"allows origins {UI}; methods GET, HEAD, POST; key header {KEY}" in messages
        (line,) = [message for message in messages if message.startswith("try: ")]
        tried = subprocess.run(
            shlex.split(line.removeprefix("try: ")), capture_output=True, text=True, check=True
        )
        assert tried.stdout.startswith("HTTP/1.1 204 ")
        assert f"access-control-allow-origin: {UI}" in tried.stdout


@pytest.mark.parametrize("start", [INSTALLED, PLAIN], ids=["extra", "plain install"])
def test_answers_are_the_same_with_and_without_the_extra(start: tuple[str, ...]) -> None:
    with running(start=start) as pod:
        allowed = pod.preflight()
        assert allowed.status == 204
        assert allowed.body == b""
        assert allowed.headers["access-control-allow-origin"] == UI
        assert KEY in allowed.headers["access-control-allow-headers"].split(", ")
        assert pod.preflight(origin="https://evil.example").status == 403
        missing = pod.ask("GET", "/v1", {"Origin": UI})
        assert (missing.status, json.loads(missing.body)["reason"]) == (401, "key_missing")
        assert missing.headers["access-control-allow-origin"] == UI
        unrouted = pod.ask("POST", "/v1", {"Origin": UI, KEY: "abc"}, "{}")
        assert (unrouted.status, json.loads(unrouted.body)["reason"]) == (404, "no_route")
        head = pod.ask("HEAD", "/v1", {KEY: "abc"})
        assert (head.status, head.body) == (404, b"")


def test_it_listens_on_every_interface_in_both_families_unless_told_a_host() -> None:
    with running(host=None) as pod:
        for host in ("127.0.0.1", "::1"):
            answer = request((host, pod.port), "OPTIONS", "/", preflight_fields())
            assert answer.status == 204


@pytest.mark.parametrize(
    ("host", "there", "elsewhere"),
    [("::1", "::1", "127.0.0.1"), ("localhost", "127.0.0.1", "127.0.0.2")],
)
def test_it_listens_on_the_host_it_is_told_and_nowhere_else(
    host: str, there: str, elsewhere: str
) -> None:
    with running(host=host) as pod:
        assert request((there, pod.port), "OPTIONS", "/", preflight_fields()).status == 204
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((elsewhere, pod.port))


def test_unix_socket_is_listened_on_replaced_when_stale_and_removed_at_the_end(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "pod.sock")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(path)
    with running("--uds", path) as pod:
        assert request(path, "OPTIONS", "/", preflight_fields()).status == 204
        second = run(*POLICY_FLAGS, "--uds", path, "--admin-port", "0")
        assert second.returncode == 2
        assert f"--uds: {path}: Address already in use" in second.stderr
        (line,) = re.findall(r"curl -i [^\"]*", pod.stderr())
        tried = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True)
        assert tried.stdout.startswith("HTTP/1.1 204 ")
        pod.signal(15)
        assert pod.wait() == 0
    assert not Path(path).exists()


def test_default_admin_port_that_is_taken_is_done_without() -> None:
    with contextlib.ExitStack() as held:
        # A pod of another test may have it, and end soon.
        for _ in range(100):
            try:
                held.enter_context(socket.create_server(("127.0.0.1", 9090)))
                break
            except OSError:
                time.sleep(0.1)
        with running(admin=False) as pod:
            assert pod.preflight().status == 204
            (warning,) = [line for line in pod.log() if line["level"] == "warning"]
    assert warning["message"].startswith("no admin page, probes or metrics: --admin-port: port")


def test_flag_beats_variable_beats_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(
        json.dumps({"allowOrigins": ["https://file.example"], "maxAge": 1, "allowMethods": ["PUT"]})
    )
    ended = run(
        *("--check", "--config", str(path), "--allow-origin", "https://flag.example"),
        env={"MESHCORS_ALLOW_ORIGINS": "https://variable.example", "MESHCORS_MAX_AGE": "2"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["corsPolicy"] == {
        "allowOrigins": [{"exact": "https://flag.example"}],
        "allowMethods": ["PUT"],
        "maxAge": 2,
    }


NOT_USED = (
    "ignored: the pod checks that a key is present, not its value; leave it out unless services"
    " read it too"
)


@pytest.mark.parametrize(
    "name",
    ["MESHCORS_KEY_VALUES_FILE", "policy.json: key.valuesFile", "rules.json: key.valuesFile"],
)
@pytest.mark.parametrize("by_flag", [True, False], ids=["--config", "MESHCORS_CONFIG"])
def test_key_values_that_are_not_used_are_named_by_their_source(
    tmp_path: Path, name: str, by_flag: bool
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("s3cret\n")
    key = {"header": KEY} | ({} if name.startswith("MESHCORS") else {"valuesFile": str(keys)})
    policy = {"corsPolicy": {"allowOrigins": [UI]}, "key": key}
    path = tmp_path / ("rules.json" if name.startswith("rules") else "policy.json")
    path.write_text(json.dumps({"rules": [policy]} if name.startswith("rules") else policy))
    env = {"MESHCORS_KEY_VALUES_FILE": str(keys)} if name.startswith("MESHCORS") else {}
    env |= {} if by_flag else {"MESHCORS_CONFIG": str(path)}
    printed = run("--check", *(("--config", str(path)) if by_flag else ()), env=env)
    said = f"{tmp_path}/{name}" if name.endswith("valuesFile") else name
    assert printed.stderr == f"meshcors.dummy: warning: {said}: {NOT_USED}\n"


def test_check_prints_what_a_file_could_say_without_secrets(tmp_path: Path) -> None:
    flags = ("--check", *POLICY_FLAGS, "--allow-header", "x-one", "--max-age", "10m")
    env = {"MESHCORS_KEY_VALUES": "s3cret,0ther"}
    printed = run(*flags, env=env)
    assert printed.returncode == 0
    assert "s3cret" not in printed.stdout + printed.stderr
    assert printed.stderr == f"meshcors.dummy: warning: MESHCORS_KEY_VALUES: {NOT_USED}\n"
    path = tmp_path / "policy.json"
    path.write_text(printed.stdout)
    again = run("--check", "--config", str(path))
    assert again.stdout == printed.stdout


@pytest.mark.parametrize(
    ("written", "variable", "said"),
    [("app", None, "app"), ("refuse", None, "refuse"), (None, "refuse", "refuse")],
)
def test_check_says_who_answers_what_no_rule_covers(
    tmp_path: Path, written: str | None, variable: str | None, said: str
) -> None:
    path = tmp_path / "rules.json"
    uncovered = {"uncovered": written} if written else {}
    rules = [{"pathPrefix": "/v1", "corsPolicy": {"allowOrigins": [UI]}}]
    path.write_text(json.dumps({"rules": rules, **uncovered}))
    env = {"MESHCORS_UNCOVERED": variable} if variable else {}
    printed = run("--check", "--config", str(path), env=env)
    assert json.loads(printed.stdout)["uncovered"] == said
    path.write_text(printed.stdout)
    assert rules_from_file(path).uncovered == said


def test_check_of_a_wrong_policy_ends_with_2() -> None:
    ended = run("--check", "--allow-origin", "ui.example")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "origin_scheme_missing" in ended.stderr


def test_virtual_service_is_taken_for_its_cors_parts_and_what_is_ignored_is_said(
    tmp_path: Path,
) -> None:
    path = tmp_path / "vs.yaml"
    path.write_text(VIRTUAL_SERVICE)
    ended = run("--check", "--config", str(path))
    assert ended.returncode == 0
    (rule,) = json.loads(ended.stdout)["rules"]
    assert rule["hosts"] == ["models.example"]
    assert rule["corsPolicy"]["allowOrigins"] == [{"exact": UI}]
    assert "ignored: " in ended.stderr
    assert "gateways" in ended.stderr


def test_warnings_are_log_lines(tmp_path: Path) -> None:
    with running("--allow-method", "OPTIONS") as pod:
        (warning,) = [line for line in pod.log() if line["level"] == "warning"]
        assert "OPTIONS" in warning["message"]


def test_no_key_value_is_ever_shown(tmp_path: Path) -> None:
    secret = "s3cret-of-the-service"
    env = {"MESHCORS_KEY_VALUES": secret}
    with running("--access-log", "--log-level", "debug", env=env) as pod:
        pod.ask("GET", "/v1", {"Origin": UI, KEY: secret})
        pod.ask("GET", "/v1", {"Origin": "https://evil.example", KEY: secret})
        pod.preflight()
        shown = [pod.admin(path).text for path in ("/", "/policy", "/metrics")]
        pod.await_(lambda: pod.stderr().count('"answered"') == 3)
        assert secret not in pod.stderr() + "".join(shown)


def test_a_file_without_origins_is_named_as_the_place_for_them(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("")
    ended = run("--config", str(path))
    assert ended.returncode == 2
    said = f"meshcors.dummy: {path}: allowOrigins: name the pages' origins, such as"
    assert ended.stderr.startswith(said)
