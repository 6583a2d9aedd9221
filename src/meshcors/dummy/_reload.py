"""The configuration file is watched: a changed file becomes the configuration, or changes nothing.

Files are compared by content, so that a ConfigMap's swapped symlinks, an editor's rename and a
write in place all count. A file that may still be being written is not used: its content must be
the same in two consecutive checks. A file system may keep its reader waiting, so all of this is
done in a thread of its own, beside the serving. The new configuration is swapped in as a whole: of
several processes one watches the file, and the others agree (see `meshcors.dummy._agreement`).
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple, TypeAlias

from meshcors._policy.errors import PolicyError
from meshcors._policy.regular_file import FileError, read_text
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._logs import log
from meshcors.dummy._state import PodState

# Seconds between two checks of the file.
INTERVAL: Final = 0.5
# Seconds after which a reload that has not ended is a problem.
PATIENCE: Final = 10.0
# Seconds that the thread may compute before the event loop gets a turn.
_SWITCH_INTERVAL: Final = 0.0005
# Has all processes switch to a configuration, and yields what it waits for meanwhile.
Agree: TypeAlias = Callable[[Configuration], Iterable[str]]


class FileContent(NamedTuple):
    """What a file holds: its text, or why it cannot be read."""

    readable: bool
    text: str


def content_of(path: Path) -> FileContent:
    """Return what the file at `path` holds now."""
    try:
        return FileContent(True, read_text(path))
    except FileError as error:
        return FileContent(False, error.hint)


class ConfigurationFile(NamedTuple):
    """The file that a configuration was made from, and how to make it again.

    `content` is what the file held then. `read` reads every source anew and raises `PolicyError`.
    """

    path: Path
    content: FileContent
    read: Callable[[], Configuration]


class Reloader:
    """Watches `file` and replaces the configuration of `state`, once all processes `agree`."""

    def __init__(self, state: PodState, file: ConfigurationFile, agree: Agree) -> None:
        self._state = state
        self._path = file.path
        self._read = file.read
        self._agree = agree
        # What the last check waits for, since when, and whether it has been said to take too long.
        self._waits_for = ""
        self._since = monotonic()
        self._is_late = False
        # What the file held when it was last read.
        self._taken = file.content
        self._requested = threading.Event()

    def start(self) -> None:
        """Watch from now on, for as long as the process lives; called on its event loop."""
        call = asyncio.get_running_loop().call_soon_threadsafe

        def watch() -> None:
            # At the end of the process there is no loop any more.
            with suppress(RuntimeError):
                self.watch(call)

        run_beside(watch)
        self._tell_if_late()

    def request(self) -> None:
        """Read the configuration now; requests that come while it is read become one more."""
        self._requested.set()

    def watch(self, call: Callable[..., Any]) -> None:
        """Check the file at every interval; `call` runs a function on the event loop."""
        before = self._taken
        while True:
            requested = self._requested.wait(INTERVAL)
            self._requested.clear()
            self._waits_for, self._since = "it is still being read: check its disk", monotonic()
            now = content_of(self._path)
            if requested or self._is_late or now == before != self._taken:
                self.reload(now, call)
            before = now

    def reload(self, now: FileContent, call: Callable[..., Any]) -> None:
        """Read the configuration; an invalid one is logged and changes nothing.

        `now` is what the file holds. If the file has changed again by the end, nothing is done: the
        next checks will find it.
        """
        try:
            configuration = self._read()
            if now != content_of(self._path):
                return
            if not now.readable or now.text.strip():
                for what in self._agree(configuration):
                    self._waits_for = what
                    if now != content_of(self._path):
                        return
                self._taken = now
                call(self._replace, configuration)
                return
            problems: tuple[str, ...] = (f"{self._path}: the file is empty",)
        except PolicyError as error:
            problems = tuple(map(str, error.problems))
        except Exception as error:
            # Whatever it is, the pod goes on. The error's text may hold what was given for a key.
            problems = (f"{self._path}: unexpected {type(error).__name__} while reading it",)
        # If it has changed meanwhile, the problem may be that of another content than `now`.
        if now == content_of(self._path):
            self._taken = now
            call(self._keep_previous, problems)

    def _tell_if_late(self) -> None:
        if not self._is_late and monotonic() - self._since > PATIENCE:
            problem = f"{self._path}: not reloaded within {PATIENCE:g} s: {self._waits_for}"
            self._keep_previous((problem,))
            self._is_late = True
        asyncio.get_running_loop().call_later(1, self._tell_if_late)

    def _replace(self, configuration: Configuration) -> None:
        self._is_late = False
        self._state.replace(configuration)
        for warning in configuration.warnings:
            log(logging.WARNING, warning)
        log(logging.INFO, "configuration reloaded", hash=configuration.fingerprint)

    def _keep_previous(self, problems: tuple[str, ...]) -> None:
        self._is_late = False
        self._state.keep_previous(problems)
        for problem in problems:
            log(logging.ERROR, "configuration not reloaded", problem=problem)


def run_beside(watch: Callable[[], None]) -> None:
    """Run `watch` in a thread that never holds up the serving, nor the end of the process."""
    # The interpreter's own interval is ten times as long: while thousands of rules are read, each
    # answer would wait for it several times.
    sys.setswitchinterval(_SWITCH_INTERVAL)
    threading.Thread(target=watch, name="reload", daemon=True).start()
