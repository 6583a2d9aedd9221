"""WebKitGTK, Safari's engine, over WebDriver, which does not hand out the console."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.browsers import ENGINES, ScriptError, missing
from tests.e2e.browsers.processes import await_line, home, started
from tests.e2e.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

# WebDriver's execute/async hands the script a callback as its last argument.
ASYNC = """
const done = arguments[arguments.length - 1];
(async () => JSON.stringify([await (%s)(%s)]))().then(done, (e) => done({thrown: String(e)}));
"""


class Session:
    """A WebDriver session: one HTTP request a command."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._session = ""

    def begin(self, capabilities: dict[str, Any]) -> dict[str, Any]:
        """Start the browser and return its capabilities."""
        always = {"capabilities": {"alwaysMatch": capabilities}}
        answer = self.command("POST", "/session", always)
        self._session = f"/session/{answer['sessionId']}"
        result: dict[str, Any] = answer["capabilities"]
        return result

    def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a command, by its path below the session, and return its value."""
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            f"{self._base}{self._session}{path}",
            data,
            {"content-type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()}") from None


class WebKitPage:
    """A tab: a window handle."""

    def __init__(self, session: Session, handle: str) -> None:
        self._session = session
        self._handle = handle

    def run(self, function: str, *arguments: Any) -> Any:
        self._session.command("POST", "/window", {"handle": self._handle})
        values = ", ".join(json.dumps(argument) for argument in arguments)
        body = {"script": ASYNC % (function, values), "args": []}
        answer = self._session.command("POST", "/execute/async", body)
        if isinstance(answer, dict):
            raise ScriptError(answer["thrown"])
        return json.loads(answer)[0]

    def console(self) -> list[str]:
        """WebDriver has no command for it, and MiniBrowser's own log is off under automation."""
        return []

    def close(self) -> None:
        self._session.command("POST", "/window", {"handle": self._handle})
        self._session.command("DELETE", "/window")


class WebKit:
    """A running MiniBrowser, the small browser that WebKitGTK ships for automation."""

    name = "webkit"

    def __init__(self, session: Session, version: str) -> None:
        self._session = session
        self.version = version
        session.command("POST", "/timeouts", {"script": 60_000})
        self._first = session.command("GET", "/window")

    def open(self, url: str) -> WebKitPage:
        # a new window is opened from the current one, which may be closed by now
        self._session.command("POST", "/window", {"handle": self._first})
        handle = self._session.command("POST", "/window/new", {"type": "tab"})["handle"]
        self._session.command("POST", "/window", {"handle": handle})
        page = WebKitPage(self._session, handle)
        self._session.command("POST", "/url", {"url": url})
        return page


@contextlib.contextmanager
def start() -> Iterator[WebKit]:
    """Start WebKitGTK on a display of its own; see ``tests.e2e.browsers.launch``."""
    browser = _mini_browser()
    with home() as directory, _display(directory) as display:
        log = directory / "log"
        environment = {"DISPLAY": display, "HOME": str(directory), "LIBGL_ALWAYS_SOFTWARE": "1"}
        environment |= {"GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1"}
        port = free_port()
        command = ["WebKitWebDriver", "--host=127.0.0.1", f"--port={port}"]
        with started(command, log, environment) as process:
            session = Session(f"http://127.0.0.1:{port}")
            _await_driver(process, session)
            options = {"binary": str(browser), "args": ["--automation"]}
            facts = session.begin({"webkitgtk:browserOptions": options})
            try:
                yield WebKit(session, facts["browserVersion"])
            finally:
                session.command("DELETE", "")


def _mini_browser() -> Path:
    """MiniBrowser is not on the PATH: it is beside the library, in a folder of the architecture."""
    found = next(iter(sorted(Path("/usr").glob("lib*/*/webkit2gtk-4.1/MiniBrowser"))), None)
    if found is None:
        missing("webkit2gtk-4.1/MiniBrowser", ENGINES["webkit"][1])
    return found


@contextlib.contextmanager
def _display(directory: Path) -> Iterator[str]:
    """An invisible display; the server picks a free number and prints it."""
    log = directory / "display"
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    with started(command, log) as process:
        yield ":" + await_line(process, log, r"(?m)^(\d+)$")


def _await_driver(process: subprocess.Popen[bytes], session: Session) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            session.command("GET", "/status")
            return
        time.sleep(0.05)
    raise AssertionError("WebKitWebDriver did not come up")
