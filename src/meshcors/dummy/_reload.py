"""The configuration file is watched: a changed file becomes the configuration, or changes nothing.

Files are compared by content, so that a ConfigMap's swapped symlinks, an editor's rename and a
write in place all count. A file that may still be being written is not used: its content must be
the same in two consecutive checks. A file system may keep its reader waiting, so all of this is
done in a thread of its own, beside the serving. The new configuration is swapped in as a whole.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from meshcors._policy.errors import PolicyError
from meshcors._policy.regular_file import FileError, read_text
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._logs import log
from meshcors.dummy._state import PodState

# Seconds between two checks of the file.
INTERVAL: Final = 0.5
# Seconds that the thread may compute before the event loop gets a turn.
_SWITCH_INTERVAL: Final = 0.0005


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
    """Watches `file` and replaces the configuration of `state`.

    Of several processes that watch the same file, one `logs` its reloads.
    """

    def __init__(self, state: PodState, file: ConfigurationFile, *, logs: bool) -> None:
        self._state = state
        self._path = file.path
        self._read = file.read
        self._logs = logs
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

        # The interpreter's own interval is ten times as long: while thousands of rules are read,
        # each answer would wait for it several times.
        sys.setswitchinterval(_SWITCH_INTERVAL)
        # A daemon: a reader that hangs does not hold up the end of the process.
        threading.Thread(target=watch, name="reload", daemon=True).start()

    def request(self) -> None:
        """Read the configuration now; requests that come while it is read become one more."""
        self._requested.set()

    def watch(self, call: Callable[..., Any]) -> None:
        """Check the file at every interval; `call` runs a function on the event loop."""
        before = self._taken
        while True:
            requested = self._requested.wait(INTERVAL)
            self._requested.clear()
            now = content_of(self._path)
            if requested or now == before != self._taken:
                self.reload(now, call)
            before = now

    def reload(self, now: FileContent, call: Callable[..., Any]) -> None:
        """Read the configuration; an invalid one is logged and changes nothing.

        `now` is what the file holds. If the file has changed again by the end, nothing is done: the
        next checks will find it.
        """
        try:
            configuration = self._read()
        except PolicyError as error:
            problems = tuple(map(str, error.problems))
        except Exception as error:
            # Whatever it is, the pod goes on. The error's text may hold what was given for a key.
            problems = (f"{self._path}: unexpected {type(error).__name__} while reading it",)
        else:
            if now.readable and not now.text.strip():
                problems = (f"{self._path}: the file is empty",)
            elif now == content_of(self._path):
                self._taken = now
                call(self._replace, configuration)
                return
            else:
                return
        self._taken = now
        call(self._keep_previous, problems)

    def _replace(self, configuration: Configuration) -> None:
        self._state.replace(configuration)
        if self._logs:
            for warning in configuration.warnings:
                log(logging.WARNING, warning)
            log(logging.INFO, "configuration reloaded", hash=configuration.fingerprint)

    def _keep_previous(self, problems: tuple[str, ...]) -> None:
        self._state.keep_previous(problems)
        if self._logs:
            for problem in problems:
                log(logging.ERROR, "configuration not reloaded", problem=problem)
