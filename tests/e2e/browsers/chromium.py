"""Chromium over the DevTools protocol."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from tests.e2e.browsers import ScriptError
from tests.e2e.browsers.processes import await_line, home, started
from tests.e2e.browsers.wire import Wire, connected

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers run as root, where the sandbox refuses to start
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--remote-debugging-port=0",
)


class ChromiumPage:
    """A tab: a target with a session of its own."""

    def __init__(self, wire: Wire, target: str, session: str) -> None:
        self._wire = wire
        self._target = target
        self._session = session
        self.lines: list[str] = []
        self.loaded = False

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a DevTools command to this tab."""
        return self._wire.send({"method": method, "params": params, "sessionId": self._session})

    def run(self, function: str, *arguments: Any) -> Any:
        window = self.command("Runtime.evaluate", expression="window")["result"]["objectId"]
        answer = self.command(
            "Runtime.callFunctionOn",
            objectId=window,
            functionDeclaration=function,
            arguments=[{"value": argument} for argument in arguments],
            awaitPromise=True,
            returnByValue=True,
        )
        if "exceptionDetails" in answer:
            raise ScriptError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def console(self) -> list[str]:
        self._wire.drain()
        return list(self.lines)

    def close(self) -> None:
        self._wire.call("Target.closeTarget", targetId=self._target)

    def take(self, event: dict[str, Any]) -> None:
        """Keep what the console shows, and notice when the page is loaded."""
        params = event["params"]
        if event["method"] == "Log.entryAdded":
            entry = params["entry"]
            at = f" {entry['url']}" if entry["source"] == "network" and "url" in entry else ""
            self.lines.append(entry["text"] + at)
        elif event["method"] == "Runtime.consoleAPICalled":
            self.lines.append(" ".join(str(arg.get("value")) for arg in params["args"]))
        elif event["method"] == "Page.loadEventFired":
            self.loaded = True


class Chromium:
    """A running Chromium."""

    name = "chromium"

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._pages: dict[str, ChromiumPage] = {}
        wire.on_event = self._dispatch
        self.version = wire.call("Browser.getVersion")["product"].partition("/")[2]

    def open(self, url: str) -> ChromiumPage:
        target = self._wire.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._wire.call("Target.attachToTarget", targetId=target, flatten=True)
        session = attached["sessionId"]
        page = self._pages[session] = ChromiumPage(self._wire, target, session)
        for domain in ("Page", "Runtime", "Log"):
            page.command(f"{domain}.enable")
        page.command("Page.navigate", url=url)
        while not page.loaded:  # each command also processes the events that came before its answer
            page.command(
                "Runtime.evaluate",
                expression="new Promise(r => setTimeout(r, 20))",
                awaitPromise=True,
            )
        return page

    def _dispatch(self, event: dict[str, Any]) -> None:
        if page := self._pages.get(event.get("sessionId", "")):
            page.take(event)


@contextlib.contextmanager
def start(*flags: str) -> Iterator[Chromium]:
    """Start Chromium, with more flags; see ``tests.e2e.browsers.launch``."""
    with home() as profile:
        log = profile / "log"
        command = [
            "chromium",
            *FLAGS,
            *flags,
            f"--user-data-dir={profile / 'profile'}",
            "about:blank",
        ]
        with started(command, log) as process:
            url = await_line(process, log, r"DevTools listening on (\S+)")
            with connected(url) as wire:
                yield Chromium(wire)
