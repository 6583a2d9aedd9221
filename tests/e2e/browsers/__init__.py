"""Real browsers behind one small protocol: open a page, run a script in it, read its console.

    with launch("firefox") as browser:
        page = browser.open("http://127.0.0.1:8000/")
        page.run("async (url) => (await fetch(url)).status", "http://127.0.0.1:9000/v1")
        page.console()

Everything is synchronous, one thread drives one browser, and a browser is started once for many
pages. Each engine is driven by its own protocol (DevTools, WebDriver BiDi, WebKit's inspector), so
that only a WebSocket client is needed and no second browser is downloaded.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# engine: the programs it needs, and the line that installs them
ENGINES = {
    "chromium": (("chromium",), "apt-get install chromium"),
    "firefox": (("firefox-esr",), "apt-get install firefox-esr"),
    "webkit": (("Xvfb",), "apt-get install libwebkit2gtk-4.1-0 xvfb"),
}
# engine: how the model of the browser calls its console
CONSOLES = {"chromium": "chromium", "firefox": "firefox", "webkit": "safari"}


class Page(Protocol):
    """One open tab."""

    def run(self, function: str, *arguments: Any) -> Any:
        """Call ``function``, the source of a JavaScript function, and wait for its promise.

        Arguments and result travel as JSON. A script that throws raises ``ScriptError``.
        """
        ...

    def console(self) -> list[str]:
        """Every line of the console since the page was opened, the browser's own included.

        Lines may arrive after the script that caused them is done: see ``await_console``.
        """
        ...

    def close(self) -> None:
        """Close the tab."""
        ...


class Browser(Protocol):
    """A running browser."""

    name: str
    version: str

    def open(self, url: str) -> Page:
        """Open ``url`` in a new tab and wait until it is loaded."""
        ...


class ScriptError(AssertionError):
    """A script threw in the page; the message is the browser's."""


@contextlib.contextmanager
def launch(engine: str) -> Iterator[Browser]:
    """Start ``engine`` (a key of ``ENGINES``) with an empty profile; stop it at the end.

    A missing program skips the test with the line that installs it, and fails it if ``CI=true``.
    """
    programs, install = ENGINES[engine]
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        missing(" and ".join(absent), install)
    # each engine is loaded only when it is asked for
    module = importlib.import_module(f"{__name__}.{engine}")
    with module.start() as browser:
        yield browser


def missing(part: str, install: str) -> NoReturn:
    """Skip the test: ``part`` is missing; say which line installs it. With CI=true, fail it."""
    message = f"{part} missing: {install}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def entries(lines: list[str]) -> list[str]:
    """Return the console's lines with the two that WebKit prints for one call as one entry."""
    joined: list[str] = []
    for line in lines:
        if joined and re.match(r"[\w ]+ cannot load \S+ due to access control checks", line):
            line = f"{joined.pop()}\n{line}"
        joined.append(line)
    return joined


def await_console(
    page: Page, found: Callable[[list[str]], bool], timeout: float = 60.0
) -> list[str]:
    """Read the console's entries until ``found`` says that they are all there, or until timeout."""
    deadline = time.monotonic() + timeout
    while not found(lines := entries(page.console())) and time.monotonic() < deadline:
        time.sleep(0.05)
    return lines
