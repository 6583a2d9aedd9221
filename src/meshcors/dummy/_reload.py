"""A changed file becomes the pod's configuration, or changes nothing.

Files are compared by content, so that a ConfigMap's swapped symlinks, an editor's rename and a
write in place are one and the same. A file that is being written is left to settle: only content
that is the same at two looks is taken. All of it, every look at the file too, is done in a thread
of its own, beside the serving: a file system may keep its reader waiting. The new configuration is
swapped in whole.
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
from meshcors.dummy._live import Live
from meshcors.dummy._logs import log

# Between two looks, in seconds.
INTERVAL: Final = 0.5
# For how long the thread may compute before whoever serves gets a turn, in seconds.
_SWITCH_INTERVAL: Final = 0.0005


class Look(NamedTuple):
    """What a look at a file finds: its text, or why it cannot be read."""

    readable: bool
    text: str


def look(path: Path) -> Look:
    """Look at the file at `path`."""
    try:
        return Look(True, read_text(path))
    except FileError as error:
        return Look(False, error.hint)


class Reloader:
    """Watches the file at `path` and replaces the configuration of `live`.

    `taken` is what the configuration was made of. `read` reads it anew and raises `PolicyError`. Of
    several processes that watch the same file, one `speaks`: its log tells of reloads.
    """

    def __init__(
        self,
        live: Live,
        path: Path,
        taken: Look | None,
        read: Callable[[], Configuration],
        *,
        speaks: bool,
    ) -> None:
        self._live = live
        self._path = path
        self._read = read
        self._speaks = speaks
        self._taken = taken
        self._asked = threading.Event()

    def start(self) -> None:
        """Watch from now on, for as long as the process lives; called on its event loop."""
        call = asyncio.get_running_loop().call_soon_threadsafe

        def watch() -> None:
            # At the end of the process there is no loop any more.
            with suppress(RuntimeError):
                self.watch(call)

        # The interpreter's own interval is ten times as long: while thousands of rules are read,
        # an answer would wait for it several times.
        sys.setswitchinterval(_SWITCH_INTERVAL)
        # No reader that waits holds up the end of the process.
        threading.Thread(target=watch, name="reload", daemon=True).start()

    def ask(self) -> None:
        """Read the configuration now; once more, however often asked while it is being read."""
        self._asked.set()

    def watch(self, call: Callable[..., Any]) -> None:
        """Look at the file now and then; `call` runs a function where the pod serves."""
        before = self._taken
        while True:
            asked = self._asked.wait(INTERVAL)
            self._asked.clear()
            now = look(self._path)
            if asked or now == before != self._taken:
                self.reload(now, call)
            before = now

    def reload(self, now: Look, call: Callable[..., Any]) -> None:
        """Read the configuration; one that is no good is logged and not taken.

        `now` is what the file holds. One that holds something else by the end is left to settle.
        """
        try:
            configuration = self._read()
        except PolicyError as error:
            problems = tuple(map(str, error.problems))
        except Exception as error:
            # Whatever it is, the configuration that serves is not at fault. Its text may hold what
            # was given for a key.
            problems = (f"{self._path}: unexpected {type(error).__name__} while reading it",)
        else:
            if now.readable and not now.text.strip():
                problems = (f"{self._path}: the file is empty",)
            elif now == look(self._path):
                self._taken = now
                call(self._replace, configuration)
                return
            else:
                return
        self._taken = now
        call(self._keep, problems)

    def _replace(self, configuration: Configuration) -> None:
        self._live.replace(configuration)
        if self._speaks:
            for warning in configuration.warnings:
                log(logging.WARNING, warning)
            log(logging.INFO, "configuration reloaded", hash=configuration.fingerprint)

    def _keep(self, problems: tuple[str, ...]) -> None:
        self._live.keep(problems)
        if self._speaks:
            for problem in problems:
                log(logging.ERROR, "configuration not reloaded", problem=problem)
