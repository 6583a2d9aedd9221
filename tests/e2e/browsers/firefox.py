"""Firefox over WebDriver BiDi."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from tests.e2e.browsers import ScriptError
from tests.e2e.browsers.processes import await_line, home, started
from tests.e2e.browsers.wire import Wire, connected

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFERENCES = {
    # the console's text is compared, so it must be English
    "intl.accept_languages": "en-US",
    "intl.locale.requested": "en-US",
    # no call leaves the machine
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.server": "",
    "app.normandy.enabled": False,
    "extensions.update.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
}


class FirefoxPage:
    """A tab: a browsing context."""

    def __init__(self, wire: Wire, context: str) -> None:
        self._wire = wire
        self._context = context
        self.lines: list[str] = []

    def run(self, function: str, *arguments: Any) -> Any:
        # BiDi has its own notation for values; JSON in a string is the same in all engines
        values = ", ".join(json.dumps(argument) for argument in arguments)
        answer = self._wire.call(
            "script.callFunction",
            functionDeclaration=f"async () => JSON.stringify([await ({function})({values})])",
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise ScriptError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])[0]

    def console(self) -> list[str]:
        self._wire.drain()
        return list(self.lines)

    def resize(self, width: int, height: int) -> None:
        """Give the tab this size."""
        size = {"width": width, "height": height}
        self._wire.call("browsingContext.setViewport", context=self._context, viewport=size)

    def close(self) -> None:
        self._wire.call("browsingContext.close", context=self._context)


class Firefox:
    """A running Firefox."""

    name = "firefox"

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._pages: dict[str, FirefoxPage] = {}
        wire.on_event = self._dispatch
        capabilities = wire.call("session.new", capabilities={})["capabilities"]
        self.version = capabilities["browserVersion"]
        wire.call("session.subscribe", events=["log.entryAdded"])

    def open(self, url: str) -> FirefoxPage:
        context = self._wire.call("browsingContext.create", type="tab")["context"]
        page = self._pages[context] = FirefoxPage(self._wire, context)
        self._wire.call("browsingContext.navigate", context=context, url=url, wait="complete")
        return page

    def _dispatch(self, event: dict[str, Any]) -> None:
        if event.get("method") != "log.entryAdded":
            return
        entry = event["params"]
        page = self._pages.get(entry["source"].get("context", ""))
        # a line about a request may come without its tab: then it is every tab's
        for receiver in [page] if page else self._pages.values():
            receiver.lines.append(entry["text"])


@contextlib.contextmanager
def start() -> Iterator[Firefox]:
    """Start Firefox; see ``tests.e2e.browsers.launch``."""
    with home() as directory:
        profile, log = directory / "profile", directory / "log"
        profile.mkdir()
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        command = ["firefox-esr", "--headless", "--no-remote", "--remote-debugging-port=0"]
        command += ["--profile", str(profile), "about:blank"]
        # otherwise it refuses the home directory of another user
        environment = {"HOME": str(directory), "MOZ_CRASHREPORTER_DISABLE": "1"}
        with started(command, log, environment) as process:
            url = await_line(process, log, r"WebDriver BiDi listening on (\S+)")
            with connected(f"{url}/session") as wire:
                yield Firefox(wire)
