"""A changed configuration file becomes the configuration, or changes nothing.

The file is watched in a thread of its own, beside the serving. The new configuration is swapped in
as a whole: of several processes one watches the file, and the others agree (see
`meshcors.dummy._agreement`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from pathlib import Path
from random import uniform
from time import monotonic
from typing import Any, Final, NamedTuple, TypeAlias

from meshcors._policy.errors import PolicyError, problem_lines
from meshcors._policy.regular_file import MAX_BYTES
from meshcors.config._following import INTERVAL, FileContent, FollowedFile
from meshcors.dummy._configuration import Configuration
from meshcors.dummy._logs import log
from meshcors.dummy._state import PodState

# Seconds after which a reload that has not ended is a problem.
PATIENCE: Final = 10.0
# Seconds that the thread may compute before the event loop gets a turn.
_SWITCH_INTERVAL: Final = 0.0005
# Has all processes switch to a configuration, and yields what it waits for meanwhile.
Agree: TypeAlias = Callable[[Configuration], Iterable[str]]


class ConfigurationFile(NamedTuple):
    """The file that a configuration was made from, and how to make it again.

    `read` reads every source anew and raises `PolicyError`. What the file holds is used a random
    time of at most `spread` seconds after the first change that is not used yet: those that follow
    do not put it off. What is good is written to `last_good`, if that is given.
    """

    file: FollowedFile
    read: Callable[[], Configuration]
    spread: float = 0.0
    last_good: Path | None = None

    def keep(self, configuration: Configuration) -> None:
        """Write a good configuration for a start on which the file is bad, all at once."""
        if self.last_good is None:
            return
        content = configuration.json
        if len(content) > MAX_BYTES:
            content = json.dumps(json.loads(content), separators=(",", ":")).encode()
        if len(content) > MAX_BYTES:
            log(logging.WARNING, "--last-good: not written: as JSON, it has more than 1 MiB")
            return
        new = beside(self.last_good)
        try:
            # A link or a pipe that is there already is not opened.
            new.unlink(missing_ok=True)
            with new.open("xb") as file:
                file.write(content)
            new.replace(self.last_good)
        except OSError as error:
            log(logging.WARNING, f"--last-good: not written: {error.strerror}")


def beside(last_good: Path) -> Path:
    """Return where `last_good` is written before it takes its place."""
    return last_good.with_name(f"{last_good.name}.new")


class Reloader:
    """Replaces the configuration of `state` by what is in the file, once all processes `agree`."""

    def __init__(self, state: PodState, source: ConfigurationFile, agree: Agree) -> None:
        self._state = state
        self._source = source
        self.file = source.file
        self._agree = agree
        # What the last check waits for, since when, and whether it has been said to take too long.
        self._waits_for = ""
        self._since = monotonic()
        self._is_late = False

    def start(self) -> None:
        """Watch from now on, for as long as the process lives; called on its event loop."""
        call = asyncio.get_running_loop().call_soon_threadsafe

        def watch() -> None:
            # At the end of the process there is no loop any more.
            with suppress(RuntimeError):
                self.watch(call)

        run_beside(watch)
        self._tell_if_late()

    def watch(self, call: Callable[..., Any]) -> None:
        """Check the file again and again; `call` runs a function on the event loop."""
        # When what has changed is used, if anything has.
        due: float | None = None
        while True:
            requested = self.file.pause(INTERVAL)
            self._waits_for, self._since = "it is still being read: check its disk", monotonic()
            now = self.file.look(requested=requested)
            if now is None:
                due = due if self.file.has_changed else None
                continue
            if not requested:
                due = due or monotonic() + uniform(0, self._source.spread)  # noqa: S311 - spreads load
                if due - monotonic() > INTERVAL:
                    continue
                # Nothing is late meanwhile.
                self._since = inf
                self.file.pause(max(due - monotonic(), 0))
                self._since = monotonic()
            self.reload(now, call)
            if self.file.taken == now:
                due = None

    def reload(self, now: FileContent, call: Callable[..., Any]) -> None:
        """Read the configuration; an invalid one is logged and changes nothing.

        `now` is what the file holds. If the file has changed again by the end, nothing is done: the
        next checks will find it.
        """
        file = self.file
        try:
            configuration = self._source.read()
            if now != file.content():
                return
            if not now.readable or now.text.strip():
                for what in self._agree(configuration):
                    self._waits_for = what
                    if now != file.content():
                        return
                file.taken = now
                call(self._replace, configuration)
                self._source.keep(configuration)
                return
            problems: tuple[str, ...] = (f"{file.path}: the file is empty",)
        except PolicyError as error:
            problems = problem_lines(error.problems)
        except Exception as error:
            # Whatever it is, the pod goes on. The error's text may hold what was given for a key.
            problems = (f"{file.path}: unexpected {type(error).__name__} while reading it",)
        # If it has changed meanwhile, the problem may be that of another content than `now`.
        if now == file.content():
            file.taken = now
            call(self._keep_previous, problems)

    def _tell_if_late(self) -> None:
        if not self._is_late and monotonic() - self._since > PATIENCE:
            problem = f"{self.file.path}: not reloaded within {PATIENCE:g} s: {self._waits_for}"
            self._keep_previous((problem,))
            self._is_late = True
            # Once it can be read, it is used whatever it holds: the problem is over.
            self.file.taken = None
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
