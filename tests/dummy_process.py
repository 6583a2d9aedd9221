"""The pod as a user starts it: a process, what it prints, and requests to its two ports."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

UI = "https://ui.example"
KEY = "model-api-key"
POLICY_FLAGS = ("--allow-origin", UI, "--key-header", KEY)

# Starts the pod as if the extra were not installed.
WITHOUT_EXTRAS = """
import sys
from importlib.abc import MetaPathFinder
class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"prometheus_client", "ruamel", "uvloop"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from meshcors.dummy._command import main
main(prog_name="python -m meshcors.dummy")
"""
INSTALLED = ("-m", "meshcors.dummy")
PLAIN = ("-c", WITHOUT_EXTRAS)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class PodProcess:
    process: subprocess.Popen[str]
    errors: IO[str]
    host: str = "127.0.0.1"
    port: int = 0
    admin_port: int = 0
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def log(self) -> list[dict[str, Any]]:
        """The lines on stderr so far; each is JSON."""
        whole = self.stderr().rpartition("\n")[0]  # the last one may be on its way
        return [json.loads(line) for line in whole.splitlines()]

    def stderr(self) -> str:
        return Path(self.errors.name).read_text()

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        return request((self.host, self.port), method, path, headers or {}, body)

    def admin(self, path: str, method: str = "GET", body: str | None = None) -> Answer:
        return request((self.host, self.admin_port), method, path, {}, body)

    def preflight(self, origin: str = UI, method: str = "POST", names: str = KEY) -> Answer:
        return self.ask("OPTIONS", "/v1/chat", preflight_fields(origin, method, names))

    def metric(self, name: str) -> float:
        """A sample of /metrics by its name and labels; 0 if it is missing."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.admin("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def await_(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until `holds` returns true: the pod works in its own time."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, self.stderr()
            assert time.monotonic() < deadline, self.stderr()
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)


def preflight_fields(origin: str = UI, method: str = "POST", names: str = KEY) -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": names,
    }


def request(
    address: tuple[str, int] | str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: str | None = None,
) -> Answer:
    """One request to an address, or to the path of a Unix socket."""
    connection = http.client.HTTPConnection("localhost", timeout=20)
    with contextlib.closing(connection):
        if isinstance(address, str):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(address)
        else:
            connection.sock = socket.create_connection(address, timeout=20)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())


def environment(variables: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment, without the variables that would configure a pod."""
    own = {name: text for name, text in os.environ.items() if not name.startswith("MESHCORS_")}
    return own | (variables or {})


def run(
    *flags: str,
    env: dict[str, str] | None = None,
    start: tuple[str, ...] = INSTALLED,
    before: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a pod that ends by itself; `before` is put in front of its command."""
    return subprocess.run(
        [*before, sys.executable, *start, *flags],
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextlib.contextmanager
def running(
    *flags: str,
    policy: tuple[str, ...] = POLICY_FLAGS,
    host: str | None = "127.0.0.1",
    admin: bool = True,
    drain: str = "0.5",
    env: dict[str, str] | None = None,
    start: tuple[str, ...] = INSTALLED,
    before: tuple[str, ...] = (),
) -> Iterator[PodProcess]:
    """Start a pod on free ports, and end it; `before` is put in front of its command.

    Of the flags of `policy`, those written with = give way to the others. Without a `host` the pod
    gets no --host; without `admin` it gets no --admin-port.
    """
    places = ("--host", host) if host else ()
    if admin:
        places += ("--admin-port", "0")
    own = ("--port", "0", "--drain", drain, *places, *flags)
    with tempfile.NamedTemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [*before, sys.executable, *start, *beside(policy, own), *own],
            env=environment(env),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        pod = PodProcess(process, errors, host or "127.0.0.1")
        try:
            assert process.stdout is not None
            if "--uds" not in flags:
                pod.port = _printed(process.stdout.readline(), "port")
            if admin:
                pod.admin_port = _printed(process.stdout.readline(), "admin-port")
            pod.await_(lambda: "try: curl" in pod.stderr())
            if admin:
                pod.await_(lambda: _is_ready(pod))
            yield pod
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            assert process.stdout is not None
            process.stdout.close()


def beside(policy: Iterable[str], own: Collection[str]) -> list[str]:
    """The flags of `policy` without those that `own` has too."""
    return [each for each in policy if each.partition("=")[0] not in own]


def _printed(line: str, name: str) -> int:
    found, _, port = line.partition(" ")
    assert found == name, f"the pod printed {line!r}"
    return int(port)


def _is_ready(pod: PodProcess) -> bool:
    try:
        return pod.admin("/readyz").status == 200
    except OSError:
        return False
