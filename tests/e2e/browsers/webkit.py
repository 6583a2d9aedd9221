"""WebKitGTK, Safari's engine, over the protocol of its inspector.

WebDriver does not hand out the console, and under it MiniBrowser does not print it either. The
inspector's protocol has both: scripts, and the console as Safari shows it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.browsers import ENGINES, ScriptError, missing
from tests.e2e.browsers.processes import await_line, home, started
from tests.e2e.browsers.wire import Wire, connected
from tests.e2e.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLAGS = (
    "--enable-developer-extras=true",
    "--javascript-can-open-windows-automatically=true",
)
# Its promise is awaited apart: to evaluate does not await.
CALL = "(async () => JSON.stringify([await (%s)(%s)]))()"


class WebKitPage:
    """A tab: an inspectable page, whose commands go to the target that shows it now."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._target = ""
        self._next = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self.lines: list[str] = []
        self.loaded = False
        wire.on_event = self._take
        self._until(lambda: self._target != "")

    def run(self, function: str, *arguments: Any) -> Any:
        values = ", ".join(json.dumps(argument) for argument in arguments)
        promise = self.command("Runtime.evaluate", expression=CALL % (function, values))
        if promise["wasThrown"]:
            raise ScriptError(promise["result"]["description"])
        object_id = promise["result"]["objectId"]
        answer = self.command("Runtime.awaitPromise", promiseObjectId=object_id, returnByValue=True)
        if answer["wasThrown"]:
            raise ScriptError(answer["result"].get("description", answer["result"]))
        return json.loads(answer["result"]["value"])[0]

    def console(self) -> list[str]:
        self._wire.drain()
        return list(self.lines)

    def close(self) -> None:
        self.command("Runtime.evaluate", expression="setTimeout(() => close(), 0)")

    def navigate(self, url: str) -> None:
        """Open ``url`` and wait until it is loaded."""
        self.loaded = False
        self.command("Runtime.evaluate", expression=f"location.href = {json.dumps(url)}")
        self._until(lambda: self.loaded)

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command to the page."""
        number = self._send(method, params)
        self._until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        if "result" not in answer:
            raise AssertionError(f"{method}: {answer}")
        result: dict[str, Any] = answer["result"]
        return result

    def _send(self, method: str, params: dict[str, Any]) -> int:
        self._next += 1
        message = json.dumps({"id": self._next, "method": method, "params": params})
        self._wire.post("Target.sendMessageToTarget", targetId=self._target, message=message)
        return self._next

    def _until(self, done: Callable[[], bool], timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            self._wire.take(deadline)

    def _take(self, event: dict[str, Any]) -> None:
        """Follow the page when another process takes it over; keep what the console shows."""
        params = event.get("params", {})
        match event.get("method"):
            case "Target.targetCreated":
                info = params["targetInfo"]
                if info["type"] == "page" and not info.get("isProvisional"):
                    self._inspect(info["targetId"])
            case "Target.didCommitProvisionalTarget":
                self._inspect(params["newTargetId"])
            case "Target.dispatchMessageFromTarget":
                self._take_from_target(json.loads(params["message"]))

    def _inspect(self, target: str) -> None:
        self._target = target
        for domain in ("Console", "Page", "Runtime"):
            self._send(f"{domain}.enable", {})

    def _take_from_target(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
        elif message["method"] == "Console.messageAdded":
            entry = message["params"]["message"]
            at = f" {entry['url']}" if entry["source"] == "network" and "url" in entry else ""
            self.lines.append(entry["text"] + at)
        elif message["method"] == "Page.loadEventFired":
            self.loaded = True


class WebKit:
    """A running MiniBrowser, the small browser that WebKitGTK ships to try it."""

    name = "webkit"

    def __init__(self, inspector: str, version: str, stack: contextlib.ExitStack) -> None:
        self._inspector = inspector
        self._stack = stack
        self._known: set[str] = set()
        self._first = self._attach()
        self.version = version

    def open(self, url: str, features: str = "") -> WebKitPage:
        """Open ``url``; with features of ``open`` (``width=390``), in a window of its own."""
        expression = f"void open('about:blank', '', '{features}')"
        self._first.command("Runtime.evaluate", expression=expression)
        page = self._attach()
        page.navigate(url)
        return page

    def _attach(self) -> WebKitPage:
        """Inspect the page that is not inspected yet, as soon as it is there."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://{self._inspector}/", timeout=10) as answer:
                    listed = re.findall(r"/socket/\d+/\d+/WebPage", answer.read().decode())
                for socket in set(listed) - self._known:
                    self._known.add(socket)
                    wire = self._stack.enter_context(connected(f"ws://{self._inspector}{socket}"))
                    return WebKitPage(wire)
            time.sleep(0.05)
        raise AssertionError("WebKitGTK shows no page to inspect")


@contextlib.contextmanager
def start() -> Iterator[WebKit]:
    """Start WebKitGTK on a display of its own; see ``tests.e2e.browsers.launch``."""
    browser = _mini_browser()
    inspector = f"127.0.0.1:{free_port()}"
    with home() as directory, _display(directory) as display:
        log = directory / "log"
        environment = {"DISPLAY": display, "HOME": str(directory), "LIBGL_ALWAYS_SOFTWARE": "1"}
        environment |= {"GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1"}
        version = _version(browser, environment)
        environment |= {"WEBKIT_INSPECTOR_HTTP_SERVER": inspector}
        command = [str(browser), *FLAGS, "about:blank"]
        with started(command, log, environment), contextlib.ExitStack() as stack:
            yield WebKit(inspector, version, stack)


def _version(browser: Path, environment: dict[str, str]) -> str:
    """What MiniBrowser says of itself, such as "WebKitGTK 2.50.6"."""
    said = subprocess.run(
        [browser, "--version"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return said.stdout.split()[1]


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
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
    with started(command, log) as process:
        yield ":" + await_line(process, log, r"(?m)^(\d+)$")
